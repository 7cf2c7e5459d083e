"""How long answers are kept, and how those of a person go: their bytes leave with `modelloop gc`, or at once."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import Connection

from ...ground.core.errors import InvalidInput
from ...ground.core.records import Event
from ...ground.store import audit
from ...ground.store.context import Context
from .. import tables
from ..records import Forgotten
from ..tables import late
from .intake import collect
from .outcomes import logged_key, place_of
from .secret import make_log_key

if TYPE_CHECKING:
    from ...project import Project

AT_ONCE = 5_000
"""Requests that are removed in one transaction: nobody waits long for the database."""
ROUNDS = 20


def forget_old(ctx: Context, project: Project) -> Forgotten:
    """Remove what each endpoint's `log.keep_days` no longer lets stand, by the time at which it was answered or told.

    Called each turn; a large heap goes in several. What parts held is freed by `modelloop gc`.
    """
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


def erase_answers(ctx: Context, endpoint: str, key: str, *, reason: str) -> Forgotten:
    """Remove all rows of a business key: predictions, outcomes, inputs in parts, and what waits for it.

    The audit log keeps a keyed hash of the key, not the key. Rows that are still in a gateway's open file are taken in
    first, so they go too; the file itself goes when the gateway closes it, after 15 minutes at most. Killed at any
    instant, it is simply called again.
    """
    if not reason.strip():
        raise InvalidInput("An erasure needs a reason.", hint="Say who asked for it and why, without naming the key.")
    collect(ctx)
    place = place_of(ctx, endpoint)
    wanted = logged_key(ctx, place, key)
    with ctx.db.reading() as connection:
        rows = [dict(row) for row in late.of_key(connection, endpoint, wanted)]
        touched = _touched(connection, endpoint, rows)
    new = _rewritten(ctx, touched, {(row["id"], row["row"]) for row in rows})
    with ctx.db.transaction() as connection:
        predictions, outcomes = late.drop_rows(connection, [(row["id"], row["row"]) for row in rows])
        waiting = late.drop_waiting_key(connection, endpoint, wanted)
        for part, digest in new.items():
            tables.change(connection, tables.part, {"id": part}, {"digest": digest})
        done = Forgotten(predictions=predictions, outcomes=outcomes, waiting=waiting, parts=len(new))
        mark = hmac.digest(make_log_key(ctx.home), f"{endpoint}\0{wanted}".encode(), "sha256").hex()[:32]
        facts = {"reason": reason.strip()[:1000], "fingerprint": mark} | _counted(done)
        audit.append(connection, ctx, Event("predictions.erased", f"endpoint:{endpoint}", facts))
    _remove(ctx, {row["digest"] for row in touched if row["id"] in new} - set(new.values()))
    return done


def _touched(connection: Connection, endpoint: str, rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    if not rows:
        return []
    times = [row["event_time"] for row in rows]
    return [dict(part) for part in late.parts_touching(connection, endpoint, min(times), max(times))]


def _rewritten(ctx: Context, parts: Sequence[Mapping[str, Any]], rows: set[tuple[str, int]]) -> dict[int, str]:
    from ..parts import without  # noqa: PLC0415 - polars is heavy: only who opens parts loads it

    found = {part["id"]: without(ctx.blobs.get(part["digest"]), rows) for part in parts}
    return {number: ctx.blobs.put(data) for number, data in found.items() if data is not None}


def _remove(ctx: Context, digests: set[str]) -> None:
    """Remove bytes that only a part had; what anything else names as well stays until `modelloop gc` looks."""
    with ctx.db.reading() as connection:
        named = late.named(connection, sorted(digests))
    for digest in digests - named:
        ctx.blobs.remove(digest)


def _sum(one: Forgotten, other: Forgotten) -> Forgotten:
    return replace(one, **{name: getattr(one, name) + getattr(other, name) for name in Forgotten.__slots__})


def _counted(done: Forgotten) -> dict[str, int]:
    return {name: getattr(done, name) for name in Forgotten.__slots__}
