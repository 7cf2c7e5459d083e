"""Nouns of answering: arms, routes, predictions, outcomes, rollouts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class Stage(StrEnum):
    """Where a rollout stands."""

    CHECK = "check"
    SHADOW = "shadow"
    CANARY = "canary"
    TEST = "test"
    """A/B test."""
    APPROVAL = "approval"
    BAKE = "bake"
    """It answers everybody; the version before stays loaded, and harm still leads back."""
    LIVE = "live"
    BACK = "back"


@dataclass(frozen=True, slots=True)
class Arm:
    """A version that a gateway holds loaded for an endpoint."""

    version: str
    """`model:number`"""
    package: str
    """Hash of its manifest."""


@dataclass(frozen=True, slots=True)
class LogPolicy:
    """What a gateway writes of a request (`settings.LogSettings`, as far as a gateway needs it)."""

    durability: str = "process"
    """process, disk or buffered"""
    required: bool = False
    drop: tuple[str, ...] = ()
    mask: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lookup:
    """An online table that a gateway joins to each request."""

    name: str
    key: tuple[str, ...]
    values: tuple[str, ...]
    max_age_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """What answers at one endpoint. With a challenger, `stage` is check, shadow, canary, test or bake; without, live.

    In a bake the challenger is the version before: it scores beside the new one, and is what a rollback returns to.
    """

    endpoint: str
    champion: Arm
    challenger: Arm | None = None
    stage: Stage = Stage.LIVE
    share: float = 0.0
    """Shadow, bake: share of requests also scored; canary, test: share of keys answered by the challenger."""
    salt: str = ""
    key: str | None = None
    max_body: int = 1_000_000
    max_rows: int = 1000
    standby: tuple[Arm, ...] = ()
    """Held loaded and answering nothing unless asked for by number: what a rollback returns to in an instant."""
    outcome_key: str | None = None
    log: LogPolicy = LogPolicy()
    features: tuple[Lookup, ...] = ()
    timeout_ms: int = 10_000
    batch_rows: int = 64
    slices: tuple[str, ...] = ()
    """Columns whose values are written beside each prediction: the loss is guarded in each of them."""


@dataclass(frozen=True, slots=True)
class RoutingTable:
    """What control publishes and gateways follow: the document `routing/table.json`. Replaced whole, never edited."""

    generation: int
    routes: tuple[Route, ...]
    epoch: int = 0
    """Raised where generations begin again at a lower number (facts restored from a backup): gateways, which never go
    back to an older generation, take this one all the same."""


@dataclass(frozen=True, slots=True)
class GatewayReport:
    """What a gateway says of itself, about once a second: the document `gateways/ID.json`."""

    gateway: str
    generation: int
    at: datetime
    address: str
    pid: int
    loaded: tuple[str, ...]
    failed: Mapping[str, str]
    """Version -> why it could not be loaded."""
    answered: int
    shadow_scored: int
    shadow_dropped: int
    shadow_failed: int
    errors: int = 0
    """Requests that failed on our side (5xx)."""
    log_failed: int = 0
    """Records that the prediction log did not take (a full disk); the answers were sent."""
    stale_since: datetime | None = None
    """Since when the gateway could not look at its routing table; it answers with the last one. None: it can."""
    shadow_lag: float = 0.0
    """For how many seconds the oldest request that the challenger is still to score beside has waited."""
    source: str = ""
    """Where the gateway's table comes from: the store, its own `--state`, ..."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """One answered row: facts of the prediction log."""

    id: str
    row: int
    endpoint: str
    event_time: datetime
    at: datetime
    arm: str
    """champion or challenger: which version's answer the caller got."""
    version: str
    score: float
    milliseconds: float
    error: str | None = None
    """Why the challenger could not answer this request, where the champion stood in."""
    shadow_version: str | None = None
    shadow_score: float | None = None
    shadow_error: str | None = None
    shadow_milliseconds: float | None = None
    label: float | None = None
    business_key: str | None = None
    """The value of the endpoint's `outcome_key`."""
    answer: Mapping[str, Any] | None = None
    """This row's outputs by name, where a version has more than the one score."""
    shadow_answer: Mapping[str, Any] | None = None
    slices: Mapping[str, Any] | None = None
    """This row's values of the columns in whose slices the loss is guarded."""
    missing: tuple[str, ...] | None = None
    """Inputs that this row did not have."""
    latency: float | None = None
    """Milliseconds from the whole request to its answer."""
    gateway: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The truth that arrives later, joined by prediction id. The last one for a row counts; all are kept."""

    prediction: str
    label: float
    event_time: datetime
    """When the truth became known."""
    row: int = 0


@dataclass(frozen=True, slots=True)
class Truth:
    """The truth as somebody sends it: of a prediction by its id, or of a business key."""

    label: float | str
    """A text is the name of a class."""
    prediction: str | None = None
    key: str | None = None
    """The value of the endpoint's `outcome_key`: the latest prediction with it at or before `event_time` is meant."""
    event_time: datetime | None = None
    """When it became known. None: now, and whichever is the latest prediction of the key."""
    row: int | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that no version answered, because of the version and not of the request."""

    id: str
    endpoint: str
    event_time: datetime
    at: datetime
    arm: str
    version: str
    error: str
    rows: int


@dataclass(frozen=True, slots=True)
class LogLoss:
    """What one writer of the prediction log (a start of a gateway) could not keep."""

    gateway: str
    started: str
    """Names its files."""
    at: datetime
    """When this was last found out."""
    alive: bool
    killed: int
    """Buffered records that ended with its process."""
    failed: int
    """Records that the disk refused."""
    lost: int
    """Buffered records that were turned away because too many waited."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How much was removed of what was answered."""

    predictions: int = 0
    outcomes: int = 0
    failures: int = 0
    waiting: int = 0
    parts: int = 0


