"""Processes that make calls (`callee`): started when needed, kept for the next call, ended with all they started.

Used from one thread, which must last as long as they shall.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from ..core.hashing import canonical_json
from ..flow.bound import end_group
from ..flow.codecs import from_text
from ..flow.records import RunError, Usage
from .machine import environment_of
from .measure import peak_of
from .records import ExitStatus

_RSS_UNIT = 1 if sys.platform == "darwin" else 1024
_START_UP = 120.0
"""A time limit counts from when the process is ready, which it must be within so many seconds more."""
_GRACE = 1.0
_SLICE = 0.1
"""An interrupt that is no signal (Ray's) is noticed between two waits of this length."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a process cannot change once it runs."""

    threads: int = 1
    devices: tuple[str, ...] = ()


@dataclass(slots=True)
class _Asked:
    """The call that is being made."""

    step: str
    memory: int
    gpus: float
    limit: float | None
    began: float
    deadline: float | None


class Member:
    """One process. Its answers are JSON-ready, as `flow.caller` has them; an end of the process is an answer too."""

    def __init__(self, process: subprocess.Popen[bytes], pipe: Connection, lifeline: int, kind: Kind) -> None:
        self.pid, self.pipe, self.kind = process.pid, pipe, kind
        self._process, self._lifeline = process, lifeline
        self._pidfd = os.pidfd_open(process.pid) if hasattr(os, "pidfd_open") else None
        self._ready = False
        self._cpu = 0.0
        self._asked: _Asked | None = None
        self.ended = self.tired = False
        """`tired`: another call should not be made."""

    @property
    def signs(self) -> list[Any]:
        """Return what becomes readable when there is an answer, or it ended: for `multiprocessing.connection.wait`."""
        return [self.pipe] if self._pidfd is None else [self.pipe, self._pidfd]

    @property
    def deadline(self) -> float | None:
        """Return when (time.monotonic) its call has had all its time."""
        return self._asked.deadline if self._asked else None

    def ask(self, asked: Mapping[str, Any], time_limit: float | None) -> None:
        """Have a call made; `look` returns its answer."""
        now = time.monotonic()
        until = None if time_limit is None else now + time_limit + (0.0 if self._ready else _START_UP)
        self._asked = _Asked(asked["step"], asked["memory"], asked["gpus"], time_limit, now, until)
        with suppress(OSError):  # it ended while idle: `look` tells
            self.pipe.send_bytes(canonical_json(dict(asked)))

    def look(self) -> dict[str, Any] | None:
        """Return the answer, or None where there is none yet. Never blocks for long."""
        over = self._over()
        told = self._read()
        if told is None and over:
            told = self._ended_by_itself()
        if told is None and self.deadline is not None and time.monotonic() >= self.deadline:
            told = self._out_of_time()
        if told is not None:
            self._asked = None
        return told

    def end(self) -> ExitStatus:
        """End it and all that it started; return how it ended."""
        self.ended = True
        peak = peak_of(self.pid)
        end_group(self.pid)  # first: while it is not waited for, nobody else gets its number
        _, raw, usage = os.wait4(self.pid, 0)
        code = os.waitstatus_to_exitcode(raw)
        self._process.returncode = code  # Popen must not wait for it again
        self.pipe.close()
        os.close(self._lifeline)
        if self._pidfd is not None:
            os.close(self._pidfd)
        exit_code, signal = (code, None) if code >= 0 else (None, -code)
        wall = 0.0 if self._asked is None else time.monotonic() - self._asked.began
        cpu = usage.ru_utime + usage.ru_stime - self._cpu
        return ExitStatus(exit_code, signal, max(cpu, 0.0), peak or usage.ru_maxrss * _RSS_UNIT, wall)

    def let_go(self) -> None:
        """Tell it that nothing more will be asked: it ends by itself."""
        with suppress(OSError):
            self.pipe.close()

    def wait(self, seconds: float) -> None:
        """Give it so long to end."""
        until = time.monotonic() + seconds
        while not self._over() and time.monotonic() < until:
            time.sleep(0.002)

    def _over(self) -> bool:
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _read(self) -> dict[str, Any] | None:
        try:
            while self.pipe.poll(0):
                data = self.pipe.recv_bytes()
                if data:
                    return self._answered(from_text(data))
                self._begin()
        except (EOFError, OSError):  # closed by what the user's code did, or it is ending
            return self._ended_by_itself()
        return None

    def _begin(self) -> None:
        self._ready = True
        if self._asked is not None:
            self._asked.began = time.monotonic()
            self._asked.deadline = None if self._asked.limit is None else self._asked.began + self._asked.limit

    def _answered(self, told: dict[str, Any]) -> dict[str, Any]:
        self._cpu = told.pop("cpu_so_far")
        # what ran out of memory has holes everywhere
        self.tired = bool(told["error"]) and told["error"]["kind"] == "MemoryError"
        return {**told, "place": f"process {self.pid}"}

    def _ended_by_itself(self) -> dict[str, Any]:
        self.wait(_GRACE)
        assert self._asked is not None
        memory = self._asked.memory
        status = self.end()
        said = f"The process of {_name(self._asked.step)} ended by itself ({status}) before the call did."
        if memory:
            used = f"it was limited to {memory / 1e6:,.0f} MB of memory more than it began with"
            said += f" Some libraries end so for want of memory: {used}, and had {status.peak_bytes / 1e6:,.0f} MB."
        elif status.signal == 9:
            said += " The system ends processes so when memory runs out."
        return self._failed("WorkerDied", said, status)

    def _out_of_time(self) -> dict[str, Any]:
        assert self._asked is not None
        limit = self._asked.limit
        said = f"{_name(self._asked.step)} took longer than its time limit of {limit:g} s and was ended."
        return self._failed("StepTimeout", said, self.end())

    def _failed(self, kind: str, message: str, status: ExitStatus) -> dict[str, Any]:
        assert self._asked is not None
        gpu_seconds = self._asked.gpus * status.wall_seconds
        return {
            "text": "",
            "seconds": status.wall_seconds,
            "points": [],
            "artifacts": [],
            "error": asdict(RunError(kind, message, message, _name(self._asked.step))),
            "usage": asdict(Usage(status.cpu_seconds, status.peak_bytes, status.wall_seconds, gpu_seconds)),
            "place": f"process {self.pid}",
        }


class Crew:
    """The processes of one project.

    `output`: the file they print to; None: where this process prints. `holders`: see `bound.second_holder`.
    """

    def __init__(self, project: Path, blobs_url: str, *, output: Path | None = None, holders: int = 1) -> None:
        self._project, self._blobs_url, self._output, self._holders = project, blobs_url, output, holders
        self._idle: list[Member] = []

    def take(self, kind: Kind) -> Member:
        """Return a process of this kind that waits for a call, or start one."""
        for place, member in enumerate(self._idle):
            if member.kind == kind:
                return self._idle.pop(place)
        return self._start(kind)

    def give(self, member: Member, *, keep: int) -> None:
        """Take a process back after its call; of the idle ones the newest so many are kept."""
        if member.tired and not member.ended:
            member.end()
        if not member.ended:
            self._idle.append(member)
        while len(self._idle) > keep:
            self._idle.pop(0).end()

    def close(self) -> None:
        """Let all idle processes go."""
        idle, self._idle = self._idle, []
        for member in idle:
            member.let_go()
        for member in idle:
            member.wait(_GRACE)
            member.end()

    def _start(self, kind: Kind) -> Member:
        ours, theirs = socket.socketpair()
        reading, writing = os.pipe()
        words = [theirs.fileno(), reading, os.getpid(), self._holders, self._project, self._blobs_url]
        argv = [sys.executable, "-m", f"{__package__}.callee", *map(str, words)]
        env = environment_of(kind.threads, kind.devices, os.environ)
        try:
            process = self._popen(argv, env, (theirs.fileno(), reading))
        except OSError:
            ours.close()
            os.close(writing)
            raise
        finally:
            theirs.close()
            os.close(reading)
        return Member(process, Connection(ours.detach()), writing, kind)

    def _popen(self, argv: list[str], env: dict[str, str], fds: tuple[int, ...]) -> subprocess.Popen[bytes]:
        def start(output: Any) -> subprocess.Popen[bytes]:
            into = {} if output is None else {"stdout": output, "stderr": subprocess.STDOUT}
            return subprocess.Popen(argv, pass_fds=fds, stdin=subprocess.DEVNULL, env=env, process_group=0, **into)

        if self._output is None:
            return start(None)
        with self._output.open("ab") as file:
            return start(file)


def call_alone(crew: Crew, asked: Mapping[str, Any], time_limit: float | None, kind: Kind) -> dict[str, Any]:
    """Make one call in a process of the crew, and wait for it. Whatever interrupts this ends the process first."""
    member = crew.take(kind)
    try:
        member.ask(asked, time_limit)
        while (told := member.look()) is None:
            left = remaining(member.deadline)
            wait(member.signs, _SLICE if left is None else min(left, _SLICE))
    except BaseException:
        if not member.ended:
            member.end()
        raise
    crew.give(member, keep=1)
    return told


def remaining(deadline: float | None) -> float | None:
    """Return the seconds until a deadline; None: there is none."""
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def _name(reference: str) -> str:
    return reference.partition(":")[2]
