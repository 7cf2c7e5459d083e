"""Experiments: what was tried, what came out, and which differences are more than noise."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import App, Parameter

from ..face import act
from ..options import PLAIN, Limit, Options

app = App(name="experiments", help="What was tried: list, board, compare, front, groups, curve.")

Metric = Annotated[str | None, Parameter(help="The metric; left out: the project's own, or what most runs logged.")]
Where = Annotated[str, Parameter(help="Only such runs: \"params.depth = '3' and metrics.auc > 0.7\".")]
Direction = Annotated[
    Literal["higher", "lower"] | None, Parameter(help="Which way the metric is good, where its name does not tell.")
]


@app.default
def listing(*, limit: Limit = 50, face: Options = PLAIN) -> int:
    """List experiments, the one changed last first, each with its best run."""
    return act("experiments:listing", face, limit=limit)


app.command(listing, name="list")


@app.command(name="board")
def board(
    experiment: str,
    /,
    *,
    metric: Metric = None,
    direction: Direction = None,
    where: Where = "",
    confidence: float = 0.95,
    limit: Limit = 1000,
    face: Options = PLAIN,
) -> int:
    """Rank an experiment's runs by its headline metric, and say which differences are noise.

    Parameters
    ----------
    experiment
        Its name or number.
    confidence
        Of the whole board: how rarely any difference is claimed where there is none.
    """
    return act(
        "experiments:board",
        face,
        wanted=(experiment, metric, direction, where, limit),
        confidence=confidence,
    )


@app.command(name="compare")
def compare(run: str, /, *others: str, metric: Metric = None, face: Options = PLAIN) -> int:
    """Show runs side by side: the parameters that differ, then the metrics with their intervals.

    Parameters
    ----------
    run
        A run, run_...
    others
        Those to compare it with.
    """
    return act("experiments:compare", face, runs=(run, *others), metric=metric)


@app.command(name="front")
def front(
    experiment: str,
    metric: str,
    /,
    *metrics: str,
    lower: Annotated[tuple[str, ...], Parameter(help="Of these, lower is better.")] = (),
    where: Where = "",
    limit: Limit = 1000,
    face: Options = PLAIN,
) -> int:
    """Show the runs that no other beats in every metric (the Pareto front).

    Parameters
    ----------
    experiment
        Its name or number.
    metric
        The first metric: the front is sorted by it.
    metrics
        The others.
    """
    wanted = (experiment, None, None, where, limit)
    return act("experiments:front", face, wanted=wanted, metrics=(metric, *metrics), lower=lower)


@app.command(name="groups")
def groups(
    experiment: str,
    by: str,
    /,
    *,
    metric: Metric = None,
    direction: Direction = None,
    where: Where = "",
    limit: Limit = 1000,
    face: Options = PLAIN,
) -> int:
    """Show the best run for each value of a parameter or tag.

    Parameters
    ----------
    experiment
        Its name or number.
    by
        The parameter or tag.
    """
    return act("experiments:groups", face, wanted=(experiment, metric, direction, where, limit), by=by)


@app.command(name="curve")
def curve(metric: str, run: str, /, *others: str, face: Options = PLAIN) -> int:
    """Draw a metric of some runs over their steps.

    Parameters
    ----------
    metric
        The metric.
    run
        A run, run_...
    others
        More runs, drawn in the same frame.
    """
    return act("experiments:curve", face, metric=metric, runs=(run, *others))
