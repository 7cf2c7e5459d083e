"""A crew on a Ray cluster: an actor a trial at a time, each with a process of its own (`relay`).

What the trials share is read where it lies by nodes that see this machine's files; other nodes get it through Ray's
object store, once each, and their processes share it there. Ray is given plain functions, bytes and JSON.
"""

from __future__ import annotations

import importlib
import json
import tempfile
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ....ground.core.errors import Conflict, InvalidInput, NotReady, PipelineInvalid
from ....ground.core.hashing import hash_bytes
from ....ground.core.later import numpy as np
from ....ground.flow.elsewhere import Resources
from ....ground.pool import shipping
from ....ground.pool.places import executor_for
from ....ground.pool.settings import PoolKind, PoolSettings
from ..events import Event, Failed, Heard, Objective, Reported
from ..member import event_of
from ..processes import shelved
from ..relay import Relay, moved
from ..shelf import SharedFolder, Shelf

_POLL = 1.0
_LEAVE = 5.0
_LOCAL = "local"


class Connected:
    """A connection to a Ray cluster: that at `address`, or with "local" one of its own on this machine."""

    def __init__(self, address: str, processors: int) -> None:
        settings = PoolSettings(PoolKind.RAY, address or _LOCAL)
        self._executor = executor_for(settings, Path(tempfile.gettempdir()), "memory:///", processors)
        self._executor.check(Resources())
        self.ray: Any = importlib.import_module("ray")
        there = float(self.ray.cluster_resources().get("CPU", 0.0))
        if processors > there:
            self.close()
            raise PipelineInvalid(
                f"{processors} processes on a Ray cluster that has {there:g} processors.",
                hint="Ask for fewer, or add a node.",
            )

    def close(self) -> None:
        """Leave the cluster; one that was started for this is ended."""
        self._executor.close()


@dataclass(slots=True)
class _Working:
    actor: Any
    number: int
    began: float
    waiting: Any
    """What stands for the next thing that the actor will tell."""


class RayCrew:
    """`size` actors of a Ray cluster. See `events.Crew`."""

    def __init__(
        self,
        objective: Objective,
        *,
        size: int,
        data: Mapping[str, Any],
        address: str = _LOCAL,
        heard: Heard | None = None,
        time_limit: float | None = None,
    ) -> None:
        self.size = size
        self._heard, self._limit = heard, time_limit
        self._idle: list[Any] = []
        self._busy: list[_Working] = []
        self._events: deque[Event] = deque()
        self._stopping: set[int] = set()
        self._parcel: dict[str, Any] | None = None
        self._shelf = shelved(objective, data, waits=heard is not None)
        try:
            self._cluster = Connected(address, size)
        except BaseException:
            self._shelf.close()
            raise
        self._ray = self._cluster.ray
        self._kind = self._ray.remote(_Actor)

    def start(self, number: int, params: Mapping[str, Any], seed: int) -> None:
        """Have a trial carried out by an actor that waits, or a new one."""
        if len(self._busy) >= self.size:
            raise Conflict(f"{self.size} trials are under way.", hint="Call next() until one is over.")
        try:
            message = json.dumps({"trial": number, "params": dict(params), "seed": seed})
        except (TypeError, ValueError) as error:
            raise InvalidInput(
                f"The parameters cannot be sent to another process: {error}.",
                hint="They are text, numbers, true, false or None, and lists of these.",
            ) from error
        actor = self._idle.pop() if self._idle else self._new()
        actor.say.remote(message)
        self._busy.append(_Working(actor, number, time.monotonic(), actor.hear.remote()))

    def next(self, timeout: float | None = None) -> Event | None:
        """Return what happened next. An interrupt ends all actors."""
        until = None if timeout is None else time.monotonic() + timeout
        try:
            while not self._events and self._busy:
                left = _POLL if until is None else min(_POLL, max(0.0, until - time.monotonic()))
                ready, _ = self._ray.wait([working.waiting for working in self._busy], timeout=left)
                for working in [each for each in self._busy if each.waiting in ready]:
                    self._hear(working)
                if until is not None and time.monotonic() >= until:
                    break
        except BaseException:
            self.close()
            raise
        return self._events.popleft() if self._events else None

    def stop(self, number: int) -> None:
        """Have a trial end at its next report."""
        for working in self._busy:
            if working.number == number:
                self._stopping.add(number)
                if self._heard is None:
                    working.actor.say.remote(json.dumps({"stop": number}))

    def close(self) -> None:
        """End all actors, and a cluster that was started for them."""
        with suppress(self._ray.exceptions.RayError):
            self._ray.get([actor.leave.remote() for actor in self._idle], timeout=_LEAVE)
        for actor in [*self._idle, *(working.actor for working in self._busy)]:
            with suppress(self._ray.exceptions.RayError):
                self._ray.kill(actor)
        self._idle, self._busy = [], []
        self._parcel = None
        self._cluster.close()
        self._shelf.close()

    def _hear(self, working: _Working) -> None:
        """Take in what an actor told; one that is gone told that."""
        try:
            told = self._ray.get(working.waiting)
        except self._ray.exceptions.RayError as error:
            self._busy.remove(working)
            reason = " ".join(str(error).split())[:300]
            said = f"The Ray actor of the trial is gone ({type(error).__name__}): {reason}"
            self._events.append(Failed(working.number, said, time.monotonic() - working.began))
            return
        said = json.loads(told) if told else {}
        if "broken" in said:
            raise PipelineInvalid(said["broken"])
        if "over" in said:
            self._busy.remove(working)
            self._idle.append(working.actor)
            self._stopping.discard(working.number)
            self._events.append(event_of(said["over"]))
            return
        if "reported" in said:
            self._reported(working, Reported(*said["reported"]))
        working.waiting = working.actor.hear.remote()

    def _reported(self, working: _Working, report: Reported) -> None:
        if self._heard is None:
            self._events.append(report)
            return
        stop = self._heard(report) or working.number in self._stopping
        working.actor.say.remote(json.dumps({"answers": report.number, "stop": stop}))

    def _new(self) -> Any:
        actor = self._kind.options(num_cpus=1, max_concurrency=2).remote(str(self._shelf.folder))
        if not self._ray.get(actor.sees.remote()):
            self._parcel = self._parcel or packed(self._ray, self._shelf)
            self._ray.get(actor.fetch.remote(self._parcel))
        self._ray.get(actor.begin.remote(self._heard is not None, self._limit))
        return actor


