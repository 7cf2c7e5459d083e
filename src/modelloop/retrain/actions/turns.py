"""What the last turn saw, so that others can wait for it; and whether anything is still under way."""

from __future__ import annotations

from ...deploy import actions as deploy
from ...deploy.records import Stage
from ...ground.flow import actions as flow
from ...ground.flow.records import RunState
from ...ground.store.context import Context
from .. import tables
from ..records import EpisodeState, Turn


def busy(ctx: Context) -> bool:
    """Say whether something is under way that ends without new traffic: a run, a judgement, a check of gateways."""
    if flow.list_runs(ctx, states=[RunState.QUEUED, RunState.RUNNING], limit=1):
        return True
    rolling = {rollout.endpoint: rollout.stage for rollout in deploy.open_rollouts(ctx)}
    if Stage.CHECK in rolling.values():
        return True
    with ctx.db.reading() as connection:
        under_way = tables.open_episodes(connection)
    # One that waits behind somebody else's rollout waits for traffic as well.
    return any(
        one.state is EpisodeState.RUNNING or (one.state is EpisodeState.JUDGED and one.endpoint not in rolling)
        for one in under_way
    )


def save_turn(ctx: Context, made: Turn) -> Turn:
    """Keep the turn as the last one."""
    with ctx.db.transaction() as connection:
        tables.save_turn(connection, made)
    return made


def last_turn(ctx: Context) -> Turn | None:
    """Return the last turn, or None before the first."""
    with ctx.db.reading() as connection:
        return tables.last_turn(connection)
