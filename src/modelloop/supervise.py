"""`modelloop up`: start the processes, start again what died, end all of them together.

Only processes started here are ever signalled, by their own handle. Children die with the supervisor (Linux: a
parent-death signal), so a SIGKILL of it leaves nothing behind. What runs where stands in `.modelloop/up.json`.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .deploy.gateway.command import Held, gateway_argv
from .ground.core.errors import AddressRefused, Conflict, NotReady
from .ground.core.settings import Settings

STATE = "up.json"
LOOK_EVERY = 0.1
END_SECONDS = 10.0
PATIENCE = 3
"""So many deaths within CALM seconds are met with an immediate restart; each further one doubles the least time from
one start to the next: what lived longer than that is started again at once."""
CALM = 20.0
LONGEST_PAUSE = 5.0

_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Program:
    """One process to keep running."""

    name: str
    kind: str
    """control, worker or gateway"""
    argv: tuple[str, ...]
    address: str | None = None
    health: str | None = None
    """Path that answers 200 once it is ready."""
    held: Held | None = None
    """A gateway's socket: kept open while its process is started again."""


@dataclass(slots=True)
class _Kept:
    program: Program
    process: subprocess.Popen[bytes] | None = None
    restarts: int = 0
    started: float = 0.0
    again_at: float = 0.0
    asked_at: float | None = None
    """When it was asked to end, to be started again."""
    deaths: deque[float] = field(default_factory=lambda: deque(maxlen=32))


def programs(settings: Settings) -> tuple[Settings, list[Program]]:
    """Return the settings with ports chosen where they were 0, and the processes they ask for."""
    chosen = _with_ports(settings)
    start = (sys.executable, "-m", "modelloop")
    place = ("--project", str(chosen.project_dir))
    control = f"http://{_bracketed(chosen.host)}:{chosen.control_port}"
    listed = [
        Program(
            "control", "control", (*start, "control", *place, "--port", str(chosen.control_port)), control, "/health"
        )
    ]
    for number in range(1, chosen.workers + 1):
        name = "worker" if chosen.workers == 1 else f"worker{number}"
        listed.append(Program(name, "worker", (*start, "worker", *place)))
    return chosen, listed + gateways(chosen)


def gateways(settings: Settings) -> list[Program]:
    """Return the gateways: at each port as many processes as are to share it, and the one that speaks gRPC."""
    listed = []
    for number in range(1, settings.gateways * settings.gateway_processes + 1):
        port = settings.gateway_port + (number - 1) // settings.gateway_processes
        held = Held(settings.host, port, share=settings.gateway_processes > 1)
        argv = gateway_argv(settings, port, f"g{number}")
        address = f"http://{_bracketed(settings.host)}:{port}"
        listed.append(Program(f"gateway{number}", "gateway", argv, address, held=held))
    if settings.grpc_port:
        argv = gateway_argv(settings, settings.grpc_port, "grpc1", face="grpc")
        listed.append(Program("grpc1", "gateway", argv, f"grpc://{_bracketed(settings.host)}:{settings.grpc_port}"))
    return listed


class Supervisor:
    """Keeps programs running. Single-threaded: call `turn` every LOOK_EVERY seconds, `end` in any case."""

    def __init__(self, home: Path, wanted: Sequence[Program], say: Callable[[str], None]) -> None:
        self._home = home
        self._kept = [_Kept(program) for program in wanted]
        self._say = say
        self._rolling: deque[_Kept] = deque()
        self.ready = False

    def turn(self) -> None:
        """Start what is not running and may run again; write the state file where something changed."""
        changed = False
        for kept in self._kept:
            if kept.process is not None and (code := kept.process.poll()) is not None:
                self._bury(kept, code)
                changed = True
            if kept.process is None and time.monotonic() >= kept.again_at:
                kept.process, kept.started = self._start(kept.program), time.monotonic()
                changed = True
        if not self.ready and all(_answers(kept) for kept in self._kept):
            self.ready = changed = True
        self._roll()
        if changed:
            self._write()

    def roll(self) -> None:
        """Start the gateways again, one after the other: each is answering before the next is asked to end."""
        self._rolling.extend(kept for kept in self._kept if kept.program.kind == "gateway")

    def _roll(self) -> None:
        for kept in self._kept:
            overdue = kept.asked_at is not None and time.monotonic() - kept.asked_at > END_SECONDS
            if overdue and kept.process is not None:
                kept.process.kill()
        if not self._rolling or not all(_answers(kept) for kept in self._kept):
            return
        kept = self._rolling.popleft()
        if kept.process is not None:
            kept.asked_at = time.monotonic()
            kept.process.terminate()

    def end(self) -> None:
        """Ask every child to end, wait, insist; then remove the state file."""
        living = [kept.process for kept in self._kept if kept.process is not None]
        for process in living:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        deadline = time.monotonic() + END_SECONDS
        for process in living:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for kept in self._kept:
            if kept.program.held is not None:
                kept.program.held.release()
        (self._home / STATE).unlink(missing_ok=True)

    def _bury(self, kept: _Kept, code: int) -> None:
        now = time.monotonic()
        kept.process = None
        kept.restarts += 1
        if kept.asked_at is not None:
            kept.asked_at = None
            self._say(f"{kept.program.name} ended as it was asked to; starting it again")
            return
        kept.deaths.append(now)
        pause = pause_after([now - death for death in kept.deaths], lived=now - kept.started)
        kept.again_at = now + pause
        if kept.program.held is not None:
            kept.program.held.release() if pause else kept.program.held.forget()
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        when = f"starting it again in {pause:.1f} s" if pause else "starting it again"
        self._say(f"{kept.program.name} {how}; {when} (log: {self._log(kept.program)})")

    def _start(self, program: Program) -> subprocess.Popen[bytes]:
        path = self._log(program)
        path.parent.mkdir(parents=True, exist_ok=True)
        words, handed = ((), ()) if program.held is None else program.held.hand_down()
        try:
            return self._spawn((*program.argv, *words), handed, path)
        finally:
            if handed:
                os.close(handed[1])

    def _spawn(self, argv: Sequence[str], handed: Sequence[int], path: Path) -> subprocess.Popen[bytes]:
        with path.open("ab") as log:
            return subprocess.Popen(
                argv,
                pass_fds=handed,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_dying_with(os.getpid()),  # noqa: PLW1509 - this process has one thread
            )

    def _log(self, program: Program) -> Path:
        return self._home / "logs" / f"{program.name}.log"

    def _write(self) -> None:
        draft = self._home / f".{STATE}"
        draft.write_text(json.dumps(self.state(), indent=2))
        draft.replace(self._home / STATE)

    def state(self) -> dict[str, object]:
        """Return what runs where, JSON-ready."""
        listed = [
            {
                "name": kept.program.name,
                "kind": kept.program.kind,
                "pid": kept.process.pid if kept.process else None,
                "address": kept.program.address,
                "restarts": kept.restarts,
                "log": str(self._log(kept.program)),
            }
            for kept in self._kept
        ]
        return {"pid": os.getpid(), "ready": self.ready, "processes": listed}


