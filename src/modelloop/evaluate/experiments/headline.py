"""Which metric a comparison is about, which way it is good, and what it means in plain words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from ...ground.core.errors import InvalidInput, NotFound
from ...train.tracking.records import TrackedRun
from ..metrics import METRICS
from ..records import Direction
from .records import Headline

_LOW = re.compile(
    r"loss|error|rmse|mse|mae|mape|deviance|brier|perplexity|latency|seconds|time|cost|regret|\bece\b|\bwer\b"
)
_PREFIX = re.compile(r"^(val|valid|validation|test|train|training|holdout|eval|cv)[_./ -]+")
_SUFFIX = re.compile(r"(_score|_mean|-mean|\.mean)$")
BOUNDS = (".low", ".high")
"""Endings under which the ends of a metric's interval are logged beside it."""


def headline_for(
    runs: Iterable[TrackedRun],
    *,
    metric: str | None = None,
    direction: str | None = None,
    objective: Headline | None = None,
) -> Headline:
    """Return the metric asked for, else the project's own where runs have it, else the one that most runs have.

    Raises NotFound where no run has (such) a metric, with those that there are.
    """
    counts = Counter(name for run in runs for name in run.metrics if not name.endswith(BOUNDS))
    chosen = metric or _own(counts, objective) or _usual(counts)
    if chosen is None or (metric is not None and metric not in counts):
        known = ", ".join(name for name, _ in counts.most_common(12)) or "none"
        asked = f"No run logged the metric {metric!r}." if metric else "No run logged a metric."
        raise NotFound(asked, hint=f"Metrics that were logged: {known}.")
    if objective is not None and plain_name(chosen) == objective.metric:
        return Headline(chosen, _asked(direction) or objective.direction, objective.meaning)
    known_metric = METRICS.get(plain_name(chosen))
    if known_metric is not None:
        return Headline(chosen, _asked(direction) or known_metric.direction, known_metric.meaning)
    given = _asked(direction)
    guessed = Direction.LOWER if _LOW.search(chosen.lower()) else Direction.HIGHER
    return Headline(chosen, given or guessed, "", assumed=given is None)


def plain_name(metric: str) -> str:
    """Return what is measured, without where: `val_roc_auc` and `holdout.auc` are `auc`."""
    name = _SUFFIX.sub("", _PREFIX.sub("", metric.lower()))
    return {
        "roc_auc": "auc",
        "root_mean_squared_error": "rmse",
        "mean_absolute_error": "mae",
        "logloss": "log_loss",
    }.get(name, name)


def _own(counts: Mapping[str, int], objective: Headline | None) -> str | None:
    if objective is None:
        return None
    fitting = [name for name in counts if plain_name(name) == objective.metric]
    # what was measured on rows that the run has not seen says more than what it says of its own
    unseen = [name for name in fitting if not name.lower().startswith("train")]
    return max(unseen or fitting, key=lambda name: (counts[name], -len(name)), default=None)


def _usual(counts: Mapping[str, int]) -> str | None:
    own = {name: count for name, count in counts.items() if not name.startswith("system/")}
    unseen = {name: count for name, count in own.items() if not name.lower().startswith("train")}
    return min(unseen or own, key=lambda name: (-own[name], name), default=None)


def _asked(direction: str | None) -> Direction | None:
    if direction is None:
        return None
    try:
        return Direction(direction)
    except ValueError:
        raise InvalidInput(
            f"The direction is {direction!r}.", hint="higher or lower: which way the metric is good."
        ) from None
