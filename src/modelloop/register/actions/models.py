"""Registered models: names, what is said about them, and their end."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

import msgspec
from sqlalchemy.engine import Connection, RowMapping

from ...ground.core.errors import Conflict, NotFound
from ...ground.core.records import Event
from ...ground.store import audit
from ...ground.store.context import Context
from .. import tables
from ..names import check_model, check_tag, check_text
from ..records import RegisteredModel


def create_model(
    ctx: Context, name: str, *, description: str = "", tags: Mapping[str, str] | None = None, at_ms: int | None = None
) -> RegisteredModel:
    """Make a name without versions; raises Conflict where it is there. `at_ms`: of a store that is imported."""
    check_model(name)
    check_text(description, "the description")
    checked = [check_tag(key, value) for key, value in (tags or {}).items()]
    moment = now_ms(ctx) if at_ms is None else at_ms
    row = {"name": name, "description": description, "made_ms": moment, "changed_ms": moment, "newest": 0}
    with ctx.db.transaction() as connection:
        if not tables.insert_new(connection, tables.model, row):
            raise Conflict(f"There is a registered model {name!r} already.", hint="Register versions under it.")
        for key, value in checked:
            tables.put(connection, tables.model_tag, {"model": name, "key": key, "value": value})
        audit.append(connection, ctx, Event("model.created", subject(name), {"tags": dict(checked)}))
    return get_model(ctx, name)


def get_model(ctx: Context, name: str) -> RegisteredModel:
    """Return a model; raises NotFound."""
    with ctx.db.reading() as connection:
        row = found(connection, name)
        return filled_models(connection, [row])[0]


def models(ctx: Context) -> tuple[str, ...]:
    """Return the names of all models that have versions, sorted."""
    with ctx.db.reading() as connection:
        return tables.models(connection)


def update_model(ctx: Context, name: str, *, description: str) -> RegisteredModel:
    """Describe a model anew."""
    check_text(description, "the description")
    with ctx.db.transaction() as connection:
        found(connection, name)
        values = {"description": description, "changed_ms": now_ms(ctx)}
        tables.change(connection, tables.model, {"name": name}, values)
        audit.append(connection, ctx, Event("model.described", subject(name)))
    return get_model(ctx, name)


def rename_model(ctx: Context, name: str, new: str) -> RegisteredModel:
    """Give a model another name. One that answered at an endpoint keeps its own: predictions and audit refer to it."""
    check_model(new)
    with ctx.db.transaction() as connection:
        _lock(connection, name)
        if tables.find(connection, tables.model, name=new):
            raise Conflict(f"There is a registered model {new!r} already.", hint="Choose another name.")
        _refuse_where_served(connection, name, "be renamed")
        tables.rename(connection, name, new)
        tables.change(connection, tables.model, {"name": new}, {"changed_ms": now_ms(ctx)})
        audit.append(connection, ctx, Event("model.renamed", subject(new), {"before": name}))
    return get_model(ctx, new)


def delete_model(ctx: Context, name: str, *, why: str = "") -> None:
    """Delete a model with all versions; what it held is written into the list of removed things.

    One that answered at an endpoint stays: what was live then must be answerable for good.
    """
    with ctx.db.transaction() as connection:
        row = _lock(connection, name)
        _refuse_where_served(connection, name, "be deleted")
        gone = tables.of_model(connection, name)
        body = {
            "model": msgspec.to_builtins(filled_models(connection, [row])[0]),
            "versions": msgspec.to_builtins(gone),
            "moves": msgspec.to_builtins(tables.moves(connection, name)),
        }
        keep(connection, ctx, model=name, number=None, body=body, why=why)
        for table in tables.OF_MODEL:
            tables.drop(connection, table, {"model": name})
        tables.drop(connection, tables.model, {"name": name})
        facts = {"versions": [version.number for version in gone], "why": why}
        audit.append(connection, ctx, Event("model.deleted", subject(name), facts))


def set_model_tag(ctx: Context, name: str, key: str, value: str) -> None:
    """Put a tag on a model, or replace it."""
    key, value = check_tag(key, value)
    with ctx.db.transaction() as connection:
        found(connection, name)
        tables.put(connection, tables.model_tag, {"model": name, "key": key, "value": value})
        touched(connection, ctx, name)


def delete_model_tag(ctx: Context, name: str, key: str) -> None:
    """Take a tag away; nothing happens where there is none."""
    with ctx.db.transaction() as connection:
        found(connection, name)
        tables.drop(connection, tables.model_tag, {"model": name, "key": key})
        touched(connection, ctx, name)


def now_ms(ctx: Context) -> int:
    """Return the time in milliseconds since 1970."""
    return round(ctx.now().timestamp() * 1000)


def subject(name: str) -> str:
    """Return how the audit log calls a model without a number."""
    return f"model:{name}"


def found(connection: Connection, name: str) -> RowMapping:
    """Return a model's row; raises NotFound with the name that was meant."""
    row = tables.find(connection, tables.model, name=name)
    if row is None:
        raise unknown(connection, name)
    return row


def unknown(connection: Connection, name: str) -> NotFound:
    """Return the error for a model that is not there."""
    known = [row["name"] for row in tables.rows(connection, tables.model)]
    close = get_close_matches(name, known, n=1)
    some = f"There are: {', '.join(known[:20])}." if known else "No model is registered yet."
    return NotFound(f"There is no model {name[:80]!r}.", hint=f"Did you mean {close[0]!r}?" if close else some)


def touched(connection: Connection, ctx: Context, name: str) -> None:
    """Note that something about a model changed."""
    tables.change(connection, tables.model, {"name": name}, {"changed_ms": now_ms(ctx)})


def keep(
    connection: Connection, ctx: Context, *, model: str, number: int | None, body: Mapping[str, object], why: str
) -> None:
    """Write what is deleted into the list of removed things."""
    row = {"model": model, "number": number, "body": dict(body), "at": ctx.now(), "by": ctx.actor.name, "why": why}
    tables.add(connection, tables.removed, row)


def filled_models(connection: Connection, rows: list[RowMapping]) -> list[RegisteredModel]:
    """Make models of rows, with their tags and aliases."""
    names = [row["name"] for row in rows]
    tags: dict[str, dict[str, str]] = {name: {} for name in names}
    aliases: dict[str, dict[str, int]] = {name: {} for name in names}
    for row in tables.of_models(connection, tables.model_tag, names):
        tags[row["model"]][row["key"]] = row["value"]
    for row in tables.of_models(connection, tables.alias, names):
        aliases[row["model"]][row["alias"]] = row["number"]
    words = ("name", "description", "made_ms", "changed_ms")
    return [
        RegisteredModel(**{word: row[word] for word in words}, tags=tags[row["name"]], aliases=aliases[row["name"]])
        for row in rows
    ]


def _lock(connection: Connection, name: str) -> RowMapping:
    row = tables.lock(connection, name)
    if row is None:
        raise unknown(connection, name)
    return row


def _refuse_where_served(connection: Connection, name: str, what: str) -> None:
    endpoints = sorted({move.endpoint for move in tables.moves(connection, name) if move.endpoint})
    if endpoints:
        raise Conflict(
            f"{name!r} cannot {what}: versions of it answered at {', '.join(endpoints)}.",
            hint="What answered, and when, must be answerable for good. Versions that never answered can be deleted.",
        )
