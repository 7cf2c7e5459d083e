"""Versions: never changed once they are registered; described, tagged, and deleted only where nothing rests on them."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from sqlalchemy.engine import Connection

from ...ground.core.errors import Conflict, NotFound
from ...ground.core.records import Event
from ...ground.store import audit
from ...ground.store.context import Context
from .. import tables
from ..names import check_tag, check_text, split
from ..records import ModelVersion
from .models import found, keep, now_ms, touched, unknown

_FORMS = "A version is MODEL:NUMBER, for instance delay:3, or MODEL@ALIAS."


def reserve(connection: Connection, ctx: Context, model: str) -> int:
    """Return the next number of a model, made where there is none; others who register under it wait their turn."""
    moment = now_ms(ctx)
    new = {"name": model, "description": "", "made_ms": moment, "changed_ms": moment, "newest": 0}
    tables.insert_new(connection, tables.model, new)
    row = tables.lock(connection, model)
    assert row is not None
    return int(row["newest"]) + 1


def reread(connection: Connection, model: str, number: int) -> ModelVersion:
    """Return a version that is there."""
    version = tables.by_number(connection, model, number)
    assert version is not None
    return version


def get_version(ctx: Context, name: str) -> ModelVersion:
    """Return the version `model:number` or `model@alias`; raises NotFound."""
    said = split(name)
    if said is None:
        raise NotFound(f"{name[:80]!r} names no version.", hint=_FORMS)
    model, which = said
    if isinstance(which, int):
        return of_number(ctx, model, which)
    with ctx.db.reading() as connection:
        held = tables.find(connection, tables.alias, model=model, alias=which)
        if held is None:
            others = [row["alias"] for row in tables.rows(connection, tables.alias, model=model)]
            hint = f"It has: {', '.join(others)}." if others else "It has none."
            raise NotFound(f"{found(connection, model)['name']} has no alias {which!r}.", hint=hint)
        return reread(connection, model, held["number"])


def of_number(ctx: Context, model: str, number: int) -> ModelVersion:
    """Return a version by its model and number; raises NotFound."""
    with ctx.db.reading() as connection:
        return _there(connection, model, number)


def versions(ctx: Context, model: str) -> tuple[ModelVersion, ...]:
    """Return the versions of a model, oldest first; none where there is no such model."""
    with ctx.db.reading() as connection:
        return tables.of_model(connection, model)


def latest(ctx: Context, model: str) -> ModelVersion | None:
    """Return the newest version of a model, if it has any; raises NotFound where there is no such model."""
    with ctx.db.reading() as connection:
        found(connection, model)
        return next(iter(tables.of_model(connection, model)[::-1]), None)


def unconverted(ctx: Context) -> bool:
    """Say whether a foreign version waits for somebody to try whether it can be served."""
    with ctx.db.reading() as connection:
        return bool(tables.untried(connection))


def update_version(ctx: Context, model: str, number: int, *, description: str) -> ModelVersion:
    """Describe a version anew."""
    check_text(description, "the description")
    with ctx.db.transaction() as connection:
        name = _there(connection, model, number).name
        row = {"model": model, "number": number, "description": description, "changed_ms": now_ms(ctx)}
        tables.put(connection, tables.note, row)
        touched(connection, ctx, model)
        audit.append(connection, ctx, Event("model.version_described", name))
        return reread(connection, model, number)


def set_version_tag(ctx: Context, model: str, number: int, key: str, value: str) -> None:
    """Put a tag on a version, or replace it."""
    key, value = check_tag(key, value)
    with ctx.db.transaction() as connection:
        version = _there(connection, model, number)
        row = {"model": model, "number": number, "key": key, "value": value}
        tables.put(connection, tables.version_tag, row)
        _noted(connection, ctx, version)


def delete_version_tag(ctx: Context, model: str, number: int, key: str) -> None:
    """Take a tag away; nothing happens where there is none."""
    with ctx.db.transaction() as connection:
        version = _there(connection, model, number)
        tables.drop(connection, tables.version_tag, {"model": model, "number": number, "key": key})
        _noted(connection, ctx, version)


def delete_version(ctx: Context, model: str, number: int, *, why: str = "", force: bool = False) -> None:
    """Delete a version; its bytes go with the next garbage collection, its number is never given again.

    Protected: what an endpoint ever answered with (for good), and what an alias names (`force` drops a person's
    aliases first).
    """
    with ctx.db.transaction() as connection:
        if tables.lock(connection, model) is None:
            raise unknown(connection, model)
        version = _there(connection, model, number)
        _refuse_where_needed(connection, version, force=force)
        for alias in version.aliases:
            tables.drop(connection, tables.alias, {"model": model, "alias": alias})
            told = {"at": ctx.now(), "event_time": None, "by": ctx.actor.name, "endpoint": None}
            told |= {"why": f"{version.name} was deleted. {why}".strip()}
            moved = {"model": model, "alias": alias, "number": None, "before": number}
            tables.add(connection, tables.alias_move, moved | told)
        keep(connection, ctx, model=model, number=number, body=msgspec.to_builtins(version), why=why)
        for table in tables.OF_VERSION:
            tables.drop(connection, table, {"model": model, "number": number})
        touched(connection, ctx, model)
        facts: Mapping[str, object] = {"digest": version.digest, "why": why, "aliases": list(version.aliases)}
        audit.append(connection, ctx, Event("model.version_deleted", version.name, dict(facts)))


def _refuse_where_needed(connection: Connection, version: ModelVersion, *, force: bool) -> None:
    moves = [move for move in tables.moves(connection, version.model) if version.number in (move.number, move.before)]
    endpoints = sorted({move.endpoint for move in moves if move.endpoint})
    if endpoints:
        raise Conflict(
            f"{version.name} cannot be deleted: it answers or answered at {', '.join(endpoints)}.",
            hint="What answered must be answerable for good. Give it a description that says it is out of use.",
        )
    if version.aliases and not force:
        raise Conflict(
            f"{version.name} cannot be deleted: it is {', '.join(version.aliases)}.",
            hint="Name another version so first, or delete it with --force, which drops the aliases.",
        )


def _there(connection: Connection, model: str, number: int) -> ModelVersion:
    version = tables.by_number(connection, model, number)
    if version is not None:
        return version
    if tables.find(connection, tables.model, name=model) is None:
        raise unknown(connection, model)
    others = tables.of_model(connection, model)
    hint = f"The newest is {others[-1].name}." if others else "It has no version yet."
    raise NotFound(f"{model} has no version {number}.", hint=hint)


def _noted(connection: Connection, ctx: Context, version: ModelVersion) -> None:
    noted = {"model": version.model, "number": version.number, "description": version.description}
    tables.put(connection, tables.note, noted | {"changed_ms": now_ms(ctx)})
    touched(connection, ctx, version.model)
