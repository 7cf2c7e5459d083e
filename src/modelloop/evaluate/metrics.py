"""Metrics by name, each with one sentence of meaning, a direction, and an interval."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ..ground.core.errors import EvidenceMissing, InvalidInput
from ..ground.stats.interval import Floats
from .measure import Measure, Rows, rows_of
from .measures import binary, classes, forecasting, ranking, regression
from .records import Metric, Score
from .scoring import score as scored
from .settings import Task, TermsSettings

OF_TASK: Mapping[Task, Mapping[str, Measure]] = MappingProxyType(
    {
        task: MappingProxyType({measure.name: measure for measure in measures})
        for task, measures in (
            (Task.BINARY, binary.MEASURES),
            (Task.REGRESSION, regression.MEASURES),
            (Task.RANKING, ranking.MEASURES),
            (Task.FORECASTING, forecasting.MEASURES),
            (Task.MULTICLASS, classes.MEASURES),
        )
    }
)
MEASURES: Mapping[str, Measure] = MappingProxyType(
    {name: measure for measures in reversed(list(OF_TASK.values())) for name, measure in measures.items()}
)
"""By name alone: where binary and multiclass share one (accuracy, brier, ...), the binary one."""
METRICS: Mapping[str, Metric] = MappingProxyType({name: measure.metric for name, measure in MEASURES.items()})

_USUAL: Mapping[Task, tuple[str, ...]] = MappingProxyType(
    {
        Task.BINARY: ("auc", "log_loss", "brier"),
        Task.REGRESSION: ("mae", "rmse", "r2"),
        Task.RANKING: ("ndcg", "map", "mrr", "precision_at", "recall_at", "hit_rate"),
        Task.FORECASTING: ("mase", "smape", "wape", "bias"),
        Task.MULTICLASS: ("macro_f1", "accuracy", "log_loss"),
    }
)
_NO_HEADLINE = frozenset({"bias", "max_error"})
"""A sign or a single row: nothing to steer by, but worth showing, and `bias` worth a gate."""


def metrics_of(task: Task) -> tuple[str, ...]:
    """Return the metrics that make sense for the task."""
    return tuple(OF_TASK.get(task, {}))


def headlines_of(task: Task) -> tuple[str, ...]:
    """Return those of them that a project can be steered by."""
    return tuple(name for name in metrics_of(task) if name not in _NO_HEADLINE)


def usual_of(task: Task) -> tuple[str, ...]:
    """Return those that are shown if nobody says otherwise."""
    return _USUAL.get(task, ())


def measure_of(metric: str, task: Task | None = None) -> Measure:
    """Return the metric of that name, as the task means it; raises InvalidInput."""
    if task is not None and metric in OF_TASK.get(task, {}):
        return OF_TASK[task][metric]
    if metric not in MEASURES:
        raise InvalidInput(f"There is no metric {metric!r}.", hint=f"There are {', '.join(MEASURES)}.")
    return MEASURES[metric]


def compute(
    metric: str,
    y: Floats,
    score: Floats,
    confidence: float = 0.95,
    *,
    seed: int = 0,
    terms: TermsSettings | None = None,
    columns: Mapping[str, object] | None = None,
    task: Task | None = None,
) -> Score:
    """Return the metric with its interval at the given confidence (see `scoring.score`).

    `task` tells metrics of one name apart: with multiclass, `score` is a row of probabilities for each label.
    `terms` and `columns` say what the metric needs beside label and score. Raises EvidenceMissing where the rows cannot
    tell (none, a single class for AUC, a constant label for R2), InvalidInput for what is no input.
    """
    measure = measure_of(metric, task)
    rows = for_metric(measure, rows_of(y, score, terms=terms, columns=columns))
    return scored(measure, rows, confidence, seed=seed)


def for_metric(measure: Measure, rows: Rows) -> Rows:
    """Return the rows as the metric takes them; raises EvidenceMissing where the query of a ranking is not known."""
    if measure.name in OF_TASK[Task.RANKING] and rows.query is None and len(rows):
        raise EvidenceMissing(
            f"{measure.name} needs the query of each row.",
            hint='Name its column: [objective.terms] query = "...", and keep the column in the holdout.',
        )
    return rows


def unknown(metric: str, rows: int, confidence: float = 0.95) -> Score:
    """Return the score of rows that cannot tell."""
    return Score(metric, None, None, None, rows, confidence)
