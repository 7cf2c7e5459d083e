"""Batch after batch of an arrival is examined: cast, counted, and the rows found that break something. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from ....ground.core.later import polars as pl
from ...insight.personal import holds
from ...insight.protect import protect
from ...records import CheckResult, Level
from ...settings import ContractSettings, Personal
from ..cast import Misfits, Typed, cast
from ..conditions import view
from .aids import Aids
from .measure import Measured, measure
from .plan import KeyPlan, Plan, RowCheck, plan
from .reasons import reasons
from .rows import Mark, marks, personal_marks, reference_marks
from .table import table_checks
from .tally import Tally, Where
from .unique import Keys, Seen, both, keys_of, parts_of, repeated, seen_in


@dataclass(frozen=True, slots=True)
class Examined:
    """One batch: the contract's columns as its types, what did not fit, what was counted, what is broken."""

    typed: Typed
    told: Measured
    marks: list[Mark]

    @property
    def frame(self) -> pl.DataFrame:
        """Return the typed rows."""
        return self.typed.frame

    @property
    def misfits(self) -> Mapping[str, Misfits]:
        """Return what did not fit."""
        return self.typed.misfits


@dataclass(slots=True)
class Examination:
    """An arrival under examination. A key is repeated by the later row, whichever batch the first was in."""

    todo: Plan
    aids: Aids
    customs: tuple[RowCheck, ...] = ()
    tally: Tally = field(init=False)
    failed: dict[RowCheck, str] = field(default_factory=dict)
    """Checks that could not be made, and why."""
    _batches: int = 0
    _seen: dict[RowCheck, Seen] = field(default_factory=dict)
    _first: dict[RowCheck, pl.DataFrame] = field(default_factory=dict)
    """Keys of the first batch: they are sorted again only if a second comes."""
    _repeats: dict[tuple[str, ...], pl.Series] = field(default_factory=dict)
    """Rows of the first batch that share a key, by its columns."""
    _known: dict[RowCheck, Seen] = field(default_factory=dict)
    """Keys that the dataset has."""

    def __post_init__(self) -> None:
        self.tally = Tally(self.todo, self.customs)

    def batch(self, raw: pl.DataFrame, where: Where) -> Examined:
        """Examine the next batch. Its columns are there, and such that their types are possible."""
        typed = cast(raw, self.todo.types, self.aids.put, items=self.aids.items)
        todo, told = self._measured(typed)
        self.tally.count(typed.frame, told)
        found = marks(typed.frame, todo, told, typed.misfits)
        found += personal_marks(typed.frame, todo, told, holds)
        found += self._references(typed.frame, told)
        for key in self.todo.keys:
            found += self._keys(typed.frame, key)
        self._batches += 1
        for mark in found:
            self.tally.note(mark, typed.frame, typed.misfits, where)
        return Examined(typed, told, found)

    def results(self) -> Iterator[CheckResult]:
        """Walk the checks of all rows. What nobody could look at does not hold."""
        yield from self.tally.results(self.failed)
        for check, said in self.failed.items():
            told = f"expected {check.expected}; {said}"
            yield CheckResult(check.check, check.column, Level.TABLE, 1, told, (), check.severity)

    def fail(self, check: RowCheck, said: str) -> None:
        """Note that a check could not be made, or that the table as a whole does not hold it."""
        self.failed.setdefault(check, said)

    def _measured(self, typed: Typed) -> tuple[Plan, Measured]:
        """Count; where a condition cannot be computed for these rows, count without it."""
        todo = self.todo
        try:
            return todo, measure(typed.frame, todo, typed.misfits, self.tally.moments)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
            good = tuple(one for one in todo.conditions if self._computes(one, typed.frame))
            if len(good) == len(todo.conditions):
                raise
            todo = replace(todo, conditions=good)
            return todo, measure(typed.frame, todo, typed.misfits, self.tally.moments)

    def _computes(self, one: RowCheck, frame: pl.DataFrame) -> bool:
        assert one.broken is not None, "a condition has an expression"
        try:
            view(frame.lazy()).select(one.broken.sum()).collect()
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            hidden = set(one.shown) & set(self.todo.protected)
            told = "the rows are protected" if hidden else (str(error).strip().splitlines() or [""])[0][:300]
            self.fail(one, f"it could not be computed: {told}")
            return False
        return True

    def _references(self, frame: pl.DataFrame, told: Measured) -> Iterator[Mark]:
        for check in self.todo.references:
            wanted = self.todo.contract.columns[check.column].references or ""
            there = self.aids.references.get(wanted)
            if there is None:
                self.fail(check, "there is no version to look into")
                continue
            looked = shielded(frame, self.todo, self.aids.secret, (check.column,))
            mark = reference_marks(looked, check, told if looked is frame else None, there)
            if mark is not None:
                yield mark

    def _keys(self, frame: pl.DataFrame, key: KeyPlan) -> Iterator[Mark]:
        later = self._later(frame, key)
        if len(later):
            yield Mark(key.own, later)
        held = self.aids.known_keys
        if held is None or not set(key.names) <= set(held.collect_schema().names()):
            return
        if any(self.todo.protected.get(name) is Personal.MASK for name in key.names):
            return  # what is masked looks alike
        kept = shielded(frame, self.todo, self.aids.secret, key.names).select(key.names)
        if key.own not in self._known:
            self._known[key.own] = seen_in(held, key.names, dict(kept.schema))
        keys = keys_of(kept, key.names)
        again = keys.of_rows(self._known[key.own].again(keys))
        if len(again):
            yield Mark(key.known, again)

    def _later(self, frame: pl.DataFrame, key: KeyPlan) -> pl.Series:
        if not self._batches:
            return self._later_in_first(frame, key)
        keys = keys_of(frame, key.names)
        _, later, ordered = repeated(keys)
        seen = self._seen.setdefault(key.own, Seen())
        if key.own in self._first:
            seen.add(keys_of(self._first.pop(key.own), key.names))
        again = keys.of_rows(seen.again(keys))
        seen.add(keys, ordered)
        return both(later, again)

    def _later_in_first(self, frame: pl.DataFrame, key: KeyPlan) -> pl.Series:
        """Look only among rows that repeat a part of the key, where a part was looked at already."""
        among = min(parts_of(key.names, self._repeats), key=len, default=None)
        keys: Keys = keys_of(frame, key.names, among)
        repeats, later, _ = repeated(keys)
        self._repeats[key.names] = repeats
        self._first[key.own] = frame.select(key.names)
        return later


def shielded(frame: pl.DataFrame, todo: Plan, secret: bytes, names: tuple[str, ...] | None = None) -> pl.DataFrame:
    """Return the frame with the columns that are protected as they are kept."""
    ways = {name: way for name, way in todo.protected.items() if names is None or name in names}
    changed = [protect(frame.get_column(name), way, secret) for name, way in ways.items() if way is not Personal.REFUSE]
    return frame.with_columns(changed) if changed else frame


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found in a table: every check, and for each row that broke one its reasons."""

    results: tuple[CheckResult, ...]
    reasons: pl.DataFrame
    """row (from 0), reasons; only rows that broke something."""


def check(frame: pl.DataFrame, contract: ContractSettings, aids: Aids | None = None) -> Checked:
    """Check a table that is in memory, as one batch; nothing is protected, kept or set aside."""
    aids = aids or Aids()
    examination = Examination(plan(contract), aids)
    seen = examination.batch(frame, Where("", 1))
    results = [*examination.results(), *table_checks(examination.tally, None, aids.now)]
    return Checked(tuple(sorted(results, key=lambda one: one.holds)), reasons(seen.marks))
