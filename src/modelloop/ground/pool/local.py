"""Child processes on this machine: started, looked at, stopped; never waited for.

A child has a process group of its own, which ends with its parent, writes what it prints to a file, and is measured
when it ends.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from .records import ExitStatus

_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


def start(
    argv: Sequence[str],
    log_path: Path,
    *,
    time_limit: timedelta | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Child:
    """Start `argv` and return at once. What it prints is appended to `log_path`.

    Call it from a thread that lasts as long as the child shall: the kernel ends the child with the thread that
    started it.
    """
    log_path.parent.mkdir(parents=True, exist_ok=True)
    reading, writing = os.pipe()
    bound = [sys.executable, "-m", f"{__package__}.child", str(os.getpid()), str(reading), *argv]
    try:
        with log_path.open("ab") as log:
            process = subprocess.Popen(
                bound,
                pass_fds=[reading],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=None if env is None else dict(env),
                cwd=cwd,
                process_group=0,
            )
    except OSError:
        os.close(writing)
        raise
    finally:
        os.close(reading)
    return Child(process, log_path, time_limit, writing)


class Child:
    """One child process. Not thread-safe."""

    def __init__(
        self, process: subprocess.Popen[bytes], log_path: Path, time_limit: timedelta | None, lifeline: int
    ) -> None:
        self.pid = process.pid
        self._lifeline = lifeline
        self.log_path = log_path
        self._process = process
        self._began = time.monotonic()
        self._limit = None if time_limit is None else time_limit.total_seconds()
        self._timed_out = self._stopped = False
        self._status: ExitStatus | None = None

    def poll(self) -> ExitStatus | None:
        """Return how it ended, or None while it runs. Ends it where its time is over. Never blocks."""
        if self._status is None and self._limit is not None and time.monotonic() - self._began > self._limit:
            self._timed_out = True
            self._signal(signal.SIGKILL)
        return self._reap(os.WNOHANG)

    def stop(self, *, grace: float = 0.0) -> ExitStatus:
        """End the process and its group (with `grace`: ask first, wait that many seconds); return when it is over."""
        if self.poll() is None:
            self._stopped = True
        if grace > 0:
            self._signal(signal.SIGTERM)
            until = time.monotonic() + grace
            while self.poll() is None and time.monotonic() < until:
                time.sleep(0.01)
        if self._status is None:
            self._signal(signal.SIGKILL)
        status = self._reap(0)
        assert status is not None
        return status

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def _reap(self, flags: int) -> ExitStatus | None:
        if self._status is not None:
            return self._status
        pid, raw, usage = os.wait4(self.pid, flags)
        if pid == 0:
            return None
        code = os.waitstatus_to_exitcode(raw)
        self._process.returncode = code  # Popen must not wait for it again
        self._status = ExitStatus(
            code=code if code >= 0 else None,
            signal=-code if code < 0 else None,
            cpu_seconds=usage.ru_utime + usage.ru_stime,
            peak_bytes=usage.ru_maxrss * _RSS_UNIT,
            wall_seconds=time.monotonic() - self._began,
            timed_out=self._timed_out,
            stopped=self._stopped,
        )
        self._signal(signal.SIGKILL)  # what it left behind in its group
        os.close(self._lifeline)
        return self._status
