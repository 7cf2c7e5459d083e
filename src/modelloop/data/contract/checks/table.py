"""Checks of an arrival as a whole, once all of it was read. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time

from ...records import CheckResult, Level, Report
from ...settings import ColumnSettings, ContractSettings, Severity
from .tally import ColumnTally, Tally


def table_checks(tally: Tally, before: Report | None, now: datetime) -> Iterator[CheckResult]:
    """Walk the checks of volume, missing values, means, different values and freshness."""
    contract = tally.todo.contract
    yield from _volume(contract, tally.rows, before)
    for one in tally.todo.columns:
        told = tally.columns.get(one.name, ColumnTally())
        yield from _column(one.name, one.settings, one.severity, told)
    if contract.freshness is not None:
        yield _freshness(contract, tally, now)


def _table(check: str, column: str, broken: int, said: str, severity: Severity) -> CheckResult:
    return CheckResult(check, column, Level.TABLE, broken, said, (), severity)


def _volume(contract: ContractSettings, rows: int, before: Report | None) -> Iterator[CheckResult]:
    severity = contract.on_violation
    said = f"expected at least {contract.min_rows} rows; {rows} arrived"
    yield _table("min_rows", "", int(rows < contract.min_rows), said, severity)
    if contract.max_rows is not None:
        said = f"expected at most {contract.max_rows} rows; {rows} arrived"
        yield _table("max_rows", "", int(rows > contract.max_rows), said, severity)
    if contract.max_row_change is not None and before is not None and before.rows:
        change = abs(rows - before.rows) / before.rows
        said = (
            f"expected within {contract.max_row_change:.2%} of the {before.rows} rows of the arrival before; "
            f"{rows} arrived, {change:.2%} off"
        )
        yield _table("row_change", "", int(change > contract.max_row_change), said, severity)


def _column(name: str, column: ColumnSettings, severity: Severity, told: ColumnTally) -> Iterator[CheckResult]:
    if column.max_null_rate is not None:
        rate = told.missing / told.rows if told.rows else 0.0
        said = f"expected at most {column.max_null_rate:.2%} missing; {rate:.2%} are"
        yield _table("null_rate", name, told.missing if rate > column.max_null_rate else 0, said, severity)
    if column.mean is not None:
        low, high = column.mean
        mean = told.total.mean if told.total.count else None
        said = f"expected a mean of {low:g} to {high:g}; it is {'none' if mean is None else f'{mean:g}'}"
        off = mean is not None and not low <= mean <= high
        yield _table("mean", name, int(off), said, severity)
    if column.max_distinct is not None:
        different = 0 if told.distinct is None else len(told.distinct)
        more = "more than " if told.more else ""
        said = f"expected at most {column.max_distinct} different values; there are {more}{different}"
        over = max(0, different - column.max_distinct)
        yield _table("distinct", name, over, said, severity)


def _freshness(contract: ContractSettings, tally: Tally, now: datetime) -> CheckResult:
    asked = contract.freshness
    assert asked is not None, "asked for"
    severity = asked.severity or contract.on_violation
    told = tally.columns.get(asked.column)
    newest = None if told is None else told.newest
    expected = f"expected a {asked.column} of the last {asked.within}"
    if newest is None:
        return _table("freshness", asked.column, 1, f"{expected}; there is none at all", severity)
    age = now - _instant(newest)
    return _table("freshness", asked.column, int(age > asked.within), f"{expected}; the newest is {newest}", severity)


def _instant(value: datetime | date) -> datetime:
    """Return a time; a date counts as its first instant, UTC."""
    return value if isinstance(value, datetime) else datetime.combine(value, time(), UTC)
