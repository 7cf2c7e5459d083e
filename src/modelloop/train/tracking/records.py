"""Nouns of tracking: experiments, tracked runs and what they logged.

Times are whole milliseconds since 1970, as MLflow has them, so that what is imported stays exact. What is made by the
thousand (`Metric`, `Param`, `Tag`) is a msgspec Struct: it costs a tenth of a dataclass.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")

MAX_KEY = 250
MAX_PARAM_VALUE = 6000
MAX_TAG_VALUE = 8000
MAX_EXPERIMENT_TAG_VALUE = 20_000
MAX_EXPERIMENT_NAME = 500
MAX_RUN_NAME = 1000
MAX_USER = 256
MAX_BATCH = 1000
MAX_BATCH_METRICS = 1000
MAX_BATCH_PARAMS = 100
MAX_BATCH_TAGS = 100
MAX_HISTORY_PAGE = 25_000
MAX_SEARCH_PAGE = 50_000
MAX_ARTIFACT_PATH = 1000
MAX_DATASET_NAME = 500
MAX_DATASET_DIGEST = 36
MAX_DATASET_SOURCE = 65_535
MAX_DATASET_SCHEMA = 1_048_575
MAX_DATASET_PROFILE = 16_777_215
CHUNK = 16 * 1024 * 1024
"""An artifact is kept in parts of this size: what an upload or a download holds in memory at most."""

DEFAULT_EXPERIMENT = 0
RUN_NAME_TAG = "mlflow.runName"
"""MLflow keeps a run's name in its tags too; the two say the same."""
INT64 = 2**63


class View(StrEnum):
    """Which experiments or runs are looked at."""

    ACTIVE = "active"
    DELETED = "deleted"
    ALL = "all"


class Lifecycle(StrEnum):
    """Whether something is there, or was put away (and may come back)."""

    ACTIVE = "active"
    DELETED = "deleted"


class TrackedState(StrEnum):
    """Where a tracked run stands, in MLflow's words. The last three are ends."""

    RUNNING = "RUNNING"
    SCHEDULED = "SCHEDULED"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"


class ModelState(StrEnum):
    """Where a logged model stands, in MLflow's words."""

    PENDING = "LOGGED_MODEL_PENDING"
    READY = "LOGGED_MODEL_READY"
    FAILED = "LOGGED_MODEL_UPLOAD_FAILED"


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some of many. `next_token` leads to those after them; None: there are no more."""

    items: Sequence[T]
    next_token: str | None = None


@dataclass(frozen=True, slots=True)
class Experiment:
    """Runs that belong together."""

    id: int
    name: str
    lifecycle: Lifecycle
    made_ms: int
    changed_ms: int
    tags: Mapping[str, str] = field(default_factory=dict)


class Metric(msgspec.Struct, frozen=True):
    """One value of a metric. NaN and infinities are values like others.

    `model_id` says that it is a value of a logged model too, and the dataset on which it was measured.
    """

    name: str
    value: float
    step: int = 0
    at_ms: int = 0
    model_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None
    run_id: str | None = None
    """Set where metrics of many runs come together, and on the metrics of a logged model."""

    def same_value(self, other: Metric) -> bool:
        """Say whether the values are equal, NaN being equal to NaN."""
        return self.value == other.value or (math.isnan(self.value) and math.isnan(other.value))


class Param(msgspec.Struct, frozen=True):
    """What a run was set to; it never changes."""

    name: str
    value: str


class Tag(msgspec.Struct, frozen=True):
    """A note on a run; the last one of a name holds."""

    name: str
    value: str


class Batch(msgspec.Struct, frozen=True):
    """What is written to one run at once, or not at all."""

    run_id: str
    metrics: Sequence[Metric] = ()
    params: Sequence[Param] = ()
    tags: Sequence[Tag] = ()
    dropped_tags: Sequence[str] = ()
    status: TrackedState | None = None
    end_ms: int | None = None
    name: str | None = None
    """The run's new name."""


@dataclass(frozen=True, slots=True)
class DatasetInput:
    """A dataset that a run was given. `tags` say what for (`mlflow.data.context`: "training")."""

    name: str
    digest: str
    source_type: str = ""
    source: str = ""
    schema: str | None = None
    profile: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelOutput:
    """A logged model that a run made, at a step."""

    model_id: str
    step: int = 0


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """A run with what it logged: the latest value of each metric, all params and tags, its datasets and models."""

    id: str
    experiment: int
    name: str
    user: str
    status: TrackedState
    lifecycle: Lifecycle
    start_ms: int | None
    end_ms: int | None
    revision: int
    """Grows with every change: what was made of a run holds as long as this is the same."""
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    inputs: Sequence[DatasetInput] = ()
    model_inputs: Sequence[str] = ()
    model_outputs: Sequence[ModelOutput] = ()


@dataclass(frozen=True, slots=True)
class LoggedModel:
    """A model that a run logged, or that was logged by itself."""

    id: str
    experiment: int
    name: str
    status: ModelState
    kind: str
    """`model_type` of MLflow: free text."""
    source_run: str | None
    made_ms: int
    changed_ms: int
    lifecycle: Lifecycle
    status_message: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Sequence[Metric] = ()


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose artifacts: those of a run or of a logged model."""

    kind: str
    """run or model."""
    id: str


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file or folder among artifacts. `path` is whole, from the owner's root."""

    path: str
    size: int = 0
    is_dir: bool = False
    digest: str | None = None
    """SHA-256 of the whole file, where it is known."""


@dataclass(frozen=True, slots=True)
class FoundRun:
    """A run that a search found: enough to know whether a document made of it still holds."""

    id: str
    revision: int
