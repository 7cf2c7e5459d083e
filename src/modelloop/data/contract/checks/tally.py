"""What all batches of an arrival together break: counts, examples, extremes. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from ....ground.core.later import polars as pl
from ...insight.describe import text_of
from ...records import CheckResult, Level
from ..cast import Misfits
from .facts import Facts, Moments
from .measure import Measured
from .plan import ColumnPlan, Plan, RowCheck
from .rows import Mark

EXAMPLES = 5
PROTECTED = "(protected)"
_DISTINCT_MOST = 1_000_000
"""Different values of a column that are counted; beyond, the message says "more than"."""


@dataclass(slots=True)
class Broken:
    """A check that some rows broke."""

    rows: int = 0
    examples: list[str] = field(default_factory=list)


@dataclass(slots=True)
class ColumnTally:
    """A column over all batches."""

    rows: int = 0
    missing: int = 0
    misfits: int = 0
    values: int = 0
    total: Moments = field(default_factory=Moments)
    newest: Any = None
    distinct: pl.Series | None = None
    more: bool = False
    """There are more different values than are counted."""

    def add(self, facts: Facts, one: ColumnPlan, values: pl.Series) -> None:
        """Count a batch."""
        self.rows += facts.rows
        self.missing += facts.missing
        self.misfits += facts.misfits
        self.values += facts.values
        if facts.mean is not None:
            self.total = self.total.with_(Moments(facts.values, facts.mean, 0.0, 0, 0))
        if facts.high is not None:
            self.newest = facts.high if self.newest is None else max(self.newest, facts.high)
        if one.settings.max_distinct is not None and not self.more:
            self._count(facts, values)

    def _count(self, facts: Facts, values: pl.Series) -> None:
        now = values.drop_nulls().unique() if facts.distinct is None else facts.distinct
        self.distinct = now if self.distinct is None else pl.concat([self.distinct, now]).unique()
        self.more = len(self.distinct) > _DISTINCT_MOST


@dataclass(slots=True)
class Tally:
    """An arrival so far."""

    todo: Plan
    customs: tuple[RowCheck, ...] = ()
    rows: int = 0
    columns: dict[str, ColumnTally] = field(default_factory=dict)
    moments: dict[str, Moments] = field(default_factory=dict)
    """Of the columns with max_zscore."""
    broken: dict[RowCheck, Broken] = field(default_factory=dict)

    def count(self, frame: pl.DataFrame, told: Measured) -> None:
        """Add what a batch holds."""
        self.rows += told.rows
        for one in self.todo.columns:
            facts = told.columns[one.name]
            self.columns.setdefault(one.name, ColumnTally()).add(facts, one, frame.get_column(one.name))
            if one.zscore:
                self.moments[one.name] = facts.moments

    def note(self, mark: Mark, frame: pl.DataFrame, misfits: Mapping[str, Misfits], where: Where) -> None:
        """Add what a batch breaks, with examples."""
        broken = self.broken.setdefault(mark.check, Broken())
        broken.rows += len(mark.rows)
        shown, hidden = mark.check.shown, self.todo.protected
        for row in mark.rows.head(max(0, EXAMPLES - len(broken.examples))):
            values = [PROTECTED if name in hidden else _value(frame, misfits, name, row) for name in shown]
            broken.examples.append(f"{where.file} row {where.first_row + row}: {', '.join(values)}".rstrip(": "))

    def results(self, failed: Collection[RowCheck] = ()) -> list[CheckResult]:
        """Return every check of rows, but for those that could not be made and are told so."""
        return [self._result(check) for check in self._all() if check in self.broken or check not in failed]

    def _all(self) -> list[RowCheck]:
        todo = self.todo
        every = [
            *(check for one in todo.columns for check in (one.type, one.null, *one.checks) if check is not None),
            *(check for key in todo.keys for check in (key.own, key.known)),
            *todo.conditions,
            *todo.references,
            *todo.personal,
            *self.customs,
        ]
        known = {key.known for key in todo.keys}
        return [one for one in every if one in self.broken or one not in known]

    def _result(self, check: RowCheck) -> CheckResult:
        found = self.broken.get(check, Broken())
        said = f"expected {check.expected}"
        if not found.rows:
            return CheckResult(check.check, check.column, Level.ROW, 0, said, (), check.severity)
        column = self.columns.get(check.column)
        wholly = check.check == "type" and column is not None and found.rows >= 2 and not column.values
        level = Level.TABLE if wholly else Level.ROW
        some = "none is one" if wholly else f"{found.rows} of {self.rows} rows break this"
        examples = tuple(found.examples)
        return CheckResult(check.check, check.column, level, found.rows, f"{said}; {some}", examples, check.severity)


@dataclass(frozen=True, slots=True)
class Where:
    """Where the rows of a batch stand."""

    file: str
    first_row: int


def _value(frame: pl.DataFrame, misfits: Mapping[str, Misfits], name: str, row: int) -> str:
    value: Any = frame.get_column(name)[row]
    if value is None and name in misfits:
        at = misfits[name].rows.index_of(row)
        value = None if at is None else misfits[name].text[at]
    return "missing" if value is None else text_of(value)[:80]
