"""What runs and steps took of machines, added up for whoever puts a price on it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Taken:
    """What one run, or all calls of one step in a run, took."""

    project: str
    pipeline: str
    run: str
    step: str
    """Empty: the run as a whole, with what its own process did between steps."""
    at: datetime
    """When the run was queued."""
    wall_seconds: float
    cpu_seconds: float
    byte_seconds: float
    """Memory times time, by the peaks."""
    gpu_seconds: float
