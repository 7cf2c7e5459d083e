"""What a contract wants checked of every row, told so that one query can count it. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from ....ground.core.later import polars as pl
from ...settings import ColumnSettings, ColumnType, ContractSettings, Personal, Severity
from ..promises import MOMENTS, moment
from ..rules import conditions, whole
from .facts import Facts

_INT64 = (-(2**63), 2**63 - 1)


class Evidence(StrEnum):
    """How a batch tells whether any row breaks a check."""

    FACTS = "facts"
    """Counts, extremes and moments say it."""
    VALUE = "value"
    """Each value says it by itself: looked at once for each different value, where there are few."""
    ROW = "row"
    """Each row says it."""


@dataclass(frozen=True, slots=True, eq=False)
class RowCheck:
    """A check that single rows break."""

    check: str
    column: str
    """The column, the columns of a key joined by a comma, or the name of a condition."""
    shown: tuple[str, ...]
    """Columns whose values an example shows."""
    expected: str
    severity: Severity
    evidence: Evidence = Evidence.ROW
    broken: pl.Expr | None = None
    """True for a row that breaks it. None where it hangs on facts, or is not found by an expression."""
    suspect: Callable[[Facts], bool] | None = None
    """FACTS: whether any row breaks it."""
    by_facts: Callable[[Facts], pl.Expr] | None = None


@dataclass(frozen=True, slots=True)
class ColumnPlan:
    """A column's checks. `type` and `null` are found without an expression."""

    name: str
    settings: ColumnSettings
    severity: Severity
    type: RowCheck
    null: RowCheck | None
    checks: tuple[RowCheck, ...]

    @property
    def zscore(self) -> bool:
        """Say whether its moments are needed."""
        return self.settings.max_zscore is not None

    @property
    def by_value(self) -> tuple[RowCheck, ...]:
        """Return the checks that look at values."""
        return tuple(one for one in self.checks if one.evidence is Evidence.VALUE)


@dataclass(frozen=True, slots=True)
class KeyPlan:
    """Columns that no two rows share."""

    names: tuple[str, ...]
    own: RowCheck
    """Against the rows of the arrival."""
    known: RowCheck
    """Against the rows that the dataset has."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a contract wants checked of rows."""

    contract: ContractSettings
    columns: tuple[ColumnPlan, ...]
    conditions: tuple[RowCheck, ...]
    keys: tuple[KeyPlan, ...]
    """Those with fewer columns first."""
    references: tuple[RowCheck, ...]
    personal: tuple[RowCheck, ...]

    types: Mapping[str, ColumnType]
    protected: Mapping[str, Personal]
    """The columns of which nothing is shown, and what is done with them."""


def plan(contract: ContractSettings) -> Plan:
    """Return the plan of a contract that `check_contract` found good."""
    columns = tuple(_column(name, one, contract) for name, one in contract.columns.items())
    return Plan(
        contract,
        columns,
        tuple(_conditions(contract)),
        tuple(sorted(_keys(contract), key=lambda one: len(one.names))),
        tuple(_references(columns)),
        tuple(
            RowCheck("personal", one.name, (one.name,), "no personal data", set_aside(one.severity))
            for one in columns
            if one.settings.personal is Personal.REFUSE
        ),
        {one.name: one.settings.type for one in columns},
        {name: one.personal for name, one in contract.columns.items() if one.personal not in (None, Personal.ALLOW)},
    )


def set_aside(severity: Severity) -> Severity:
    """Return the severity of what a table cannot hold: where others only warn, the row is set aside."""
    return Severity.QUARANTINE if severity is Severity.WARN else severity


def _column(name: str, column: ColumnSettings, contract: ContractSettings) -> ColumnPlan:
    severity = column.severity or contract.on_violation
    shown = (name,)
    needed = severity if name not in contract.key else set_aside(severity)
    null = RowCheck("null", name, shown, "a value", needed, Evidence.FACTS, pl.col(name).is_null())
    return ColumnPlan(
        name,
        column,
        severity,
        RowCheck("type", name, shown, str(column.type), set_aside(severity), Evidence.FACTS),
        None if column.nullable else null,
        tuple(_value_checks(name, column, severity)),
    )