def pause_after(ages: Sequence[float], *, lived: float = 0.0) -> float:
    """Return how long to wait before a restart, given how long ago each death was (the newest is among them).

    `lived`: how long the process that died now had run; that much of the time between two starts is over already.
    """
    many = sum(age <= CALM for age in ages) - PATIENCE
    between = 0.0 if many <= 0 else min(0.25 * 2.0 ** (many - 1), LONGEST_PAUSE)
    return max(0.0, between - lived)


def running(home: Path) -> dict[str, object] | None:
    """Return the state that a living supervisor wrote, or None."""
    try:
        state: dict[str, object] = json.loads((home / STATE).read_text())
        os.kill(int(str(state["pid"])), 0)
    except (OSError, ValueError, KeyError):
        return None
    return state


@contextlib.contextmanager
def alone(home: Path) -> Iterator[None]:
    """Hold the place of the one supervisor of this folder; raises Conflict where there is one."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "up.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Conflict(f"`modelloop up` already runs on {home}.", hint="`modelloop status` shows where.") from error
        yield


def keep_up(supervisor: Supervisor, *, when_ready: Callable[[], None], ready_within: float = 60.0) -> None:
    """Run until SIGINT or SIGTERM; SIGHUP starts the gateways again, one after the other, and no caller notices.

    Raises NotReady where the processes never come up.
    """
    asked: list[int] = []
    before: dict[int, Any] = {
        number: signal.signal(number, lambda got, _frame: asked.append(got))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    before[signal.SIGHUP] = signal.signal(signal.SIGHUP, lambda _got, _frame: supervisor.roll())
    told, deadline = False, time.monotonic() + ready_within
    try:
        while not asked:
            supervisor.turn()
            if supervisor.ready and not told:
                when_ready()
                told = True
            if not told and time.monotonic() > deadline:
                raise NotReady(
                    f"The processes did not come up within {ready_within:.0f} s.", hint="Read .modelloop/logs."
                )
            time.sleep(LOOK_EVERY)
    finally:
        supervisor.end()
        for number, handler in before.items():
            signal.signal(number, handler)


def _answers(kept: _Kept) -> bool:
    program = kept.program
    if kept.process is None or kept.process.poll() is not None:
        return False
    if program.held is not None:
        return program.held.up()
    if program.address is None or program.health is None:
        return True
    parts = urlsplit(program.address)
    host = "127.0.0.1" if parts.hostname in ("0.0.0.0", "::", None) else parts.hostname  # noqa: S104 - compared only
    connection = http.client.HTTPConnection(host, parts.port, timeout=1)
    try:
        connection.request("GET", program.health)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _with_ports(settings: Settings) -> Settings:
    control = settings.control_port or free_ports(settings.host, 1)
    gateway = settings.gateway_port or free_ports(settings.host, settings.gateways, but=control)
    others = (settings.grpc_port,) if settings.grpc_port else ()
    for port in (control, *range(gateway, gateway + settings.gateways), *others):
        if not _is_free(settings.host, port):
            raise AddressRefused(
                f"Port {port} on {settings.host} is taken.",
                hint="Set MODELLOOP_CONTROL_PORT, MODELLOOP_GATEWAY_PORT or MODELLOOP_GRPC_PORT; 0 takes free ones.",
            )
    return replace(settings, control_port=control, gateway_port=gateway)


def free_ports(host: str, count: int, *, but: int = 0) -> int:
    """Return the first of `count` free ports in a row.

    Below the range from which the system gives ports to outgoing connections: a process started again finds its port.
    """
    for _ in range(200):
        first = 10_000 + secrets.randbelow(20_000)
        wanted = range(first, first + count)
        if but not in wanted and all(_is_free(host, port) for port in wanted):
            return first
    raise AddressRefused(f"No {count} free ports in a row were found on {host}.")


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _dying_with(parent: int) -> Callable[[], None]:
    """Return what a child does between fork and exec: ask to be killed when its parent dies."""

    def ask() -> None:
        if _LIBC is not None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != parent:  # it died in between
                os._exit(1)

    return ask
