"""A crew of processes on this machine: started when they are needed, replaced when they die, ended with this one."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from ...ground.core.errors import Conflict, InvalidInput, PipelineInvalid
from ...ground.pool import machine
from ...ground.pool.crew import Kind, Member
from .events import Event, Failed, Heard, Objective, Reported
from .member import event_of
from .shelf import Shelf
from .target import Target, environment, write_job

_START_UP = 120.0
"""A time limit counts from when the process is ready, which it must be within so many seconds more."""
_LET_GO = 1.0


@dataclass(slots=True)
class _Working:
    """A process and the trial it carries out."""

    member: Member
    number: int
    began: float
    deadline: float | None = None
    stopping: bool = False
    ready: bool = False
    events: list[Event] = field(default_factory=list)


class FolderCrew:
    """`size` processes of this machine for what a folder says (`job.json`). See `events.Crew`.

    `holders`: see `flow.bound.second_holder`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        size: int,
        heard: Heard | None = None,
        time_limit: float | None = None,
        threads: int | None = None,
        holders: int = 1,
    ) -> None:
        self.size, self.folder, self._holders = size, folder, holders
        self._heard, self._limit = heard, time_limit
        self._threads = threads or max(1, machine.processors() // size)
        self._idle: list[Member] = []
        self._busy: list[_Working] = []
        self._events: deque[Event] = deque()
        self._started = 0

    @property
    def pids(self) -> list[int]:
        """Return the numbers of the processes that run."""
        return [member.pid for member in self._idle] + [working.member.pid for working in self._busy]

    def start(self, number: int, params: Mapping[str, Any], seed: int) -> None:
        """Have a trial carried out by a process that waits, or a new one."""
        if len(self._busy) >= self.size:
            raise Conflict(f"{self.size} trials are under way.", hint="Call next() until one is over.")
        message = _encoded({"trial": number, "params": dict(params), "seed": seed})
        while True:
            fresh = not self._idle
            member = self._new() if fresh else self._idle.pop()
            try:
                member.pipe.send_bytes(message)
                break
            except OSError:  # it died while it waited
                member.end()
        now = time.monotonic()
        limit = None if self._limit is None else now + self._limit + (_START_UP if fresh else 0.0)
        self._busy.append(_Working(member, number, now, limit, ready=not fresh))

    def next(self, timeout: float | None = None) -> Event | None:
        """Return what happened next. An interrupt ends all processes."""
        until = None if timeout is None else time.monotonic() + timeout
        try:
            while not self._events and self._busy:
                self._gather(until)
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
                working.stopping = True
                if self._heard is None:
                    _answer(working, stop=True)

    def close(self) -> None:
        """End all processes."""
        for working in self._busy:
            if not working.member.ended:
                working.member.end()
        for member in self._idle:
            member.let_go()
        for member in self._idle:
            member.wait(_LET_GO)
            member.end()
        self._busy, self._idle = [], []

    def _gather(self, until: float | None) -> None:
        """Wait until something happens, and take it in."""
        deadlines = [one for one in (until, *(working.deadline for working in self._busy)) if one is not None]
        soonest = max(0.0, min(deadlines) - time.monotonic()) if deadlines else None
        wait([sign for working in self._busy for sign in working.member.signs], soonest)
        for working in list(self._busy):
            if not self._hear(working) and working.deadline is not None and time.monotonic() >= working.deadline:
                self._end(working, self._out_of_time())

    def _hear(self, working: _Working) -> bool:
        """Take in what a process said; return whether its trial is over."""
        pipe = working.member.pipe
        try:
            while pipe.poll(0):
                if self._take(working, json.loads(pipe.recv_bytes())):
                    return True
        except (EOFError, OSError):
            self._end(working, "")
            return True
        if working.member.signs[1:] and wait(working.member.signs[1:], 0) and not pipe.poll(0):
            self._end(working, "")
            return True
        return False

    def _take(self, working: _Working, said: dict[str, Any]) -> bool:
        if "reported" in said:
            report = Reported(*said["reported"])
            if self._heard is None:
                self._events.append(report)
            else:
                _answer(working, stop=self._heard(report) or working.stopping)
        elif "over" in said:
            self._busy.remove(working)
            self._idle.append(working.member)
            self._events.append(event_of(said["over"]))
            return True
        elif "unloadable" in said:
            raise PipelineInvalid(
                f"The objective cannot be loaded in another process. {said['unloadable']}",
                hint="It must be found where it is defined: at the top of a module or script that can be imported.",
            )
        elif "ready" in said:
            working.began = time.monotonic()
            working.deadline = None if self._limit is None else working.began + self._limit
        return False

    def _end(self, working: _Working, why: str) -> None:
        """End a process whose trial cannot go on, and say so."""
        working.member.wait(0.0 if why else _LET_GO)
        status = working.member.end()
        self._busy.remove(working)
        if not why:
            why = f"The process of the trial ended by itself ({status})."
            why += " The system ends processes so when memory runs out." if status.signal == 9 else ""
        seconds = time.monotonic() - working.began
        self._events.append(Failed(working.number, why, seconds, status.cpu_seconds))

    def _out_of_time(self) -> str:
        return f"The trial took longer than its time limit of {self._limit:g} s, and was ended."

    def _new(self) -> Member:
        ours, theirs = socket.socketpair()
        reading, writing = os.pipe()
        words = [theirs.fileno(), reading, os.getpid(), self._holders, self.folder]
        kind = self._kind()
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", f"{__package__}.member", *map(str, words)],
                pass_fds=(theirs.fileno(), reading),
                stdin=subprocess.DEVNULL,
                env=machine.environment_of(kind.threads, kind.devices, os.environ),
                process_group=0,
            )
        except OSError:
            ours.close()
            os.close(writing)
            raise
        finally:
            theirs.close()
            os.close(reading)
        return Member(process, Connection(ours.detach()), writing, kind)

    def _kind(self) -> Kind:
        """Return what a new process may use: its share of the processors, and one of the GPUs in turn."""
        devices = machine.gpus(os.environ)
        self._started += 1
        device = (devices[self._started % len(devices)],) if devices else ()
        return Kind(self._threads, device)


