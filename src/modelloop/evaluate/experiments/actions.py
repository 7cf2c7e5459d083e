"""Verbs of comparing: look runs up in tracking's facts, and hand them to the pure functions beside this file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...ground.core.errors import InvalidInput, NotFound
from ...ground.store.context import Context
from ...train.tracking.actions import experiments, runs, searching
from ...train.tracking.records import MAX_HISTORY_PAGE, Experiment, Metric, TrackedRun
from ..metrics import METRICS
from ..records import Direction
from ..settings import ObjectiveSettings
from . import board as boards
from . import compare as comparing
from . import fronts
from .headline import headline_for
from .records import Board, Comparison, Curve, Front, Group, Headline

MOST_RUNS = 5000
"""Runs that one comparison reads; a filter narrows to the ones that matter."""
MOST_BESIDE = 100
MOST_POINTS = 200_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which runs of which experiment, by which metric."""

    experiment: str
    """Name or number."""
    metric: str | None = None
    direction: str | None = None
    where: str = ""
    """A filter in MLflow's grammar: `params.depth = '3' and metrics.auc > 0.7`."""
    limit: int = 1000


@dataclass(frozen=True, slots=True)
class Overview:
    """An experiment in a list."""

    experiment: Experiment
    runs: int
    """At most MOST_RUNS are counted."""
    last_ms: int | None
    headline: Headline | None
    best: float | None
    best_run: str | None


def find(ctx: Context, named: str) -> Experiment:
    """Return the experiment of a name or number; raises NotFound with those that there are."""
    found = experiments.find_experiment(ctx, named)
    if found is None and named.isascii() and named.isdecimal() and len(named) < 19:
        return experiments.get_experiment(ctx, int(named))
    if found is None:
        known = searching.search_experiments(ctx, limit=12).items
        listed = ", ".join(one.name for one in known) or "none"
        raise NotFound(f"There is no experiment {named[:80]!r}.", hint=f"There are: {listed}.")
    return found


def runs_of(ctx: Context, wanted: Wanted) -> list[TrackedRun]:
    """Return the runs asked for, newest first; raises NotFound, and InvalidInput for a filter of no form."""
    if not 1 <= wanted.limit <= MOST_RUNS:
        raise InvalidInput(f"{wanted.limit} runs were asked for.", hint=f"Expected 1 to {MOST_RUNS}.")
    found = find(ctx, wanted.experiment)
    page = searching.find_runs(ctx, [found.id], wanted.where, limit=wanted.limit)
    return runs.get_runs(ctx, [one.id for one in page.items])


def overview(ctx: Context, objective: ObjectiveSettings, *, limit: int = 100) -> list[Overview]:
    """Return the experiments, the one changed last first, each with its best run by its headline metric."""
    found = searching.search_experiments(ctx, order_by=("last_update_time DESC",), limit=limit).items
    return [_overview(ctx, one, objective) for one in found]


def board(ctx: Context, objective: ObjectiveSettings, wanted: Wanted, *, confidence: float = 0.95) -> Board:
    """Return the leaderboard of an experiment."""
    found = runs_of(ctx, wanted)
    return boards.board(found, _headline(found, wanted, objective), confidence=confidence)


def compare(ctx: Context, objective: ObjectiveSettings, ids: Sequence[str], *, metric: str | None = None) -> Comparison:
    """Return runs side by side, in the order they were named; raises NotFound for the first that is not there."""
    if not 2 <= len(ids) <= MOST_BESIDE:
        raise InvalidInput(f"{len(ids)} runs were named.", hint=f"Name 2 to {MOST_BESIDE} runs to compare.")
    beside = [runs.get_run(ctx, one) for one in dict.fromkeys(ids)]
    try:
        headline = headline_for(beside, metric=metric, objective=own(objective))
    except NotFound:
        if metric is not None:
            raise
        headline = own(objective)  # none of them logged a metric: parameters can still be compared
    return comparing.compare(beside, headline)


def front(
    ctx: Context, objective: ObjectiveSettings, wanted: Wanted, metrics: Sequence[str], lower: Sequence[str] = ()
) -> Front:
    """Return the entries that no other beats in all `metrics`; those in `lower` are better where they are lower."""
    found = runs_of(ctx, wanted)
    headlines = [
        headline_for(found, metric=name, direction="lower" if name in lower else None, objective=own(objective))
        for name in dict.fromkeys(metrics)
    ]
    return fronts.front(found, headlines)


def groups(ctx: Context, objective: ObjectiveSettings, wanted: Wanted, by: str) -> tuple[Headline, tuple[Group, ...]]:
    """Return the headline metric and the best entry for each value of a parameter or tag."""
    found = runs_of(ctx, wanted)
    headline = _headline(found, wanted, objective)
    return headline, fronts.best_by(found, headline, by)


def curves(ctx: Context, ids: Sequence[str], metric: str, *, most: int = comparing.DRAWN) -> list[Curve]:
    """Return the metric of each run over its steps, thinned; runs without it are left out."""
    found = []
    for run in (runs.get_run(ctx, one) for one in dict.fromkeys(ids)):
        if metric not in run.metrics:
            continue
        points: list[Metric] = []
        token: str | None = None
        while len(points) < MOST_POINTS:
            page = runs.history(ctx, run.id, metric, limit=MAX_HISTORY_PAGE, token=token)
            points += page.items
            token = page.next_token
            if token is None:
                break
        found.append(comparing.curve(run, points, most=most))
    if not found:
        raise NotFound(f"None of these runs logged the metric {metric!r}.")
    return found


def own(objective: ObjectiveSettings) -> Headline:
    """Return the project's headline metric with the project's own sentence."""
    known = METRICS.get(str(objective.metric))
    return Headline(str(objective.metric), known.direction if known else Direction.HIGHER, objective.meaning)


def _headline(found: Sequence[TrackedRun], wanted: Wanted, objective: ObjectiveSettings) -> Headline:
    return headline_for(found, metric=wanted.metric, direction=wanted.direction, objective=own(objective))


def _overview(ctx: Context, one: Experiment, objective: ObjectiveSettings) -> Overview:
    page = searching.find_runs(ctx, [one.id], limit=MOST_RUNS)
    newest = runs.get_runs(ctx, [found.id for found in page.items[:500]])
    last = max((run.start_ms for run in newest if run.start_ms is not None), default=None)
    try:
        headline = headline_for(newest, objective=own(objective))
    except NotFound:
        return Overview(one, len(page.items), last, None, None, None)
    valued = [(run.metrics[headline.metric].value, run.id) for run in newest if headline.metric in run.metrics]
    valued = [(value, run) for value, run in valued if value == value]  # noqa: PLR0124 - NaN is not itself
    best = (max if headline.direction is Direction.HIGHER else min)(valued, default=(None, None))
    return Overview(one, len(page.items), last, headline, best[0], best[1])
