"""Conditions across columns: SQL expressions, looked through before any data is read. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ...ground.core.errors import ContractInvalid
from ...ground.core.later import polars as pl

_WHOLE_TABLE = {"Agg", "Over", "Len", "Quantile", "Rolling", "Shift", "Rank", "CumSum", "CumCount", "CumMin", "CumMax"}
"""Nodes of an expression that look at other rows than their own."""
_SUBQUERY = {"SubPlan", "Exists"}


def condition(text: str, columns: Mapping[str, pl.DataType]) -> pl.Expr:
    """Return the condition as an expression, true where a row meets it; raises ContractInvalid with what is wrong."""
    try:
        made = pl.sql_expr(text)
        words = set(_nodes(json.loads(made.meta.serialize(format="json"))))
        named = made.meta.root_names()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, ValueError) as error:
        raise ContractInvalid(f"it cannot be read as an SQL expression: {_first_line(error)}") from error
    if words & _SUBQUERY:
        raise ContractInvalid("it has a query in it; only expressions over the row's own columns are conditions")
    if words & _WHOLE_TABLE:
        raise ContractInvalid("it looks at more than one row (an aggregate or a window); a condition sees one row")
    unknown = sorted(set(named) - set(columns))
    if unknown or not named:
        has = ", ".join(sorted(columns)[:40])
        raise ContractInvalid(f"it names {', '.join(unknown) or 'no column'}; the columns are {has}")
    _try_out(made, columns)
    return made


def view(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Return the rows as conditions see them: times without a zone, which are UTC, as SQL writes them."""
    zoned = [name for name, kind in frame.collect_schema().items() if isinstance(kind, pl.Datetime) and kind.time_zone]
    return frame.with_columns(pl.col(zoned).dt.replace_time_zone(None)) if zoned else frame


def _try_out(made: pl.Expr, columns: Mapping[str, pl.DataType]) -> None:
    """Raise ContractInvalid unless it gives a Boolean for columns of these types."""
    empty = pl.DataFrame(schema=dict(columns))
    try:
        answered = view(empty.lazy()).select(made.alias("answer")).collect()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        hint = "; write DATE '2026-01-31' or TIMESTAMP '2026-01-31 12:00:00' (UTC)" if "datetime" in str(error) else ""
        raise ContractInvalid(f"it does not fit the types of its columns: {_first_line(error)}{hint}") from error
    if answered.schema["answer"] != pl.Boolean:
        raise ContractInvalid(f"it gives {answered.schema['answer']}, not true or false")


def _nodes(part: Any) -> Iterator[str]:
    """Walk the words of a serialised expression, but for names of columns and literals."""
    if isinstance(part, dict):
        for word, inner in part.items():
            yield word
            if word not in ("Column", "Literal"):
                yield from _nodes(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from _nodes(inner)
    elif isinstance(part, str):
        yield part


def _first_line(error: BaseException) -> str:
    told = str(error).strip()
    return (told.splitlines()[0] if told else type(error).__name__)[:300]
