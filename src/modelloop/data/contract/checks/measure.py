"""All checks of a batch counted in one query. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ....ground.core.later import polars as pl
from ...settings import ColumnType
from ..cast import Misfits
from ..conditions import view
from .facts import Facts, Moments
from .plan import ColumnPlan, Plan

_SAMPLE = 1_000
_FEW = 4
"""A column of which a sample has fewer than a fourth different values has few: they are looked at once each."""
_AT_ONCE = 500
"""Columns a query: a plan of ten thousand columns takes longer to make than to run."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What one query told of a batch."""

    rows: int
    columns: Mapping[str, Facts]
    conditions: tuple[int, ...]
    """How many rows break each."""


def measure(frame: pl.DataFrame, todo: Plan, misfits: Mapping[str, Misfits], before: Mapping[str, Moments]) -> Measured:
    """Count everything the plan asks. Raises PolarsError where a condition cannot be computed for some row."""
    facts: dict[str, Facts] = {}
    broken = [one.broken.sum().alias(str(at)) for at, one in enumerate(todo.conditions) if one.broken is not None]
    queries = [view(frame.lazy()).select(broken)] if broken else []
    starts = range(0, len(todo.columns), _AT_ONCE)
    for start in starts:
        part = todo.columns[start : start + _AT_ONCE]
        queries.append(frame.lazy().select(ask for at, one in enumerate(part) for ask in _asked(at, one, frame)))
    told = pl.collect_all(queries)
    counts = told.pop(0).row(0) if broken else ()
    for start, answered in zip(starts, told, strict=True):
        answers = {column.name: column[0] for column in answered.get_columns()}
        for at, one in enumerate(todo.columns[start : start + _AT_ONCE]):
            out = misfits.get(one.name)
            read = replace(_read(at, one, answers, len(frame)), misfits=0 if out is None else len(out.rows))
            facts[one.name] = _with_moments(read, one, answers, at, before)
    return Measured(len(frame), facts, tuple(int(count or 0) for count in counts))


def is_number(kind: ColumnType) -> bool:
    """Say whether a column has a mean."""
    return kind in (ColumnType.INTEGER, ColumnType.FLOAT, ColumnType.BOOLEAN)


def few(values: pl.Series) -> bool:
    """Guess from a sample whether a column has few different values."""
    if len(values) <= _SAMPLE:
        return True
    return values.gather_every(len(values) // _SAMPLE).n_unique() * _FEW < _SAMPLE


def _asked(at: int, one: ColumnPlan, frame: pl.DataFrame) -> Iterator[pl.Expr]:
    value, kind = pl.col(one.name), one.settings.type
    yield value.null_count().alias(f"n{at}")
    if is_number(kind):
        yield value.mean().alias(f"m{at}")
    if one.zscore:
        yield value.var(ddof=0).alias(f"v{at}")
    if kind is ColumnType.STRING and few(frame.get_column(one.name)):
        yield value.drop_nulls().unique().implode().alias(f"d{at}")
        return
    if kind is not ColumnType.BINARY:
        yield value.min().alias(f"a{at}")
        yield value.max().alias(f"z{at}")
    for place, check in enumerate(one.by_value):
        if check.broken is not None:
            yield check.broken.sum().alias(f"b{at}:{place}")


def _read(at: int, one: ColumnPlan, told: Mapping[str, Any], rows: int) -> Facts:
    nulls, mean, distinct = int(told[f"n{at}"]), told.get(f"m{at}"), told.get(f"d{at}")
    if distinct is None:
        broken = tuple(int(told[f"b{at}:{place}"] or 0) for place in range(len(one.by_value)))
        return Facts(rows, nulls, low=told.get(f"a{at}"), high=told.get(f"z{at}"), mean=mean, broken=broken)
    values = distinct.alias(one.name)
    asked = [
        check.broken.sum().alias(str(place)) for place, check in enumerate(one.by_value) if check.broken is not None
    ]
    counts = values.to_frame().select(asked).row(0) if asked else ()
    return Facts(
        rows, nulls, low=values.min(), high=values.max(), mean=mean, distinct=values,
        broken=tuple(int(count or 0) for count in counts),
    )  # fmt: skip


def _with_moments(
    facts: Facts, one: ColumnPlan, told: Mapping[str, Any], at: int, before: Mapping[str, Moments]
) -> Facts:
    if not one.zscore:
        return facts
    known = before.get(one.name, Moments())
    if facts.values:
        squares = float(told[f"v{at}"] or 0.0) * facts.values
        known = known.with_(Moments(facts.values, facts.mean or 0.0, squares, facts.low, facts.high))
    return replace(facts, moments=known)
