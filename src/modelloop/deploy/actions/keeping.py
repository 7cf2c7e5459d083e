"""How long answers are kept: their bytes leave with `modelloop gc`. How those of a person go: `erasing`."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy.engine import Connection

from ...ground.core.records import Event
from ...ground.store import audit
from ...ground.store.context import Context
from .. import tables
from ..records import Forgotten
from ..tables import late
from .erasing import finish_erasures

if TYPE_CHECKING:
    from ...project import Project

AT_ONCE = 5_000
"""Requests that are removed in one transaction: nobody waits long for the database."""
ROUNDS = 20


def forget_old(ctx: Context, project: Project) -> Forgotten:
    """Remove what each endpoint's `log.keep_days` no longer lets stand, by the time at which it was answered or told.

    Called each turn; a large heap goes in several. What parts held is freed by `modelloop gc`. Erasures with something
    pending go on here too.
    """
    finish_erasures(ctx)
    whole = Forgotten()
    for name, settings in project.endpoints.items():
        if settings.log.keep_days:
            whole = _sum(whole, _forget(ctx, name, ctx.now() - timedelta(days=settings.log.keep_days)))
    return whole


def _forget(ctx: Context, endpoint: str, before: datetime) -> Forgotten:
    done = Forgotten()
    for number in range(ROUNDS):
        with ctx.db.reading() as connection:
            ids = late.old_ids(connection, endpoint, before, AT_ONCE)
        if number and not ids:
            break
        with ctx.db.transaction() as connection:
            rows, told = late.drop_predictions(connection, ids)
            round_ = Forgotten(predictions=rows, outcomes=told)
            if number == 0:
                round_ = _sum(round_, _drop_rest(connection, endpoint, before))
            if round_ != Forgotten():
                facts = {"before": before.isoformat()} | _counted(round_)
                audit.append(connection, ctx, Event("predictions.forgotten", f"endpoint:{endpoint}", facts))
        done = _sum(done, round_)
        if len(ids) < AT_ONCE:
            break
    return done


def _drop_rest(connection: Connection, endpoint: str, before: datetime) -> Forgotten:
    return Forgotten(
        outcomes=late.drop_before(connection, tables.outcome, endpoint, before),
        failures=late.drop_before(connection, late.failure, endpoint, before),
        waiting=late.drop_before(connection, late.waiting, endpoint, before),
        parts=late.drop_parts(connection, endpoint, before),
    )


def _sum(one: Forgotten, other: Forgotten) -> Forgotten:
    return replace(one, **{name: getattr(one, name) + getattr(other, name) for name in Forgotten.__slots__})


def _counted(done: Forgotten) -> dict[str, int]:
    return {name: getattr(done, name) for name in Forgotten.__slots__}
