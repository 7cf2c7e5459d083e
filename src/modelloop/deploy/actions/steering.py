"""What a person may do to a rollout and to what answers: approve, pause, resume, promote, abort, go back, retire."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy.engine import RowMapping

from ...ground.core.errors import Conflict, NotFound
from ...ground.core.records import Event
from ...ground.store import audit
from ...ground.store.context import Context
from ...register import actions as register
from .. import rollout as rules
from .. import tables
from ..records import Arm, Live, Rollout, Stage
from .moving import kept, remember, take_over, write
from .publishing import follow, policy_of, publish, settle, to_rollout

if TYPE_CHECKING:
    from ...project import Project


def approve(ctx: Context, endpoint: str, *, reason: str = "") -> Rollout:
    """Let the rollout that waits at the endpoint go on, in the actor's name; raises Conflict where none waits."""
    with ctx.db.reading() as connection:
        rows = tables.open_rollouts(connection, endpoint)
        others = ", ".join(row["endpoint"] for row in tables.open_rollouts(connection))
    if not rows:
        hint = f"Rollouts are open at: {others}." if others else "No rollout is open at any endpoint."
        raise Conflict(f"Nothing waits for approval at {endpoint[:80]!r}: no rollout is open.", hint=hint)
    before = to_rollout(rows[0])
    after = rules.approved(before, policy_of(rows[0]), ctx.actor.name, reason, ctx.now())
    write(ctx, before, after, by_hand="approved", reason=reason)
    return after


def pause(ctx: Context, endpoint: str, *, reason: str = "") -> Rollout:
    """Hold the endpoint's rollout where it is: its exposure stays, what does harm still goes back."""
    _, before = _open(ctx, endpoint)
    after = rules.paused(before, ctx.actor.name, ctx.now())
    if after != before:
        write(ctx, before, after, by_hand="paused", reason=reason)
    return after


def resume(ctx: Context, endpoint: str, *, reason: str = "") -> Rollout:
    """Let a paused rollout go on; one that is not paused stays as it is."""
    _, before = _open(ctx, endpoint)
    after = rules.resumed(before, ctx.now())
    if after != before:
        write(ctx, before, after, by_hand="resumed", reason=reason)
    return after


def promote(ctx: Context, endpoint: str, *, reason: str) -> Rollout:
    """Let the challenger answer everybody now, without the evidence that is still missing; a bake still follows.

    The audit log says who wanted it. Raises Conflict before the check is over.
    """
    row, before = _open(ctx, endpoint)
    after = rules.promoted(before, policy_of(row), ctx.actor.name, reason, ctx.now())
    write(ctx, before, after, by_hand="promoted", reason=reason)
    return after


def abort(ctx: Context, endpoint: str, *, reason: str) -> Rollout:
    """Send the endpoint's rollout back; in the bake the version before answers again at once."""
    _, before = _open(ctx, endpoint)
    after = rules.withdrawn(before, f"Sent back by {ctx.actor.name}: {reason}", ctx.now())
    write(ctx, before, after, by_hand="aborted", reason=reason)
    return after


def _open(ctx: Context, endpoint: str) -> tuple[RowMapping, Rollout]:
    with ctx.db.reading() as connection:
        rows = tables.open_rollouts(connection, endpoint)
        place = tables.find(connection, tables.endpoint, name=endpoint)
    if rows:
        return rows[0], to_rollout(rows[0])
    if place is None:
        raise _unknown(ctx, endpoint)
    raise Conflict(f"No rollout is open at {endpoint!r}.", hint="`modelloop deploy MODEL:NUMBER` starts one.")


def _unknown(ctx: Context, endpoint: str) -> NotFound:
    with ctx.db.reading() as connection:
        known = ", ".join(place["name"] for place in tables.endpoints(connection))
    return NotFound(f"Nothing was ever rolled out at {endpoint[:80]!r}.", hint=f"There are: {known or 'none yet'}.")


