"""Nouns of work: a run of a pipeline, the calls of steps in it, what they were called with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any


class RunState(StrEnum):
    """Where a run stands. The last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    """For the answer of a person; nothing is held meanwhile."""
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Say whether nothing more will happen."""
        return self in (RunState.DONE, RunState.FAILED, RunState.CANCELLED)


class StepState(StrEnum):
    """How a call of a step came to its result."""

    DONE = "done"
    CACHED = "cached"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class InputRef:
    """A version of a dataset that a run is given, by name, number and content."""

    dataset: str
    version: int
    digest: str


@dataclass(frozen=True, slots=True)
class CodeVersion:
    """Which code ran. Without git, `commit` is empty and the difference is the whole source."""

    commit: str = ""
    dirty: bool = False
    diff: str | None = None
    """Blob: what differs from the commit in the project folder, as a unified diff. None: nothing."""
    digest: str = ""
    """Of the pipeline function and all project code it reaches."""


@dataclass(frozen=True, slots=True)
class RunError:
    """Why a run or step failed, as the user's code raised it."""

    kind: str
    """Name of the exception class."""
    message: str
    traceback: str
    """Without Modelloop's own frames."""
    step: str | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What a run took of its machine, over all its attempts."""

    cpu_seconds: float = 0.0
    peak_bytes: int = 0
    wall_seconds: float = 0.0
    gpu_seconds: float = 0.0
    """GPUs that were set apart for it, times their seconds."""


@dataclass(frozen=True, slots=True)
class MetricPoint:
    """One logged value."""

    name: str
    value: float
    step: int | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a pipeline."""

    id: str
    pipeline: str
    function: str
    """MODULE:FUNCTION in the project folder."""
    project_dir: str
    state: RunState
    params: Mapping[str, Any]
    inputs: Mapping[str, InputRef]
    seed: int
    time_limit: timedelta
    episode: str | None
    queued_at: datetime
    attempt: int = 0
    """How often it was begun; above one, a process died on the way."""
    worker: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    cancel_asked: bool = False
    code: CodeVersion = field(default_factory=CodeVersion)
    environment: str | None = None
    """Blob: JSON with the Python version, platform and all packages."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """The last value of each."""
    artifacts: Mapping[str, str] = field(default_factory=dict)
    """Name -> blob."""
    stdout: str | None = None
    """Blob: what the process printed, all attempts one after the other."""
    usage: Usage = field(default_factory=Usage)
    error: RunError | None = None
    project: str = ""
    """Name of the project that it belongs to."""


@dataclass(frozen=True, slots=True)
class Wait:
    """A question to a person, for whose answer a run waits."""

    id: str
    run: str
    name: str
    question: str
    choices: tuple[str, ...]
    asked_at: datetime
    answer: str | None = None
    comment: str = ""
    answered_at: datetime | None = None
    answered_by: str = ""


@dataclass(frozen=True, slots=True)
class StepKey:
    """What a result depends on, part by part, so that "why did it run again" has an answer."""

    digest: str
    code: Mapping[str, str]
    """Function, class or constant -> digest, for all project code that the step reaches."""
    arguments: Mapping[str, str]
    seed: int | None
    """None: the step uses no randomness."""
    environment: str
    shown: Mapping[str, str] = field(default_factory=dict)
    """Argument -> what it is, in a few letters: no part of the key."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is different from the call before."""

    what: str
    """code, argument, seed, package, or result (its bytes are gone)."""
    name: str
    before: str
    """Empty: it was not there."""
    now: str
    """Empty: it is gone."""
    diff: str = ""
    """Of code: the lines that changed."""


@dataclass(frozen=True, slots=True)
class Why:
    """Why a call of a step was made, or where its result came from."""

    run: str
    number: int
    step: str
    state: StepState
    reason: str
    compared: str | None
    """The run whose call it is compared with. None: there is none, or nothing was made."""
    changes: Sequence[Change] = ()


@dataclass(frozen=True, slots=True)
class StepRun:
    """One call of a step in a run."""

    number: int
    """Order of the calls in the run, from 0."""
    name: str
    key: StepKey
    nth: int
    """How many calls with the same key came before it in the run."""
    state: StepState
    reason: str
    """Why it ran, or where its result came from."""
    seconds: float
    finished_at: datetime
    output: str | None
    """Digest of the result."""
    error: RunError | None = None
    attempts: int = 1
    """How often it was tried in its run."""
    usage: Usage = field(default_factory=Usage)
    place: str = ""
    """Where it was carried out; empty: in the run's own process."""
