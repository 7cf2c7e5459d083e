"""What the project file says about judging: the objective with its headline metric, and the gates."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ..ground.core.toml import setting


class Task(StrEnum):
    """What is predicted."""

    BINARY = "binary"
    REGRESSION = "regression"


class MetricName(StrEnum):
    """Metrics known by name; each has one sentence of meaning and a direction in `evaluate.metrics`."""

    AUC = "auc"
    LOG_LOSS = "log_loss"
    BRIER = "brier"
    MAE = "mae"
    RMSE = "rmse"
    R2 = "r2"


class Check(StrEnum):
    """What a gate looks at."""

    METRIC = "metric"
    CHAMPION = "champion"
    BASELINE = "baseline"
    SLICE = "slice"
    PARITY = "parity"


@dataclass(frozen=True, slots=True)
class ObjectiveSettings:
    """What the project is for, and the one number that says how well it does."""

    question: str = setting("the question that a prediction answers, in one sentence")
    task: Task = setting("what is predicted")
    metric: MetricName = setting("the headline metric")
    meaning: str = setting("what the headline metric means, for somebody who does not train models")
    label: str = setting("the column that holds the truth, in the holdout rows of a candidate and in outcomes")
    slices: tuple[str, ...] = setting("columns by which the metric is also shown, worst group first", default=())


@dataclass(frozen=True, slots=True)
class GateSettings:
    """A condition that a version must meet, answered with pass, fail or missing evidence.

    A gate asks the whole interval, not the number in its middle: it passes when the worse end of the interval is good
    enough, fails when even the better end is not, and otherwise has missing evidence: not yet shown. So does a gate
    with fewer than `min_rows` rows, and a champion gate whose champion learned from the holdout rows. Without a
    champion the champion gate passes. More rows, or a lower `confidence`, make intervals narrower. A slice gate passes
    when every group with enough rows does, and fails when one fails at a confidence corrected for their number.
    """

    check: Check = setting(
        "metric: the metric's interval lies on the good side of `bound`; champion: not worse than the version that "
        "answers now by more than `margin`, on the same rows; baseline: better than always answering the mean; slice: "
        "as metric, in each group of `by`; parity: served and training answers agree within `tolerance`"
    )
    metric: MetricName | None = setting("the metric; the headline metric if left out", default=None)
    bound: float | None = setting("metric, slice: the value to reach", default=None)
    margin: float = setting("champion: how much worse is still no loss", default=0.0, least=0)
    by: str | None = setting("slice: the column that makes the groups", default=None)
    tolerance: float = setting("parity: largest difference, relative to answers beyond 1", default=1e-4, least=0)
    min_rows: int = setting("fewest holdout rows (slice: rows in a group) to count as evidence", default=200, least=1)
    confidence: float = setting("of the interval", default=0.95, least=0.5, most=0.9999)
