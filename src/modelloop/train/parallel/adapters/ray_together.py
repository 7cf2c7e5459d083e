"""Several processes on a Ray cluster that train one torch model.

Each is an actor with a process of its own for the user's function. They are placed first, all of them, then told where
to meet. (Ray Train would do the same, but needs pandas and pyarrow in every environment.)
"""

from __future__ import annotations

import importlib
import os
import socket
import sys
import time
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from ....ground.core.errors import StepTimeout, WorkerDied
from ....ground.pool import local
from ..shelf import SharedFolder, Shelf
from .ray import Connected, packed, received

_LOOK = 1.0
_OWN = frozenset({"printed", "draft.json", "held"})


def launched_on_ray(
    shelf: Shelf, *, address: str, processes: int, restarts: int, time_limit: float | None, backend: str
) -> None:
    """Carry out what a folder says in several actors; leave what each returned, or raised, in the folder."""
    cluster = Connected(address, processes)
    try:
        for attempt_number in range(restarts + 1):
            if _tried(cluster.ray, shelf, processes, time_limit, backend) or attempt_number == restarts:
                return
    finally:
        cluster.close()


def _tried(ray: Any, shelf: Shelf, processes: int, time_limit: float | None, backend: str) -> bool:
    """Carry it out once; return whether all processes came to their end."""
    kind = ray.remote(RankActor)
    options = {"num_cpus": 1, "num_gpus": 1 if backend == "nccl" else 0}
    actors = [kind.options(**options).remote(str(shelf.folder)) for _ in range(processes)]
    try:
        parcel = packed(ray, shelf) if not all(ray.get([actor.sees.remote() for actor in actors])) else None
        places = ray.get([actor.place.remote(parcel) for actor in actors])
        host, port = places[0]
        here: Counter[str] = Counter()
        refs = {}
        for rank, (actor, place) in enumerate(zip(actors, places, strict=True)):
            refs[actor.carry_out.remote(rank, processes, f"tcp://{host}:{port}", here[place[0]])] = rank
            here[place[0]] += 1
        return _gathered(ray, refs, shelf.folder, time_limit)
    finally:
        for actor in actors:
            with suppress(ray.exceptions.RayError):
                ray.kill(actor)


def _gathered(ray: Any, refs: dict[Any, int], folder: Path, time_limit: float | None) -> bool:
    """Wait for the ranks; the first one that fails ends it."""
    until = None if time_limit is None else time.monotonic() + time_limit
    waiting = list(refs)
    while waiting:
        ready, waiting = ray.wait(waiting, timeout=_LOOK)
        for ref in ready:
            if not _took(ray, ref, folder, refs[ref]):
                return False
        if waiting and until is not None and time.monotonic() >= until:
            raise StepTimeout(
                f"The {len(refs)} processes took longer than their time limit of {time_limit:g} s and were ended."
            )
    return True


def _took(ray: Any, ref: Any, folder: Path, rank: int) -> bool:
    """Write down what a rank left; return whether it returned something."""
    try:
        printed, files = ray.get(ref)
    except ray.exceptions.RayError as error:
        reason = " ".join(str(error).split())[:300]
        raise WorkerDied(f"The Ray actor of process {rank} is gone ({type(error).__name__}): {reason}") from error
    sys.stdout.write(printed)
    out = folder / f"rank{rank}"
    out.mkdir(exist_ok=True)
    for name, data in files.items():
        (out / name).write_bytes(data)
    return "value.json" in files


class RankActor:
    """What Ray starts on a node for one process."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._shared: SharedFolder | None = None

    def sees(self) -> bool:
        """Say whether this node sees the files."""
        return (self._folder / "job.json").exists()

    def place(self, parcel: dict[str, Any] | None) -> tuple[str, int]:
        """Get ready; return this node's address and a port that is free."""
        ray = importlib.import_module("ray")
        if parcel is not None and not self.sees():
            self._shared = received(ray, parcel)
            self._folder = self._shared.folder
        host = str(ray.util.get_node_ip_address())
        with socket.socket() as probe:
            probe.bind((host, 0))
            return host, int(probe.getsockname()[1])

    def carry_out(self, rank: int, world: int, meeting: str, local_rank: int) -> tuple[str, dict[str, bytes]]:
        """Carry out the function in a process of its own; return what it printed, and the files it left."""
        shelf = Shelf()
        own = shelf.folder
        loopback = {"GLOO_SOCKET_IFNAME": "lo"} if meeting.startswith("tcp://127.") else {}
        module = f"{__package__}.torchrun"
        words = ["alone", str(self._folder), str(own), str(rank), str(world), meeting, str(local_rank)]
        child = local.start(
            [sys.executable, "-m", module, *words],
            own / "printed",
            time_limit=timedelta(days=7),
            env={**os.environ, "OMP_NUM_THREADS": "1", **loopback},
        )
        try:
            while (status := child.poll()) is None:
                time.sleep(0.05)
            printed = (own / "printed").read_text(errors="replace")
            files = {path.name: path.read_bytes() for path in own.iterdir() if path.name not in _OWN}
        finally:
            child.stop()
            shelf.close()
            if self._shared is not None:
                self._shared.close()
        if not {"value.json", "error.json"} & set(files):
            files["error.json"] = f'{{"error": "Its process ended by itself ({status})."}}'.encode()
        return printed, files
