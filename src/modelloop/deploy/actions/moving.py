"""One transition of a rollout is one transaction: its stage, what answers, the routing, the aliases, the audit log."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

import msgspec
from sqlalchemy.engine import Connection

from ...ground.core.errors import NotFound, StaleState
from ...ground.core.records import Event
from ...ground.store import audit
from ...ground.store.context import Context
from ...register import actions as register
from .. import tables
from ..records import Arm, Live, Rollout, Stage
from ..rollout import ANSWERS, OVER, settled
from .publishing import follow, publish, settle


def write(ctx: Context, before: Rollout, after: Rollout, *, by_hand: str | None = None, reason: str = "") -> None:
    """Write a transition if nobody else moved the rollout since it was read, then publish.

    `by_hand`: which step a person took (paused, resumed, promoted, ...); None: the evidence spoke.
    """
    moved = (before.stage, before.step) != (after.stage, after.step)
    reverts = before.stage is Stage.BAKE and after.stage is Stage.BACK
    standby = kept(ctx, before.endpoint, before.champion) if reverts else None
    with ctx.db.transaction() as connection:
        _change(connection, ctx, before, after)
        if after.stage in ANSWERS and before.stage not in ANSWERS:
            _go_live(connection, ctx, after)
        if reverts:
            _go_back(connection, ctx, after, standby, automatic=by_hand is None)
        if moved:
            tables.change(connection, tables.rollout, {"id": before.id}, {"generation": settle(connection, ctx)})
            follow(connection, ctx, after.endpoint, _why(after, reverts=reverts))
            audit.append(connection, ctx, _transition(before, after, by_hand))
        elif by_hand is not None:
            facts = {"endpoint": after.endpoint, "stage": str(after.stage), "reason": reason}
            audit.append(connection, ctx, Event(f"rollout.{by_hand}", after.id, facts))
    if moved:
        publish(ctx)


def _change(connection: Connection, ctx: Context, before: Rollout, after: Rollout) -> None:
    names = ("step", "stage_since", "approved_by", "paused_by", "paused_at", "held_seconds")
    values: dict[str, Any] = {name: getattr(after, name) for name in names}
    values |= {"stage": str(after.stage), "verdicts": msgspec.to_builtins(after.verdicts)}
    if after.stage in OVER:
        values["closed_at"] = ctx.now()
    expected = {"id": before.id, "stage": str(before.stage), "step": before.step, "closed_at": None}
    if not tables.change(connection, tables.rollout, {**expected, "paused_by": before.paused_by}, values):
        raise StaleState(f"Rollout {before.id} was moved by somebody else.", hint="Look again.")


def kept(ctx: Context, endpoint: str, version: str | None) -> Arm | None:
    """Return what answered before `version` at the endpoint, if it can still be served: the next one to go back to."""
    with ctx.db.reading() as connection:
        went = next(iter(tables.lives(connection, endpoint, version)), None) if version else None
    if went is None or went["before"] is None:
        return None
    with suppress(NotFound):  # deleted from the register since
        found = register.get_version(ctx, went["before"])
        return Arm(found.name, found.package) if found.package else None
    return None


def take_over(
    connection: Connection, endpoint: str, *, replaced: str | None, by: Arm | None, standby: Arm | None
) -> None:
    """Let another version answer, if the one that is replaced still does; raises StaleState."""
    values = {
        "champion": by.version if by else None,
        "digest": by.package if by else None,
        "standby": standby.version if standby else None,
        "standby_digest": standby.package if standby else None,
    }
    if not tables.change(connection, tables.endpoint, {"name": endpoint, "champion": replaced}, values):
        raise StaleState(f"{endpoint!r} is no longer answered by {replaced}.", hint="Look again.")


def remember(connection: Connection, ctx: Context, went: Live) -> None:
    """Write down what came to answer, with the data's clock."""
    event_time, _ = tables.watermarks(connection, went.endpoint, ctx.now())
    went = replace(went, at=ctx.now(), event_time=event_time, actor=ctx.actor.name)
    tables.insert(connection, tables.live, [{name: getattr(went, name) for name in Live.__slots__}])


def _go_live(connection: Connection, ctx: Context, rollout: Rollout) -> None:
    row = tables.find(connection, tables.rollout, id=rollout.id)
    place = tables.find(connection, tables.endpoint, name=rollout.endpoint)
    assert row is not None
    assert place is not None
    old = Arm(place["champion"], place["digest"]) if place["champion"] else None
    arm = Arm(rollout.challenger, row["digest"])
    take_over(connection, rollout.endpoint, replaced=rollout.champion, by=arm, standby=old)
    went = Live(rollout.endpoint, rollout.challenger, rollout.champion, ctx.now(), None, rollout.id, rollout.reason, "")
    remember(connection, ctx, went)


def _go_back(connection: Connection, ctx: Context, rollout: Rollout, standby: Arm | None, *, automatic: bool) -> None:
    """Let the version before answer again: the one that was kept loaded while the new one baked."""
    place = tables.find(connection, tables.endpoint, name=rollout.endpoint)
    champion = str(rollout.champion)
    if place is None or place["standby"] != champion:
        raise StaleState(f"{rollout.endpoint!r} no longer keeps {champion}.", hint="Look again.")
    arm = Arm(champion, place["standby_digest"])
    take_over(connection, rollout.endpoint, replaced=rollout.challenger, by=arm, standby=standby)
    reason = rollout.verdicts[-1].reason
    earlier = next(iter(tables.lives(connection, rollout.endpoint, champion)), None)
    why = f"rollback: {reason}"
    before = earlier["before"] if earlier else None
    remember(connection, ctx, Live(rollout.endpoint, champion, before, ctx.now(), None, rollout.id, why, ""))
    facts: dict[str, Any] = {"from": rollout.challenger, "to": champion, "reason": reason}
    facts |= {"rollout": rollout.id, "automatic": automatic}
    audit.append(connection, ctx, Event("rollback", f"endpoint:{rollout.endpoint}", facts))


def _why(rollout: Rollout, *, reverts: bool) -> str:
    """Return why a rollout stands where it does, for the history of aliases."""
    said = settled(rollout)[-1:]
    reason = rollout.reason if rollout.stage in ANSWERS or not said else said[0].reason
    return f"rollback: {reason}" if reverts else f"rollout {rollout.id}, {rollout.stage}: {reason}"


def _transition(before: Rollout, after: Rollout, by_hand: str | None) -> Event:
    verdict = settled(after)[-1:]
    facts: dict[str, Any] = {
        "endpoint": after.endpoint,
        "challenger": after.challenger,
        "from": str(before.stage),
        "to": str(after.stage),
        "step": after.step,
        "approved_by": after.approved_by,
    }
    if by_hand is not None:
        facts["by_hand"] = by_hand
    return Event("rollout.moved", after.id, facts | {"verdict": msgspec.to_builtins(verdict[0]) if verdict else None})