@dataclass(frozen=True, slots=True)
class Erasure:
    """The rows of a business key leave: what is gone, and where bytes of them may still stand."""

    id: str
    endpoint: str
    reason: str
    fingerprint: str
    """Keyed hash of the key; the key itself is forgotten when nothing is pending."""
    asked_at: datetime
    actor: str
    finished_at: datetime | None = None
    """None: something is pending. Each turn of the loop goes on with it."""
    predictions: int = 0
    outcomes: int = 0
    waiting: int = 0
    rewritten: int = 0
    """Files of inputs that were written again without them."""
    pending: tuple[str, ...] = ()
    """What is waited for: log files (GATEWAY/FILE) whose gateway has not closed them yet, gateways that still hold
    buffered records (GATEWAY/START.counts), and bytes of rewritten parts (hashes)."""
    by_hand: tuple[str, ...] = ()
    """Log files that were set aside as damaged, of any key: what they hold only a person can tell."""


@dataclass(frozen=True, slots=True)
class ArmEvidence:
    """What one arm did in a stage."""

    asked: int
    failed: int
    labelled: int
    mean_loss: float | None
    median_ms: float | None


@dataclass(frozen=True, slots=True)
class StageVerdict:
    """The answer of a stage, with the numbers it rests on (JSON-ready)."""

    decision: str
    """better, worse or not yet"""
    reason: str
    numbers: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rollout:
    """The staged change of what answers at an endpoint."""

    id: str
    endpoint: str
    champion: str | None
    """None: the first version goes live after its checks."""
    challenger: str
    stage: Stage
    step: int
    """Index of the canary step."""
    started_at: datetime
    stage_since: datetime
    """Wall time at which the present stage began to count: rows answered before do not."""
    verdicts: tuple[StageVerdict, ...]
    """One per finished stage, plus the latest `not yet` of the present one."""
    reason: str
    actor: str
    approved_by: str | None = None
    paused_by: str | None = None
    """Who holds it where it is; harm still leads back."""
    paused_at: datetime | None = None
    held_seconds: float = 0.0
    """How long the present stage was paused before: its clock stood still."""


@dataclass(frozen=True, slots=True)
class Live:
    """A version that came to answer at an endpoint."""

    endpoint: str
    version: str
    before: str | None
    """What answered before, and what a rollback returns to."""
    at: datetime
    event_time: datetime | None
    """Where the data's clock stood: the latest prediction's event time. None: nothing was answered yet."""
    rollout: str | None
    reason: str
    actor: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """How many outcomes were taken in, and the ids that nobody answered."""

    accepted: int
    unknown: tuple[str, ...] = ()
    waiting: int = 0
    """How many fit no prediction yet; they join it when the log brings it."""


@dataclass(frozen=True, slots=True)
class EndpointState:
    """What an endpoint does now."""

    name: str
    model: str
    task: str
    champion: str | None
    rollout: str | None
    """The open one."""
