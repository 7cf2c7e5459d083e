"""Nouns of turning the loop: an episode is one turn, signal -> run -> verdict -> rollout -> result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class EpisodeState(StrEnum):
    """Where a turn of the loop stands."""

    RUNNING = "running"
    JUDGED = "judged"
    ROLLING = "rolling"
    CLOSED = "closed"


class Result(StrEnum):
    """How a turn ended."""

    PROMOTED = "promoted"
    REFUSED = "refused"
    ROLLED_BACK = "rolled back"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Episode:
    """One turn of the loop, with the evidence of each part (JSON-ready)."""

    id: str
    number: int
    """Counted per project, for people."""
    endpoint: str
    pipeline: str
    state: EpisodeState
    trigger: str
    """Name of the trigger, or `person`."""
    signal: str | None
    """What started it: a signal id, a dataset version, or None."""
    reason: str
    params: Mapping[str, Any]
    """Arguments over those of the pipeline."""
    event_time: datetime
    """Where the data's clock stood when it opened; before the first answer the wall's (evidence: as_of null)."""
    opened_at: datetime
    run: str | None = None
    version: str | None = None
    rollout: str | None = None
    result: Result | None = None
    closed_at: datetime | None = None
    evidence: Mapping[str, Any] | None = None
    """signal, run, gates, rollout stages, result: each as it was when decided."""
    closed_event_time: datetime | None = None
    """Where the data's clock stood when it closed: cool-downs count from here."""


FAILED = "failed"
"""The verdict on a run whose candidate could not be judged."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What a finished run of a pipeline came to: a judged version, or why there is none."""

    run: str
    version: str | None
    verdict: str
    """pass, fail, missing evidence, or `failed` where the candidate could not be judged."""
    reason: str
    evidence: Mapping[str, Any]
    """Gates, headline, comparison, parity: JSON-ready."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Once around the loop."""

    number: int
    at: datetime
    busy: bool
    """Something is under way that ends without new traffic: a queued or running run, a version to judge or to check."""
    predictions: int
    """Rows taken in so far; `outcomes` likewise."""
    outcomes: int
    watermark: datetime | None
    """Latest event time of any prediction."""
    errors: Mapping[str, str]
    """Part of the loop -> what went wrong there; the other parts went on."""


@dataclass(frozen=True, slots=True)
class Fire:
    """What became of a cause that a trigger met."""

    trigger: str
    mark: str
    """Names the cause: an instant of a calendar (ISO 8601), or DATASET:VERSION."""
    decided_at: datetime
    what: str
    """fired, skipped, failed, or begun: the trigger was seen for the first time."""
    reason: str
    run: str | None = None
    episode: str | None = None


@dataclass(frozen=True, slots=True)
class TriggerState:
    """A trigger of the project file and what it did."""

    name: str
    on: str
    pipeline: str
    endpoint: str | None
    upcoming: datetime | None
    """The next instant of its calendar."""
    fires: tuple[Fire, ...]
    """Newest first; of triggers that open episodes by signals, see the episodes."""
