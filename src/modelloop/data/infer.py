"""A first contract from what a file holds: a draft for people to correct, never more than that. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import polars as pl

from ..ground.core.errors import InvalidInput
from .arrival import describe
from .cast import RAW, cast, wrong_types
from .records import ColumnStats
from .settings import ColumnSettings, ColumnType, ContractSettings

_ORDER = (ColumnType.INTEGER, ColumnType.FLOAT, ColumnType.BOOLEAN, ColumnType.TIME, ColumnType.DATE)
SAMPLE = 1000
"""Rows that rule most types out before all rows are tried."""
FEW = 12
"""Up to so many values, each seen ten times on average, are listed."""


def infer(frame: pl.DataFrame, name: str) -> str:
    """Return the text of a [contracts.NAME] for rows like these: types, ranges, few categories, shares missing."""
    columns = {column: ColumnSettings(_type_of(frame.select(column)), nullable=True) for column in frame.columns}
    typed = cast(frame, ContractSettings(columns), "").select(frame.columns)
    lines = [f"# A draft from {len(frame)} rows: ranges are what was seen, not what is allowed. Correct it."]
    lines += [f"[contracts.{name}]", *_key(typed, columns), 'on_violation = "stop"', f"[contracts.{name}.columns]"]
    for stats in describe(typed):
        said = ", ".join(_settings(typed.get_column(stats.name), stats))
        lines.append(f"{_toml_key(stats.name)} = {{ {said} }}")
    return "\n".join(lines) + "\n"


def _type_of(column: pl.DataFrame) -> ColumnType:
    """Return the first type that every value fits; text that is a date is a date, not a time at midnight."""
    name = column.columns[0]
    few = column.head(SAMPLE)
    fitting = [kind for kind in _ORDER if _fits(few, name, kind, empty=True) and _fits(column, name, kind)]
    if ColumnType.DATE in fitting and ColumnType.TIME in fitting:
        return ColumnType.TIME if isinstance(column.schema[name], pl.Datetime) else ColumnType.DATE
    if column.schema[name].is_float() and ColumnType.FLOAT in fitting:
        return ColumnType.FLOAT
    possible = [kind for kind in (ColumnType.STRING, *reversed(_ORDER)) if not wrong_types(column, _alone(name, kind))]
    if not fitting and not possible:
        raise InvalidInput(f"The column {name!r} holds {column.schema[name]}, for which a contract has no word.")
    return (fitting or possible)[0]


def _fits(column: pl.DataFrame, name: str, kind: ColumnType, *, empty: bool = False) -> bool:
    contract = _alone(name, kind)
    if wrong_types(column, contract):
        return False
    made = cast(column, contract, "")
    return made.get_column(RAW + name).null_count() == len(made) and (empty or made.get_column(name).count() > 0)


def _alone(name: str, kind: ColumnType) -> ContractSettings:
    return ContractSettings({name: ColumnSettings(kind, nullable=True)})


def _settings(values: pl.Series, stats: ColumnStats) -> Iterator[str]:
    yield f'type = "{stats.type}"'
    if values.null_count():
        yield "nullable = true"
        yield f"max_null_rate = {min(round(stats.null_rate * 1.5 + 0.005, 3), 1.0)}"
    if stats.type in (ColumnType.INTEGER, ColumnType.FLOAT) and stats.low is not None:
        yield f"min = {stats.low}"
        yield f"max = {stats.high}"
    if stats.type == ColumnType.STRING:
        seen = values.drop_nulls().unique().sort().to_list()
        if 0 < len(seen) <= FEW and len(values) >= 10 * len(seen):
            yield f"one_of = {json.dumps(seen, ensure_ascii=False)}"


def _key(typed: pl.DataFrame, columns: dict[str, ColumnSettings]) -> list[str]:
    kinds = (ColumnType.INTEGER, ColumnType.STRING)
    unique = [name for name, one in columns.items() if one.type in kinds and typed.get_column(name).is_unique().all()]
    whole = [name for name in unique if not typed.get_column(name).null_count()]
    return [f"key = [{json.dumps(whole[0], ensure_ascii=False)}]"] if whole and len(typed) > 1 else []


def _toml_key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)