class ProcessCrew(FolderCrew):
    """Processes of this machine for an objective, with the data that they share."""

    def __init__(
        self,
        objective: Objective,
        *,
        size: int,
        data: Mapping[str, Any],
        heard: Heard | None = None,
        time_limit: float | None = None,
    ) -> None:
        self._shelf = shelved(objective, data, waits=heard is not None)
        super().__init__(self._shelf.folder, size=size, heard=heard, time_limit=time_limit)

    def close(self) -> None:
        """End all processes, and remove what they shared."""
        super().close()
        self._shelf.close()


def shelved(objective: Objective, data: Mapping[str, Any], *, waits: bool) -> Shelf:
    """Return a shelf with all that a crew's processes need. Whoever gets it closes it."""
    shelf = Shelf()
    try:
        specs = {str(name): shelf.put(str(name), value) for name, value in data.items()}
        target = Target(shelf).describe(objective)
        job = {"target": target, "data": specs, "environment": environment(), "waits": waits}
        write_job(shelf.folder, job)
    except BaseException:
        shelf.close()
        raise
    return shelf


def _answer(working: _Working, *, stop: bool) -> None:
    try:
        working.member.pipe.send_bytes(_encoded({"answers": working.number, "stop": stop}))
    except OSError:  # it has ended: its end is told by and by
        working.stopping = True


def _encoded(message: dict[str, Any]) -> bytes:
    try:
        return json.dumps(message).encode()
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            f"The parameters cannot be sent to another process: {error}.",
            hint="They are text, numbers, true, false or None, and lists of these.",
        ) from error