class _Actor:
    """What Ray starts on a node."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._relay: Relay | None = None
        self._shared: SharedFolder | None = None

    def sees(self) -> bool:
        """Say whether this node sees the crew's own files."""
        return (self._folder / "job.json").exists()

    def fetch(self, parcel: dict[str, Any]) -> None:
        """Get the crew's files, and the code, from the object store."""
        self._shared = received(importlib.import_module("ray"), parcel)
        self._folder = self._shared.folder

    def begin(self, waits: bool, time_limit: float | None) -> None:
        """Start the process."""
        self._relay = Relay(self._folder, waits=waits, time_limit=time_limit)

    def say(self, message: str) -> None:
        """Pass a message on."""
        if self._relay is None:
            raise NotReady("The actor has not begun.")
        self._relay.say(json.loads(message))

    def hear(self) -> str | None:
        """Return what happened next, None where nothing did for a while."""
        if self._relay is None:
            raise NotReady("The actor has not begun.")
        told = self._relay.hear(_POLL)
        return None if told is None else json.dumps(told)

    def leave(self) -> None:
        """End the process, and remove what nobody on this node needs any more."""
        if self._relay is not None:
            self._relay.end()
        if self._shared is not None:
            self._shared.close()


def packed(ray: Any, shelf: Shelf) -> dict[str, Any]:
    """Put a crew's files and its code into the object store; return where they are."""
    job = (shelf.folder / "job.json").read_text()
    project = _project(json.loads(job)["target"])
    code = shipping.pack(project) if project is not None else b""
    files = {
        path.name: [ray.put(np.fromfile(path, dtype=np.uint8))]  # within a list it stays a reference
        for path in shelf.folder.iterdir()
        if path.suffix in (".npy", ".arrow", ".bytes", ".py")
    }
    return {"job": job, "folder": str(shelf.folder), "project": str(project or ""), "code": code, "files": files}


def received(ray: Any, parcel: dict[str, Any]) -> SharedFolder:
    """Unpack a parcel on this node, once for all of its actors."""
    job = parcel["job"]
    if parcel["code"]:
        code = shipping.unpack(hash_bytes(parcel["code"]), lambda _: parcel["code"])
        job = moved(job, parcel["project"], str(code))
    shared = SharedFolder(f"{Path(parcel['folder']).name}-fetched")
    for name, refs in parcel["files"].items():
        shared.add(name, lambda refs=refs: ray.get(refs[0]))  # type: ignore[misc]
    shared.add("job.json", job.encode)
    return shared


def _project(target: Any) -> Path | None:
    """Return the folder of the code that an objective is in: where its module is found, None where it is installed."""
    if isinstance(target, list):
        return next((found for one in target if (found := _project(one)) is not None), None)
    if not isinstance(target, dict):
        return None
    file, name = target.get("file"), target.get("name")
    if isinstance(file, str) and isinstance(name, str) and Path(file).is_absolute():
        path = Path(file)
        if "site-packages" in path.parts or __package__.partition(".")[0] == name.partition(".")[0]:
            return None
        depth = name.count(".") + (path.name == "__init__.py")
        return path.parents[depth] if depth < len(path.parents) else path.parent
    return next((found for one in target.values() if (found := _project(one)) is not None), None)
