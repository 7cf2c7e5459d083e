"""Runs side by side: what differs, what came out, how it came about."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from ...train.tracking.records import Metric, TrackedRun
from ..records import Direction
from .entries import estimate_of
from .headline import BOUNDS, headline_for
from .records import Column, Comparison, Curve, Estimate, Headline, Row

DRAWN = 500
"""Points of a curve that are worth drawing."""


def compare(runs: Sequence[TrackedRun], headline: Headline) -> Comparison:
    """Return parameters, tags and metrics of the runs beside each other; what differs first, the headline on top."""
    names = {name for run in runs for name in run.metrics if not name.endswith(BOUNDS)}
    ordered = sorted(names, key=lambda name: (name != headline.metric, name.startswith("system/"), name))
    metrics = {name: tuple(estimate_of([run], name) for run in runs) for name in ordered}
    return Comparison(
        columns=tuple(Column(run.id, run.name, str(run.status), run.start_ms, run.end_ms) for run in runs),
        params=_rows(runs, lambda run: run.params),
        tags=_rows(runs, lambda run: {n: v for n, v in run.tags.items() if not n.startswith("mlflow.log-model")}),
        metrics=metrics,
        best={name: best for name, found in metrics.items() if (best := _best(runs, name, found, headline))},
        headline=headline,
    )


def curve(run: TrackedRun, history: Sequence[Metric], *, most: int = DRAWN) -> Curve:
    """Return the metric's points by step, at most about `most`: of each stretch its lowest and highest one."""
    points = sorted((one.step, one.value) for one in history if math.isfinite(one.value))
    return Curve(run.id, run.name, tuple(_thinned(points, most)), len(points))


def _thinned(points: list[tuple[int, float]], most: int) -> list[tuple[int, float]]:
    if len(points) <= most:
        return points
    size = math.ceil((len(points) - 2) / (most / 2 - 1))
    kept = {points[0], points[-1]}
    for start in range(1, len(points) - 1, size):
        stretch = points[start : start + size]
        kept |= {min(stretch, key=lambda p: p[1]), max(stretch, key=lambda p: p[1])}
    return sorted(kept)


def _rows(runs: Sequence[TrackedRun], of: Callable[[TrackedRun], Mapping[str, str]]) -> tuple[Row, ...]:
    names = sorted({name for run in runs for name in of(run)})
    rows = [
        Row(name, values, len(set(values)) > 1) for name in names for values in [tuple(of(r).get(name) for r in runs)]
    ]
    return tuple(sorted(rows, key=lambda row: (not row.differs, row.name)))


def _best(runs: Sequence[TrackedRun], metric: str, found: Sequence[Estimate | None], headline: Headline) -> str | None:
    valued = [(one.value, run.id) for one, run in zip(found, runs, strict=True) if one is not None]
    if len(valued) < 2 or len({value for value, _ in valued}) == 1:
        return None
    about = headline if metric == headline.metric else headline_for(runs, metric=metric)
    if about.assumed and about.direction is Direction.HIGHER:
        return None  # nothing in its name says which way it is good: size, steps, temperature
    return (max if about.direction is Direction.HIGHER else min)(valued)[1]
