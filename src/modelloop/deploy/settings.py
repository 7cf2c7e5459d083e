"""What the project file says about answering: endpoints and how a new version comes to answer there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from ..ground.core.toml import setting


class Strategy(StrEnum):
    """How a challenger is brought before callers."""

    CANARY = "canary"
    """Shadow, then a growing share of callers, then all."""
    BLUE_GREEN = "blue_green"
    """Shadow, then all callers at once; the version before stays loaded."""
    AB_TEST = "ab_test"
    """One fixed share of callers until one of the two is shown to be better, or the exposure is used up."""


class Goal(StrEnum):
    """What a challenger must show."""

    NOT_WORSE = "not_worse"
    """Its mean loss is not larger than the champion's by `margin` or more."""
    BETTER = "better"
    """Its mean loss is smaller than the champion's by more than `margin`."""


class Durability(StrEnum):
    """When a record of the prediction log is safe."""

    PROCESS = "process"
    """In the page cache before the answer leaves: survives a killed process."""
    DISK = "disk"
    """On the disk before the answer leaves: survives a power failure."""
    BUFFERED = "buffered"
    """Within a second: what a killed process had not written is lost, and counted."""


@dataclass(frozen=True, slots=True)
class RolloutSettings:
    """The staged change of what answers: shadow, canary steps, live, bake, or back. Counts are of the stage."""

    strategy: Strategy = setting("how a challenger is brought before callers", default=Strategy.CANARY)
    goal: Goal = setting("what a challenger must show before it goes on", default=Goal.NOT_WORSE)
    shadow_fraction: float = setting(
        "share of answered requests that the challenger also scores", default=1.0, least=0, most=1
    )
    shadow_rows: int = setting(
        "labelled rows scored by both before the shadow may pass; 0 leaves the stage out", default=300, least=0
    )
    canary: tuple[float, ...] = setting("shares of traffic the challenger answers, step by step", default=(0.1, 0.5))
    canary_rows: int = setting("rows the challenger must have been asked in each canary step", default=50, least=1)
    test_share: float = setting("A/B test: share of traffic the challenger answers", default=0.5, least=0, most=1)
    bake_rows: int = setting(
        "rows after going live in which the version before is kept loaded and harm still leads back; 0: no bake",
        default=0,
        least=0,
    )
    least_seconds: float = setting("least time in each stage, seconds of the machine's clock", default=0.0, least=0)
    max_rows: int = setting("rows in a stage after which `not yet` becomes back", default=20000, least=1)
    max_hours: float = setting(
        "hours in a stage after which `not yet` becomes back, if there was traffic; 0: no limit", default=0.0, least=0
    )
    outcome_hours: float = setting(
        "hours after its request before an outcome counts: as long as outcomes take, where some kinds are known sooner "
        "than others; 0: at once",
        default=0.0,
        least=0,
    )
    margin: float = setting(
        "how much larger the challenger's mean loss may be (Brier score, or absolute error in units of the label's "
        "spread)",
        default=0.01,
        least=0,
    )
    false_promotion: float = setting(
        "chance that a stage lets a version on whose loss is worse by the margin, however often one looks",
        default=0.05,
        least=1e-6,
        most=0.5,
    )
    false_rollback: float = setting(
        "chance that a stage sends a version back that keeps every limit, however often one looks",
        default=0.05,
        least=1e-6,
        most=0.5,
    )
    max_error_rate: float = setting("share of requests the challenger may fail", default=0.01, least=0, most=1)
    max_latency_ratio: float = setting(
        "latency of the challenger against the champion's, while both answer; below 1 ms nothing is too long",
        default=5.0,
        least=1,
    )
    latency_quantile: float = setting("which latency is compared; .5: median", default=0.5, least=0.5, most=0.999)
    max_latency_ms: float | None = setting(
        "most milliseconds at that quantile; none if left out", default=None, least=0
    )
    max_disagreement: float | None = setting(
        "most that both versions' answers to the same request may differ on average, in units of the loss; none if "
        "left out",
        default=None,
        least=0,
    )
    max_missing: float | None = setting(
        "most of any one input that may be missing in what the challenger is asked; none if left out",
        default=None,
        least=0,
        most=1,
    )
    slices: tuple[str, ...] = setting("input columns in each of whose values the loss is guarded as well", default=())
    slice_margin: float = setting("how much larger the mean loss in a slice may be", default=0.02, least=0)
    approval: bool = setting("must a person approve before live", default=False)


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What is kept of answered requests, how safely and for how long."""

    durability: Durability = setting("when a record is safe: process, disk or buffered", default=Durability.PROCESS)
    required: bool = setting("refuse to answer (503) while the log cannot be written", default=False)
    drop: tuple[str, ...] = setting("input columns that are never written", default=())
    mask: tuple[str, ...] = setting("input columns of which only a keyed hash is written", default=())
    keep_days: int = setting("days for which inputs, answers and outcomes are kept; 0: for ever", default=0, least=0)


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """A served address: POST /v2/models/NAME/infer on the gateway."""

    model: str = setting("the model whose versions answer here", pattern="[^/:\\s](?:[^/:]{0,254}[^/:\\s])?")
    registered: bool = setting(
        "versions come from the register (an MLflow client, `modelloop models import`), not from a pipeline here",
        default=False,
    )
    key: str | None = setting(
        "the input column that keeps a caller on one arm; the prediction id if left out", default=None
    )
    outcome_key: str | None = setting(
        "the input column or request parameter by which outcomes may be joined, beside the prediction id", default=None
    )
    features: tuple[str, ...] = setting("online tables whose columns are looked up for each request", default=())
    max_body: int = setting("largest request body, bytes", default=1_000_000, least=1000)
    max_rows: int = setting("most rows in one request", default=1000, least=1)
    timeout_ms: int = setting("after how long a version counts as hanging, milliseconds", default=10_000, least=1)
    batch_rows: int = setting(
        "rows of waiting requests that a slow version takes at once, never waiting for more; 1: request by request",
        default=64,
        least=1,
    )
    log: LogSettings = setting("what is kept of answered requests", factory=LogSettings)
    rollout: RolloutSettings = setting("how a new version comes to answer", factory=RolloutSettings)


@dataclass(frozen=True, slots=True)
class OnlineSettings:
    """A dataset of which gateways can look up the row of a key as it was known at a moment."""

    dataset: str = setting("the dataset")
    key: tuple[str, ...] = setting("columns that a request brings")
    time: str = setting("column that says since when a row was known")
    values: tuple[str, ...] = setting("columns that are looked up")
    max_age: timedelta | None = setting("how old a row may be; any age if left out", default=None)
    history: int = setting("newest rows kept per key, for requests about the past", default=100, least=1)
