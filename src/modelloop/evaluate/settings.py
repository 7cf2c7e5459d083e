"""What the project file says about judging: the objective with its headline metric, and the gates."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ..ground.core.toml import setting
from .records import Direction


class Task(StrEnum):
    """What is predicted."""

    BINARY = "binary"
    REGRESSION = "regression"
    RANKING = "ranking"
    FORECASTING = "forecasting"
    MULTICLASS = "multiclass"
    """One of more than two classes: answered with the probability of each, and the most probable one's label."""


class MetricName(StrEnum):
    """Metrics known by name; each has one sentence of meaning and a direction in `evaluate.metrics`."""

    AUC = "auc"
    LOG_LOSS = "log_loss"
    BRIER = "brier"
    ACCURACY = "accuracy"
    BALANCED_ACCURACY = "balanced_accuracy"
    PRECISION = "precision"
    RECALL = "recall"
    SPECIFICITY = "specificity"
    NPV = "npv"
    F1 = "f1"
    F_BETA = "f_beta"
    MCC = "mcc"
    AVERAGE_PRECISION = "average_precision"
    ECE = "ece"
    MAE = "mae"
    RMSE = "rmse"
    R2 = "r2"
    MEDIAN_AE = "median_ae"
    MAPE = "mape"
    SMAPE = "smape"
    WAPE = "wape"
    PINBALL = "pinball"
    MAX_ERROR = "max_error"
    BIAS = "bias"
    POISSON_DEVIANCE = "poisson_deviance"
    GAMMA_DEVIANCE = "gamma_deviance"
    RMSLE = "rmsle"
    NDCG = "ndcg"
    MAP = "map"
    MRR = "mrr"
    PRECISION_AT = "precision_at"
    RECALL_AT = "recall_at"
    HIT_RATE = "hit_rate"
    MASE = "mase"
    MACRO_F1 = "macro_f1"
    MACRO_PRECISION = "macro_precision"
    MACRO_RECALL = "macro_recall"
    MICRO_F1 = "micro_f1"
    WEIGHTED_F1 = "weighted_f1"
    WEIGHTED_PRECISION = "weighted_precision"
    WEIGHTED_RECALL = "weighted_recall"
    KAPPA = "kappa"
    TOP_K = "top_k"
    AUC_OVR = "auc_ovr"


class Check(StrEnum):
    """What a gate looks at."""

    METRIC = "metric"
    CHAMPION = "champion"
    BASELINE = "baseline"
    SLICE = "slice"
    PARITY = "parity"


@dataclass(frozen=True, slots=True)
class TermsSettings:
    """On what terms metrics are computed: numbers, and columns that say what belongs together.

    Ranking needs `query`. Forecasting reads rows in the order in which they stand in the holdout, which is time, within
    each series; its intervals keep neighbouring rows together.
    """

    threshold: float = setting("binary: a score from here on is a yes", default=0.5)
    beta: float = setting(
        "f_beta: how many times recall counts as much as precision", default=2.0, least=0.01, most=100
    )
    bins: int = setting("ece: groups of equally many rows", default=15, least=2, most=1000)
    top: int = setting("ranking: how many places count", default=10, least=1)
    k: int = setting("top_k: among how many of the most probable classes", default=2, least=1)
    quantile: float = setting("pinball: the quantile that is predicted", default=0.5, least=0.0001, most=0.9999)
    season: int = setting("mase: rows from one season to the next; 1: beside the row before", default=1, least=1)
    query: str | None = setting("ranking: the holdout column of the question that a row is an answer to", default=None)
    series: str | None = setting("forecasting: the column of the series; none: all rows are one", default=None)
    horizon: str | None = setting("forecasting: the column of steps ahead; the metric is shown by it", default=None)
    scale: str | None = setting(
        "mase: the column of each row's scale, the mean seasonal change of its series before the forecast; none: that "
        "of the holdout rows themselves",
        default=None,
    )
    together: str | None = setting(
        "a holdout column (a customer, a day): rows that share its value count as one piece of evidence", default=None
    )


@dataclass(frozen=True, slots=True)
class OwnMetricSettings:
    """A metric of the project's own: what a decision is worth, in its own unit, beside the headline.

    The formula is computed for each row of the holdout and averaged, unless it says `sum(...)` or `mean(...)` itself.
    It knows `label`, `score`, `decision` (1 where the score reaches the threshold), `threshold`, and the holdout's
    columns of numbers; `+ - * /`, comparisons, `and or not`, and abs, min, max, where, clip, log, exp, sqrt.
    """

    formula: str = setting("for example `120 * label * decision - 15 * decision`")
    meaning: str = setting("what it means, in one sentence for everybody")
    direction: Direction = setting("which way is good; zero: the nearer to 0 the better", default=Direction.HIGHER)
    unit: str = setting("what it is counted in, such as EUR per flight", default="")


@dataclass(frozen=True, slots=True)
class ObjectiveSettings:
    """What the project is for, and the one number that says how well it does."""

    question: str = setting("the question that a prediction answers, in one sentence")
    task: Task = setting("what is predicted")
    metric: MetricName = setting("the headline metric")
    meaning: str = setting("what the headline metric means, for somebody who does not train models")
    label: str = setting("the column that holds the truth, in the holdout rows of a candidate and in outcomes")
    slices: tuple[str, ...] = setting("columns by which the metric is also shown, worst group first", default=())
    also: tuple[MetricName, ...] = setting("more metrics to show beside the task's usual ones", default=())
    terms: TermsSettings = setting("on what terms metrics are computed", factory=TermsSettings)


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
    own: str | None = setting("one of the project's own [metrics.NAME] instead of `metric`", default=None)
    bound: float | None = setting("metric, slice: the value to reach", default=None)
    margin: float = setting("champion: how much worse is still no loss", default=0.0, least=0)
    by: str | None = setting("slice: the column that makes the groups", default=None)
    tolerance: float = setting("parity: largest difference, relative to answers beyond 1", default=1e-4, least=0)
    min_rows: int = setting("fewest holdout rows (slice: rows in a group) to count as evidence", default=200, least=1)
    confidence: float = setting("of the interval", default=0.95, least=0.5, most=0.9999)
