"""The rows of a batch that break what a count says is broken. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from ....ground.core.later import polars as pl
from ..cast import Misfits
from ..conditions import view
from .measure import Measured
from .plan import Evidence, Plan, RowCheck

Holds: TypeAlias = "Callable[[pl.Series], pl.Series]"
"""Says of each value whether it holds personal data."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A check that rows break, and which (ascending, from 0)."""

    check: RowCheck
    rows: pl.Series


def marks(frame: pl.DataFrame, todo: Plan, told: Measured, misfits: Mapping[str, Misfits]) -> list[Mark]:
    """Return the marks of all checks that expressions find. What holds costs nothing."""
    found = [Mark(one.type, misfits[one.name].rows) for one in todo.columns if one.name in misfits]
    by_value = list(_broken(todo, told))
    by_row = [
        (one, one.broken)
        for one, count in zip(todo.conditions, told.conditions, strict=True)
        if count and one.broken is not None
    ]
    for rows, broken in ((frame.lazy(), by_value), (view(frame.lazy()), by_row)):
        hit = rows.select(expression.alias(str(at)) for at, (_, expression) in enumerate(broken)).collect()
        found += [Mark(check, hit.to_series(at).arg_true()) for at, (check, _) in enumerate(broken)]
    missing = [one for one in todo.columns if one.null is not None and told.columns[one.name].missing]
    for one in missing:
        absent = frame.get_column(one.name).is_null().arg_true()
        if one.name in misfits:
            absent = absent.filter(~absent.is_in(misfits[one.name].rows.implode()))
        assert one.null is not None
        found.append(Mark(one.null, absent))
    return [one for one in found if len(one.rows)]


def personal_marks(frame: pl.DataFrame, todo: Plan, told: Measured, holds: Holds) -> Iterator[Mark]:
    """Walk the rows that hold personal data in columns that refuse it."""
    for check in todo.personal:
        values = frame.get_column(check.column)
        distinct = told.columns[check.column].distinct
        if distinct is None:
            rows = holds(values).fill_null(value=False).arg_true()
        else:
            named = distinct.filter(holds(distinct).fill_null(value=False))
            rows = (
                values.is_in(named.implode()).fill_null(value=False).arg_true()
                if len(named)
                else pl.Series(dtype=pl.UInt32)
            )
        if len(rows):
            yield Mark(check, rows)


def reference_marks(frame: pl.DataFrame, check: RowCheck, told: Measured | None, there: pl.LazyFrame) -> Mark | None:
    """Return the rows whose value another dataset lacks; `there` is one column of it."""
    name = check.column
    values = frame.get_column(name)
    distinct = None if told is None else told.columns[name].distinct
    asked = values.drop_nulls().unique() if distinct is None else distinct
    held = there.select(pl.col(there.collect_schema().names()[0]).cast(values.dtype).alias(name))
    lacking = asked.to_frame().lazy().join(held, on=name, how="anti").collect(engine="streaming").get_column(name)
    if not len(lacking):
        return None
    return Mark(check, values.is_in(lacking.implode()).fill_null(value=False).arg_true())


def _broken(todo: Plan, told: Measured) -> Iterator[tuple[RowCheck, pl.Expr]]:
    for one in todo.columns:
        facts = told.columns[one.name]
        by_value = dict(zip(one.by_value, facts.broken, strict=False))
        for check in one.checks:
            if check.evidence is Evidence.VALUE and by_value.get(check) and check.broken is not None:
                yield check, check.broken
            elif check.suspect is not None and check.suspect(facts):
                expression = check.by_facts(facts) if check.by_facts is not None else check.broken
                assert expression is not None, f"{check.check} has an expression"
                yield check, expression
