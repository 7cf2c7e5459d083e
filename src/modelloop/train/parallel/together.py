"""Several processes train one torch model: `distributed`, on this machine or on a Ray cluster."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from ...ground.core.errors import InvalidInput, StepFailed, StepTimeout, WorkerDied
from ...ground.core.later import needed
from ...ground.pool import local, machine
from .adapters.ray_together import launched_on_ray
from .crew import check_not_loading, ray_address
from .rank import Rank
from .shelf import Shelf, open_value
from .target import Target, environment, write_job

_LOOK = 0.05
_PATIENCE = 600.0
"""Seconds that a process waits for the others, where no time limit is set."""


@dataclass(frozen=True, slots=True)
class Together:
    """What several processes returned."""

    values: tuple[Any, ...]
    """In the order of their ranks."""
    seconds: float

    @property
    def value(self) -> Any:
        """Return what the first process returned."""
        return self.values[0]


def distributed(  # noqa: PLR0913 - what may be said of it, each by its name
    function: Callable[[Rank], Any],
    *,
    processes: int = 2,
    params: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None,
    seed: int = 0,
    executor: str = "local",
    backend: str = "gloo",
    time_limit: float | None = None,
    restarts: int = 0,
) -> Together:
    """Call a function in several processes that torch.distributed connects, and return what each returned.

    On this machine torch's elastic launcher (torchrun) starts them; with executor="ray" they are actors of a Ray
    cluster. The function gets a `Rank`; it returns numbers, text, arrays, tensors, frames, or lists and dicts of these.
    `restarts`: how often all are started again where one fails: the function goes on from its own checkpoint.
    `backend`: `gloo` for processors, `nccl` for GPUs.

        def train(rank):
            model = DistributedDataParallel(Net())
            ...
            return {"loss": loss, "weights": {name: one.detach() for name, one in model.module.state_dict().items()}}

        weights = distributed(train, processes=2, data={"x": x, "y": y}).value["weights"]
    """
    check_not_loading()
    if isinstance(processes, bool) or not isinstance(processes, int) or processes < 1 or restarts < 0:
        raise InvalidInput(f"{processes!r} processes, {restarts!r} restarts.", hint="processes=2: from 1 on.")
    needed("torch", "torch")
    shelf = Shelf()
    try:
        job = {
            "target": Target(shelf).describe(function),
            "data": {name: shelf.put(name, value) for name, value in (data or {}).items()},
            "params": json.loads(_plain(params or {})),
            "environment": environment(),
            "seed": seed,
            "backend": backend,
            "patience": time_limit or _PATIENCE,
        }
        write_job(shelf.folder, job)
        began = time.monotonic()
        values = _carried_out(shelf, executor, processes, restarts=restarts, time_limit=time_limit, backend=backend)
        return Together(values, time.monotonic() - began)
    finally:
        shelf.close()


def _carried_out(
    shelf: Shelf, executor: str, processes: int, *, restarts: int, time_limit: float | None, backend: str
) -> tuple[Any, ...]:
    """Have it carried out where the executor says; return what each process returned."""
    if executor == "local":
        _launched(shelf.folder, processes, restarts, time_limit)
    else:
        address = ray_address(executor)
        launched_on_ray(
            shelf, address=address, processes=processes, restarts=restarts, time_limit=time_limit, backend=backend
        )
    folders = [shelf.folder / f"rank{rank}" for rank in range(processes)]
    if any(not (each / "value.json").exists() for each in folders):
        raise _failure(shelf.folder, processes, "")
    return tuple(open_value(json.loads((each / "value.json").read_text()), each) for each in folders)


def _launched(folder: Path, processes: int, restarts: int, time_limit: float | None) -> None:
    """Run the launcher to its end, and show what is printed as it comes."""
    threads = max(1, machine.processors() // processes)
    loopback = {
        "GLOO_SOCKET_IFNAME": "lo0" if sys.platform == "darwin" else "lo",
        "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
    }
    words = ["launch", str(folder), str(processes), str(restarts)]
    child = local.start(
        [sys.executable, "-m", f"{__package__}.adapters.torchrun", *words],
        folder / "printed",
        time_limit=None if time_limit is None else timedelta(seconds=time_limit),
        env={**machine.environment_of(threads, (), os.environ), **loopback},
    )
    shown = 0
    try:
        while (status := child.poll()) is None:
            shown = _show(folder / "printed", shown)
            time.sleep(_LOOK)
    finally:
        ended = child.stop()
    _show(folder / "printed", shown)
    if ended.timed_out:
        raise StepTimeout(
            f"The {processes} processes took longer than their time limit of {time_limit:g} s and were ended.",
            hint="A process that waits for another one that is not there looks like this, too.",
        )
    if status.code != 0:
        raise _failure(folder, processes, (folder / "printed").read_text(errors="replace"))


def _show(path: Path, shown: int) -> int:
    """Print what was printed since."""
    with path.open("rb") as file:
        file.seek(shown)
        new = file.read()
    if new:
        sys.stdout.write(new.decode(errors="replace"))
        sys.stdout.flush()
    return shown + len(new)


def _failure(folder: Path, processes: int, printed: str) -> StepFailed:
    """Return what went wrong first."""
    told = sorted((path.stat().st_mtime, path) for path in folder.glob("rank*/error.json"))
    if told:
        said = json.loads(told[0][1].read_text())["error"]
        return StepFailed(f"Process {told[0][1].parent.name.removeprefix('rank')} of {processes} failed. {said}")
    if (folder / "ended.json").exists():
        ended = json.loads((folder / "ended.json").read_text())
        each = ", ".join(f"process {rank} with {code}" for rank, code in ended.items())
        return WorkerDied(
            f"Of {processes} processes some ended by themselves: {each} (below 0: the signal).",
            hint="The system ends processes with 9 when memory runs out.",
        )
    return WorkerDied("torch's launcher ended by itself: " + "; ".join(printed.strip().splitlines()[-3:]))


def _plain(params: Mapping[str, Any]) -> str:
    try:
        return json.dumps(dict(params))
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            f"The parameters cannot be sent to another process: {error}.", hint="Hand arrays and frames as data={...}."
        ) from error
