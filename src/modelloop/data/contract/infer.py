"""A first contract from what a file holds: a draft for people to correct, never more than that. Pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ...ground.core.errors import InvalidInput
from ...ground.core.later import polars as pl
from ..insight.describe import Summary, summaries
from ..insight.personal import holds
from ..settings import ColumnType
from .cast import cast, wrong_types

_ORDER = (ColumnType.INTEGER, ColumnType.FLOAT, ColumnType.BOOLEAN, ColumnType.TIME, ColumnType.DATE)
SAMPLE = 1000
"""Rows that rule most types out before all rows are tried, and in which personal data is looked for."""
FEW = 12
"""Up to so many values, each seen ten times on average, are listed."""
_LONG = 64
"""Text is given a longest length where all of it is shorter than this: codes and names, not prose."""
_NAMES = 3
"""A key of two columns is looked for among so many of the columns with most different values."""


def infer(frame: pl.DataFrame, name: str) -> str:
    """Return the text of a [contracts.NAME] for rows like these: types, ranges, few categories, shares missing, a key.

    The draft accepts the very rows it was made from. What only a person can know stands in comments.
    """
    types = {column: _type_of(frame.select(column)) for column in frame.columns}
    typed = cast(frame, types, put=lambda _: "0" * 64).frame
    told = summaries(typed, types)
    personal = [column for column, kind in types.items() if kind is ColumnType.STRING and _personal(typed[column])]
    lines = [
        f"# A draft from {len(frame)} rows: ranges are what was seen, not what is allowed. Correct it.",
        f"[contracts.{name}]",
        *_key(typed, types),
        'on_violation = "stop"',
        *_fresh(types),
        f"[contracts.{name}.columns]",
    ]
    for column, kind in types.items():
        said = ", ".join(_settings(typed.get_column(column), kind, told[column]))
        if column in personal:
            lines.append(
                '# looks like personal data; personal = "hash" keeps a keyed hash, "mask" keeps only its kind:'
            )
        lines.append(f"{_toml_key(column)} = {{ {said} }}")
    return "\n".join(lines) + "\n"


def _type_of(column: pl.DataFrame) -> ColumnType:
    """Return the first type that every value fits; text that is a date is a date, not a time at midnight."""
    name = column.columns[0]
    dtype, few = column.schema[name], column.head(SAMPLE)
    if dtype == pl.Binary:
        return ColumnType.BINARY
    fitting = [kind for kind in _ORDER if _fits(few, name, kind, empty=True) and _fits(column, name, kind)]
    if ColumnType.DATE in fitting and ColumnType.TIME in fitting:
        return ColumnType.TIME if isinstance(dtype, pl.Datetime) else ColumnType.DATE
    if dtype.is_float() and ColumnType.FLOAT in fitting:
        return ColumnType.FLOAT
    possible = [kind for kind in (ColumnType.STRING, *reversed(_ORDER)) if not wrong_types(column, {name: kind})]
    if not fitting and not possible:
        raise InvalidInput(f"The column {name!r} holds {str(dtype)[:80]}, for which a contract has no word.")
    return (fitting or possible)[0]


def _fits(column: pl.DataFrame, name: str, kind: ColumnType, *, empty: bool = False) -> bool:
    if wrong_types(column, {name: kind}):
        return False
    made = cast(column, {name: kind})
    return not made.misfits and (empty or made.frame.get_column(name).count() > 0)


def _settings(values: pl.Series, kind: ColumnType, told: Summary) -> Iterator[str]:
    yield f'type = "{kind}"'
    if told.nulls or not told.rows:
        yield "nullable = true"
    if told.nulls:
        yield f"max_null_rate = {min(math.ceil((told.nulls / told.rows * 1.5 + 0.005) * 1000) / 1000, 1.0)}"
    if kind in (ColumnType.INTEGER, ColumnType.FLOAT) and told.low is not None:
        yield f"min = {_bound(told.low, math.floor)}"
        yield f"max = {_bound(told.high, math.ceil)}"
    if kind in (ColumnType.TIME, ColumnType.DATE) and told.low is not None:
        yield f'not_before = "{told.low.isoformat()}"'
    if kind is ColumnType.STRING:
        yield from _text_settings(values)


def _text_settings(values: pl.Series) -> Iterator[str]:
    seen = values.drop_nulls().unique()
    if 0 < len(seen) <= FEW and len(values) >= 10 * len(seen):
        yield f"one_of = {json.dumps(seen.sort().to_list(), ensure_ascii=False)}"
        return
    longest: Any = seen.str.len_chars().max()
    if longest is not None and 0 < longest <= _LONG and len(values) >= SAMPLE:
        yield f"max_length = {2 ** math.ceil(math.log2(longest))}"


def _bound(value: float, outward: Any) -> str:
    """Return a bound that the settings, which are floats, hold without shutting the value itself out."""
    if isinstance(value, int) and abs(value) > 2**53:
        return repr(math.nextafter(float(value), math.inf if outward is math.ceil else -math.inf))
    return repr(value)


def _fresh(types: Mapping[str, ColumnType]) -> list[str]:
    times = [name for name, kind in types.items() if kind is ColumnType.TIME]
    if not times:
        return []
    named = json.dumps(times[0], ensure_ascii=False)
    return [f'# freshness = {{ column = {named}, within = "1d" }}  # the newest row may be so old']


def _key(typed: pl.DataFrame, types: Mapping[str, ColumnType]) -> list[str]:
    """Return the first column, else the first pair of columns, that names every row."""
    kinds = (ColumnType.INTEGER, ColumnType.STRING)
    whole = [name for name, kind in types.items() if kind in kinds and not typed.get_column(name).null_count()]
    if len(typed) < 2 or not whole:
        return []
    counts = {name: typed.get_column(name).n_unique() for name in whole}
    alone = [name for name in whole if counts[name] == len(typed)]
    if alone:
        return [f"key = {json.dumps(alone[:1], ensure_ascii=False)}"]
    times = [n for n, kind in types.items() if kind in (ColumnType.TIME, ColumnType.DATE) and not typed[n].null_count()]
    counts |= {name: typed.get_column(name).n_unique() for name in times}
    most = sorted(counts, key=lambda name: -counts[name])[:_NAMES]
    for at, one in enumerate(most):
        for other in most[at + 1 :]:
            if counts[one] * counts[other] >= len(typed) and not typed.select(one, other).is_duplicated().any():
                pair = [name for name in types if name in (one, other)]
                return [f"# key = {json.dumps(pair, ensure_ascii=False)}  # no two of these rows share both"]
    return []


def _personal(values: pl.Series) -> bool:
    """Say whether a tenth of the first values are personal data: one address in a remark makes no column of them."""
    found: Any = holds(values.drop_nulls().head(SAMPLE)).fill_null(value=False).mean()
    return found is not None and found >= 0.1


def _toml_key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)
