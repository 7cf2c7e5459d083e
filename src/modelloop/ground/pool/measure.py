"""What one call takes of its process: limited and measured from within. The process makes one call at a time."""

from __future__ import annotations

import resource
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from ..flow.records import Usage

_RSS_UNIT = 1 if sys.platform == "darwin" else 1024
_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_LEAST_ROOM = 16_000_000
"""The interpreter itself needs some room to say what went wrong."""


class Measured:
    """A context for one call: with a limit of memory, and counting what it takes."""

    def __init__(self, memory: int, gpus: float) -> None:
        self._memory, self._gpus = memory, gpus
        self._limits: tuple[int, int] | None = None
        self._children = _children_peak()
        _forget_peak()
        self._cpu, self._began = cpu_seconds(), time.perf_counter()

    def __enter__(self) -> None:
        """Limit what the process may take beyond what it has: what it loaded before counts for nobody."""
        held = _status("VmData")
        if not self._memory or held is None:
            return
        self._limits = resource.getrlimit(resource.RLIMIT_DATA)
        most = held + max(self._memory, _LEAST_ROOM)
        hard = self._limits[1]
        resource.setrlimit(resource.RLIMIT_DATA, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._limits is not None:
            resource.setrlimit(resource.RLIMIT_DATA, self._limits)

    def usage(self) -> dict[str, Any]:
        """Return what was taken since this was made, JSON-ready."""
        wall = time.perf_counter() - self._began
        children = _children_peak()
        largest_child = children if children > self._children else 0
        peak = max(_peak(), largest_child)
        return asdict(Usage(cpu_seconds() - self._cpu, peak, wall, self._gpus * wall))


def cpu_seconds() -> float:
    """Return the processor time of this process, its threads, and the processes that it waited for."""
    times = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in times)


def peak_of(pid: int) -> int | None:
    """Return the largest resident size of a process that runs; None where it does not, or the kernel does not tell."""
    return _status("VmHWM", Path(f"/proc/{pid}/status"))


def _peak() -> int:
    found = _status("VmHWM")
    return found if found is not None else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT


def _children_peak() -> int:
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * _RSS_UNIT


def _forget_peak() -> None:
    """Have the kernel count the peak from here on (Linux); elsewhere it is that of the whole process."""
    with suppress(OSError):
        _CLEAR.write_text("5")


def _status(name: str, path: Path = _STATUS) -> int | None:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:")), None)
