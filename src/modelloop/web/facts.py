"""Ask every stage what it has: the one place where the picture's facts are gathered."""

from __future__ import annotations

from ..data import actions as data
from ..deploy import actions as deploy
from ..deploy.records import Rollout
from ..ground.core.errors import NotFound
from ..ground.flow import actions as flow
from ..ground.store.context import Context
from ..monitor import actions as monitor
from ..project import Project
from ..register import actions as register
from ..retrain import actions as retrain
from .picture import Facts

PAST = 200
"""How far back the picture looks: runs, signals, alerts."""
DATASETS = 50
"""Of so many it asks whether their last arrival was refused."""


def gather(ctx: Context, project: Project, trouble: str = "") -> Facts:
    """Return what all stages say now. Several reads: a stage may be a moment ahead of another.

    `trouble`: what is wrong with the project file as it is now.
    """
    states = deploy.endpoint_states(ctx)
    routes = {name: route for name in project.endpoints if (route := deploy.route_of(ctx, name))}
    predictions, outcomes = deploy.counts(ctx)
    datasets = data.datasets(ctx)
    names = sorted({*(one.name for one in datasets), *(one.dataset for one in project.sources.values())})
    return Facts(
        project=project,
        now=ctx.now(),
        datasets=datasets,
        arrivals=[last for name in names[:DATASETS] for last in data.arrivals(ctx, name, limit=1)],
        runs=flow.list_runs(ctx, limit=PAST),
        versions=[version for name in register.models(ctx) for version in register.versions(ctx, name)[::-1]],
        endpoints=states,
        routes=routes,
        rollouts=deploy.rollouts(ctx, limit=PAST),
        lives=[went for state in states for went in deploy.live(ctx, state.name, limit=PAST)],
        reports=deploy.reports(ctx),
        predictions=predictions,
        outcomes=outcomes,
        signals=monitor.signals(ctx, limit=PAST),
        alerts=monitor.alerts(ctx, limit=PAST),
        episodes=retrain.episodes(ctx, limit=PAST),
        turn=retrain.last_turn(ctx),
        trouble=trouble,
    )


def rollout_or_none(ctx: Context, rollout_id: str | None) -> Rollout | None:
    """Return a rollout, or None where there is none."""
    try:
        return deploy.rollout(ctx, rollout_id) if rollout_id else None
    except NotFound:
        return None
