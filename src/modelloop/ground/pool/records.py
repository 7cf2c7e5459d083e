"""Nouns of work done: a job, who holds it, how a process ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

MAX_ATTEMPTS = 5
"""A job whose worker died, or that was given back as failed, this often is not handed out again."""


LONGEST_LEASE = timedelta(hours=1)
"""Nobody asks for a longer one."""

RUN = "run"
"""The kind of job that a run is; its key is the run's id."""


class JobState(StrEnum):
    """Where a job stands. The last three are final."""

    WAITING = "waiting"
    HELD = "held"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Say whether nothing more will come."""
        return self not in (JobState.WAITING, JobState.HELD)


@dataclass(frozen=True, slots=True)
class Job:
    """A piece of work in the queue."""

    id: str
    kind: str
    key: str
    """With the kind, its name: it is queued once."""
    payload: Mapping[str, Any]
    state: JobState
    attempts: int
    """How often it was claimed. A claim is told from a later one by this number."""
    excused: int
    """Attempts that ended because the worker was stopped or restarted, not the job's fault."""
    worker: str | None
    lease_until: datetime | None
    available_at: datetime
    created_at: datetime
    finished_at: datetime | None
    error: str | None

    @property
    def strikes(self) -> int:
        """Return how many attempts count against it."""
        return self.attempts - self.excused


@dataclass(frozen=True, slots=True)
class ExitStatus:
    """How a child process ended, and what it took."""

    code: int | None
    """Exit status; None if a signal ended it."""
    signal: int | None
    cpu_seconds: float
    """Of the process and of those it waited for."""
    peak_bytes: int
    """Largest resident size of any one of them."""
    wall_seconds: float
    timed_out: bool = False
    stopped: bool = False
    """We ended it."""

    def __str__(self) -> str:
        return f"signal {self.signal}" if self.code is None else f"exit status {self.code}"