def _value_checks(name: str, column: ColumnSettings, severity: Severity) -> Iterator[RowCheck]:
    value, shown = pl.col(name), (name,)
    if column.min is not None or column.max is not None:
        yield _between("range", name, _number_bounds(column), severity)
    if column.type in MOMENTS and (column.not_before is not None or column.not_after is not None):
        yield _between("range", name, _moment_bounds(column), severity)
    if column.one_of is not None:
        listed = ", ".join(column.one_of[:8]) + (", ..." if len(column.one_of) > 8 else "")
        other = ~value.is_in(list(column.one_of))
        yield RowCheck("one_of", name, shown, f"one of {listed}", severity, Evidence.VALUE, other)
    if column.pattern is not None:
        unlike = ~value.str.contains(whole(column.pattern))
        yield RowCheck("pattern", name, shown, f"the pattern {column.pattern}", severity, Evidence.VALUE, unlike)
    if column.min_length is not None or column.max_length is not None:
        said, outside = _outside(value.str.len_chars(), (column.min_length, column.max_length))
        yield RowCheck("length", name, shown, f"{said} characters", severity, Evidence.VALUE, outside)
    if column.max_zscore is not None:
        yield _zscore(name, column.max_zscore, severity)


def _between(check: str, name: str, bounds: tuple[Any, Any], severity: Severity) -> RowCheck:
    low, high = bounds
    said, outside = _outside(pl.col(name), bounds)

    def suspect(facts: Facts) -> bool:
        return facts.low is not None and (
            (low is not None and facts.low < low) or (high is not None and facts.high > high)
        )

    return RowCheck(check, name, (name,), said, severity, Evidence.FACTS, outside, suspect)


def _outside(value: pl.Expr, bounds: tuple[Any, Any]) -> tuple[str, pl.Expr]:
    low, high = bounds
    told = [f"at least {_said(low)}"] if low is not None else []
    told += [f"at most {_said(high)}"] if high is not None else []
    outside = pl.lit(value=False)
    if low is not None:
        outside = outside | (value < low)
    if high is not None:
        outside = outside | (value > high)
    return " and ".join(told), outside


def _said(bound: object) -> str:
    return f"{bound:.15g}" if isinstance(bound, float) else str(bound)


def _number_bounds(column: ColumnSettings) -> tuple[Any, Any]:
    """Return bounds of the column's own type, so that whole numbers are compared exactly."""
    if column.type is not ColumnType.INTEGER:
        return column.min, column.max
    low = None if column.min is None else min(max(math.ceil(column.min), _INT64[0]), _INT64[1])
    high = None if column.max is None else min(max(math.floor(column.max), _INT64[0]), _INT64[1])
    return low, high


def _moment_bounds(column: ColumnSettings) -> tuple[datetime | date | None, datetime | date | None]:
    low = None if column.not_before is None else moment(column.not_before, column.type)
    high = None if column.not_after is None else moment(column.not_after, column.type)
    return low, high


def _zscore(name: str, most: float, severity: Severity) -> RowCheck:
    def suspect(facts: Facts) -> bool:
        if facts.low is None or facts.moments.spread == 0 or facts.moments.low == facts.moments.high:
            return False
        reach = most * facts.moments.spread
        return bool(max(abs(facts.low - facts.moments.mean), abs(facts.high - facts.moments.mean)) > reach)

    def beyond(facts: Facts) -> pl.Expr:
        return (pl.col(name) - facts.moments.mean).abs() > most * facts.moments.spread

    said = f"at most {most:g} standard deviations from the mean"
    return RowCheck("zscore", name, (name,), said, severity, Evidence.FACTS, None, suspect, beyond)


def _conditions(contract: ContractSettings) -> Iterator[RowCheck]:
    for name, expression in conditions(contract).items():
        one = contract.rows[name]
        shown = tuple(dict.fromkeys(expression.meta.root_names()))
        severity = one.severity or contract.on_violation
        yield RowCheck("condition", name, shown, one.condition, severity, Evidence.ROW, ~expression)


def _keys(contract: ContractSettings) -> Iterator[KeyPlan]:
    severity = contract.on_violation
    if contract.key:
        yield _key("key", contract.key, set_aside(severity), "key")
    for name, column in contract.columns.items():
        if column.unique:
            yield _key("unique", (name,), column.severity or severity, name)
    for names in contract.unique:
        yield _key("unique", names, severity, ", ".join(names))


def _key(check: str, names: tuple[str, ...], severity: Severity, called: str) -> KeyPlan:
    joined = ",".join(names)
    own = RowCheck(check, joined, names, f"no other row with the same {called} in the arrival", severity)
    return KeyPlan(names, own, RowCheck(check, joined, names, f"no {called} that the dataset has already", severity))


def _references(columns: tuple[ColumnPlan, ...]) -> Iterator[RowCheck]:
    for one in columns:
        if one.settings.references is not None:
            said = f"a value that {one.settings.references} has"
            yield RowCheck("references", one.name, (one.name,), said, one.severity)
