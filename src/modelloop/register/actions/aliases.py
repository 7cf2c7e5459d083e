"""Aliases: names for versions that may move, with everything that was ever so named, by whom and why.

`champion` and `challenger` belong to the endpoint that answers with them: a deployment moves them in the transaction in
which its routing changes, nobody else does. A second endpoint of the same model has `champion-ENDPOINT`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.engine import Connection, RowMapping

from ...ground.core.errors import Conflict, NotFound
from ...ground.core.records import Event
from ...ground.store import audit
from ...ground.store.context import Context
from .. import tables
from ..names import check_alias, split
from ..records import AliasMove, Live, ModelVersion, Routed
from .models import found, subject, touched
from .versions import of_number, reread

CHAMPION, CHALLENGER = "champion", "challenger"


def set_alias(ctx: Context, model: str, alias: str, number: int, *, why: str = "") -> ModelVersion:
    """Let an alias name a version from now on; raises Conflict for one that belongs to an endpoint."""
    check_alias(alias)
    with ctx.db.transaction() as connection:
        version = tables.by_number(connection, model, number)
        if version is None:
            found(connection, model)
            raise NotFound(f"{model} has no version {number}.", hint=f"`modelloop models list` shows those of {model}.")
        held = tables.find(connection, tables.alias, model=model, alias=alias)
        _refuse_where_routed(held)
        if held is None or held["number"] != number:
            facts = _moved(connection, ctx, held, {"model": model, "alias": alias, "number": number, "why": why})
            audit.append(connection, ctx, Event("model.alias_set", version.name, facts))
        return reread(connection, model, number)


def drop_alias(ctx: Context, model: str, alias: str, *, why: str = "") -> bool:
    """Take an alias away and return whether it was there; its history stays."""
    with ctx.db.transaction() as connection:
        found(connection, model)
        held = tables.find(connection, tables.alias, model=model, alias=alias)
        if held is None:
            return False
        _refuse_where_routed(held)
        facts = _moved(connection, ctx, held, {"model": model, "alias": alias, "number": None, "why": why})
        audit.append(connection, ctx, Event("model.alias_dropped", subject(model), facts))
        return True


def by_alias(ctx: Context, model: str, alias: str) -> ModelVersion:
    """Return the version that an alias names; raises NotFound."""
    with ctx.db.reading() as connection:
        found(connection, model)
        held = tables.find(connection, tables.alias, model=model, alias=alias)
    if held is None:
        raise NotFound(f"{model} has no alias {alias[:80]!r}.", hint=f"`modelloop models aliases {model}` shows them.")
    return of_number(ctx, model, held["number"])


def aliases_of(ctx: Context, model: str) -> Mapping[str, AliasMove]:
    """Return what each alias of a model names now, by the move that made it so."""
    with ctx.db.reading() as connection:
        found(connection, model)
        held = tables.rows(connection, tables.alias, model=model)
        moves = {move.alias: move for move in tables.moves(connection, model)}
    return {row["alias"]: moves[row["alias"]] for row in held}


def alias_history(ctx: Context, model: str, alias: str | None = None) -> tuple[AliasMove, ...]:
    """Return every move of an alias, or of all aliases of a model, oldest first. Dropped ones have theirs too."""
    with ctx.db.reading() as connection:
        found(connection, model)
        return tables.moves(connection, model, alias)


def alias_at(ctx: Context, model: str, alias: str, moment: datetime) -> int | None:
    """Return the number of the version that an alias named at a moment of the wall clock, or None."""
    with ctx.db.reading() as connection:
        move = tables.move_at(connection, model, alias, moment)
    return None if move is None else move.number


def live_at(ctx: Context, endpoint: str, moment: datetime, *, by_event: bool = False) -> Live | None:
    """Return which version answered at an endpoint at a moment of the wall clock, or of the data's (`by_event`)."""
    with ctx.db.reading() as connection:
        move = tables.arrival_at(connection, endpoint, moment, by_event=by_event)
    if move is None or move.number is None:
        return None
    return Live(endpoint, move.model, move.number, move)


def route_moved(connection: Connection, ctx: Context, routed: Routed) -> None:
    """Let champion and challenger follow an endpoint's routing, in the transaction that changes it.

    What already is so makes no line of history.
    """
    for word, name in ((CHAMPION, routed.champion), (CHALLENGER, routed.challenger)):
        said = split(name) if name else None
        model, number = (said[0], said[1]) if said else (None, None)
        mine = [row for row in tables.rows(connection, tables.alias, endpoint=routed.endpoint) if _is(row, word)]
        told = {"why": routed.why, "event_time": routed.event_time, "endpoint": routed.endpoint}
        # First what ends, then what comes: of two models at one endpoint, the newest line says what answers.
        for row in mine:
            if row["model"] != model:
                gone = {"model": row["model"], "alias": row["alias"], "number": None}
                _moved(connection, ctx, row, gone | told)
        if model is None:
            continue
        alias = next((row["alias"] for row in mine if row["model"] == model), None)
        alias = alias or _free(connection, model, word, routed.endpoint)
        held = tables.find(connection, tables.alias, model=model, alias=alias)
        if held is None or held["number"] != number or held["endpoint"] != routed.endpoint:
            _moved(connection, ctx, held, {"model": model, "alias": alias, "number": number} | told)


def _is(row: RowMapping, word: str) -> bool:
    return row["alias"] == word or bool(row["alias"].startswith(f"{word}-"))


def _free(connection: Connection, model: str, word: str, endpoint: str) -> str:
    """Return the plain word unless another endpoint has it; a person's alias of that name is taken over."""
    held = tables.find(connection, tables.alias, model=model, alias=word)
    return word if held is None or held["endpoint"] in (None, endpoint) else f"{word}-{endpoint}"


def _moved(connection: Connection, ctx: Context, held: RowMapping | None, move: Mapping[str, Any]) -> dict[str, Any]:
    """Write the move and what the alias names now; return the facts for the audit log."""
    before = held["number"] if held else None
    told = {"event_time": None, "endpoint": None, "before": before, "at": ctx.now(), "by": ctx.actor.name} | dict(move)
    tables.add(connection, tables.alias_move, told)
    key = {"model": move["model"], "alias": move["alias"]}
    if move["number"] is None:
        tables.drop(connection, tables.alias, key)
    else:
        tables.put(connection, tables.alias, key | {"number": move["number"], "endpoint": told["endpoint"]})
    touched(connection, ctx, move["model"])
    return {"alias": move["alias"], "number": move["number"], "before": before, "why": move["why"]}


def _refuse_where_routed(held: RowMapping | None) -> None:
    if held is not None and held["endpoint"] is not None:
        raise Conflict(
            f"{held['alias']!r} of {held['model']!r} is what answers at the endpoint {held['endpoint']!r}.",
            hint="It moves with the routing: use `modelloop deploy` or `modelloop rollback`.",
        )
