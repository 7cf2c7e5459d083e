"""How work is measured: CPU seconds (wall times are noise on shared machines), both sides in turn, medians."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path


@dataclass(frozen=True)
class Measured:
    """What came out: ours and the reference's figure in the same unit, lower is better."""

    ours: float
    reference: float
    unit: str
    notes: dict[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True)
class Work:
    """A work, what it is held against, and the ratio ours/reference that it must not exceed."""

    work: str
    reference: str
    bar: float
    run: Callable[[], Measured]


def versions(*packages: str) -> str:
    """Return `python 3.11.7, cyclopts 5.4.0, ...`."""
    return ", ".join([f"python {platform.python_version()}"] + [f"{name} {version(name)}" for name in packages])


def environ() -> dict[str, str]:
    """Return the environment in which both sides run: bytecode may be written and read, as users have it."""
    return {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


def cpu_of(argv: Sequence[str]) -> float:
    """Run a command to its end and return the CPU seconds, user and system, of it and its children."""
    before = os.times()
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environ())
    after = os.times()
    return after.children_user - before.children_user + after.children_system - before.children_system


def paired(ours: Callable[[], float], reference: Callable[[], float], rounds: int) -> tuple[float, float]:
    """Run both in turn, a first round for warmth, and return the medians of the others."""
    pairs = [(ours(), reference()) for _ in range(rounds + 1)][1:]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)


def process_cpu(pid: int) -> float:
    """Return the CPU seconds that a living process has used (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


PYTHON = sys.executable