def rollback(ctx: Context, endpoint: str, *, to: str | None = None, reason: str) -> str:
    """Go back at once and return what answers then.

    An open rollout is sent back; what answered before it goes on, or answers again. Without an open one, what answered
    before the present version answers again. `to`: any version that has answered at the endpoint.
    """
    with ctx.db.reading() as connection:
        place = tables.find(connection, tables.endpoint, name=endpoint)
        rows = tables.open_rollouts(connection, endpoint)
        current = next(iter(tables.lives(connection, endpoint)), None)
        before = (current["before"] if current else None) or ""
        target = tables.lives(connection, endpoint, before if to is None else to)
    if place is None:
        raise _unknown(ctx, endpoint)
    _check_target(ctx, place, rows, target, to)
    champion = place["champion"]
    if rows:
        rolling = to_rollout(rows[0])
        after = rules.withdrawn(rolling, f"Sent back by {ctx.actor.name}: {reason}", ctx.now())
        write(ctx, rolling, after, by_hand="rolled back", reason=reason)
        champion = rolling.champion
        if to is None:
            return champion or ""
    if to is not None and to == champion:
        return to
    _replace_champion(ctx, endpoint, champion, target[0], reason)
    return str(target[0]["version"])


def _check_target(
    ctx: Context, place: RowMapping, rows: Sequence[RowMapping], target: Sequence[RowMapping], to: str | None
) -> None:
    """Refuse before anything is changed: what never answered, or what is answering because of this very rollout."""
    endpoint = place["name"]
    if to is not None and place["champion"] is not None and to == place["champion"]:
        if rows and rows[0]["stage"] == Stage.BAKE:
            hint = f"`modelloop rollout promote {endpoint}` ends the bake."
            raise Conflict(f"{to} answers at {endpoint!r} already, and bakes.", hint=hint)
        return
    if not target and (to is not None or not rows):
        wanted = f"{to[:80]!r} never answered" if to is not None else "there is no earlier version"
        with ctx.db.reading() as connection:
            earlier = [one for one in tables.answered_before(connection, endpoint) if one != place["champion"]]
        hint = (
            f"Others that answered: {', '.join(earlier)} (--to)."
            if earlier
            else "No other version ever answered there."
        )
        raise Conflict(f"Cannot go back at {endpoint!r}: {wanted}.", hint=hint)


def _replace_champion(ctx: Context, endpoint: str, champion: str | None, target: RowMapping, reason: str) -> None:
    version = target["version"]
    package = register.get_version(ctx, version).package
    if package is None:
        raise Conflict(f"{version} cannot be served any more: it has no package.", hint="Name another version.")
    standby, why = kept(ctx, endpoint, version), f"rollback: {reason}"
    with ctx.db.transaction() as connection:
        take_over(connection, endpoint, replaced=champion, by=Arm(version, package), standby=standby)
        remember(connection, ctx, Live(endpoint, version, target["before"], ctx.now(), None, None, why, ""))
        settle(connection, ctx)
        follow(connection, ctx, endpoint, why)
        facts = {"from": champion, "to": version, "reason": reason, "automatic": False}
        audit.append(connection, ctx, Event("rollback", f"endpoint:{endpoint}", facts))
    publish(ctx)


def retire(ctx: Context, project: Project, endpoint: str, *, reason: str) -> None:
    """Let nothing answer any more at an endpoint that the project file no longer declares; its history stays.

    Raises Conflict while the file declares it: what a file says and what a command did would contradict each other.
    """
    with ctx.db.reading() as connection:
        place = tables.find(connection, tables.endpoint, name=endpoint)
        rows = tables.open_rollouts(connection, endpoint)
    if place is None:
        raise _unknown(ctx, endpoint)
    if endpoint in project.endpoints:
        raise Conflict(f"The project file declares {endpoint!r}.", hint=f"Take [endpoints.{endpoint}] out of it first.")
    if rows:
        abort(ctx, endpoint, reason=f"the endpoint is retired: {reason}")
    with ctx.db.transaction() as connection:
        now = tables.find(connection, tables.endpoint, name=endpoint)
        if now is None or now["champion"] is None:
            return
        take_over(connection, endpoint, replaced=now["champion"], by=None, standby=None)
        settle(connection, ctx)
        follow(connection, ctx, endpoint, f"retired: {reason}")
        facts = {"answered": now["champion"], "reason": reason}
        audit.append(connection, ctx, Event("endpoint.retired", f"endpoint:{endpoint}", facts))
    publish(ctx)
