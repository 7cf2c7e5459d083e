"""Conditions and orders of a search as SQL that both engines answer alike."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ...train.tracking.grammar import Condition, Order
from .. import tables

_ORDERED: Mapping[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
PROMPT = "mlflow.prompt.is_prompt"
"""A tag that MLflow's clients ask for with every search: who lacks it is no prompt."""


def models(connection: Connection, conditions: Sequence[Condition], orders: Sequence[Order]) -> sa.Select[Any]:
    """Return the query for registered models."""
    table, tag = tables.model, tables.model_tag
    columns = {
        "name": table.c.name,
        "creation_timestamp": table.c.made_ms,
        "last_updated_timestamp": table.c.changed_ms,
    }
    query = sa.select(table)
    for one in conditions:
        if one.entity == "tag":
            query = query.where(_tagged(connection, one, tag, tag.c.model == table.c.name))
        else:
            query = query.where(_compared(connection, columns[one.key], one))
    return query.order_by(*_ordered(columns, orders), table.c.name)


def versions(connection: Connection, conditions: Sequence[Condition], orders: Sequence[Order]) -> sa.Select[Any]:
    """Return the query for versions."""
    table, tag, note = tables.version, tables.version_tag, tables.note
    # Two kinds of times: when a version was made is a time, when it was changed is milliseconds
    made = _milliseconds(connection, table.c.made_at)
    changed = sa.func.coalesce(note.c.changed_ms, made)
    columns: dict[str, Any] = {
        "name": table.c.model,
        "run_id": table.c.run,
        "source_path": table.c.source,
        "version_number": table.c.number,
        "creation_timestamp": made,
        "last_updated_timestamp": changed,
    }
    same = sa.and_(note.c.model == table.c.model, note.c.number == table.c.number)
    query = sa.select(table).outerjoin(note, same)
    for one in conditions:
        if one.entity == "tag":
            mine = sa.and_(tag.c.model == table.c.model, tag.c.number == table.c.number)
            query = query.where(_tagged(connection, one, tag, mine))
        else:
            query = query.where(_compared(connection, columns[one.key], one))
    plain = () if orders else (changed.desc(),)
    return query.order_by(*_ordered(columns, orders), *plain, table.c.model, table.c.number.desc())


def _ordered(columns: dict[str, Any], orders: Sequence[Order]) -> list[sa.ColumnElement[Any]]:
    return [columns[one.key].asc() if one.ascending else columns[one.key].desc() for one in orders]


def _tagged(
    connection: Connection, one: Condition, tag: sa.Table, mine: sa.ColumnElement[bool]
) -> sa.ColumnElement[bool]:
    has = sa.exists().where(mine, tag.c.key == one.key)
    if one.operator == "IS NULL":
        return ~has
    if one.operator == "IS NOT NULL":
        return has
    fits = sa.exists().where(mine, tag.c.key == one.key, _compared(connection, tag.c.value, one))
    if one.key == PROMPT and (one.operator, one.value) in (("=", "false"), ("!=", "true")):
        return sa.or_(fits, ~has)
    return fits


def _compared(connection: Connection, column: sa.ColumnElement[Any], one: Condition) -> sa.ColumnElement[bool]:
    value: Any = one.value
    match one.operator:
        case "IN":
            return column.in_(value)
        case "NOT IN":
            return column.not_in(value)
        case "LIKE":
            return _like(connection, column, str(value))
        case "ILIKE":
            return sa.func.lower(column).like(str(value).lower())
    found: sa.ColumnElement[bool] = _ORDERED[one.operator](column, value)
    return found


def _like(connection: Connection, column: sa.ColumnElement[Any], pattern: str) -> sa.ColumnElement[bool]:
    """Compare with capitals told apart; SQLite's LIKE does not, its GLOB does."""
    if connection.dialect.name == "postgresql":
        return column.like(pattern)
    marks = {"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"}
    return column.bool_op("GLOB")("".join(marks.get(letter, letter) for letter in pattern))


def _milliseconds(connection: Connection, column: Any) -> Any:
    if connection.dialect.name == "postgresql":
        return sa.cast(sa.func.floor(sa.extract("epoch", column) * 1000), sa.BigInteger)
    return sa.cast(sa.func.round((sa.func.julianday(column) - 2440587.5) * 86400000), sa.BigInteger)
