"""An arrival judged, batch by batch: raw rows in, good rows and rows to set aside out, and in the end a report. Pure.

What is kept of a row that nothing is wrong with are the contract's columns as its types, personal data protected. A row
that breaks a check of severity stop or quarantine is set aside as it came, with all its reasons, protected too. A row
that only breaks checks that warn is kept, and counted. What the report says of stop holds for the whole arrival: good
rows of earlier batches are then not to be kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ...ground.core.later import polars as pl
from ..insight.changes import changes
from ..insight.describe import Summary, stats, summaries
from ..records import CheckResult, Level, Report, Schema
from ..settings import ContractSettings, Severity
from ..types import type_of
from .checks.aids import Aids
from .checks.aside import as_it_came, kept, no_rows_aside, rows_aside, without
from .checks.custom import ask, custom_checks
from .checks.examine import Examination, Examined, shielded
from .checks.plan import Plan, plan
from .checks.reasons import reasons
from .checks.rows import Mark
from .checks.table import table_checks
from .checks.tally import Where
from .shape import schema_checks, shape_checks

__all__ = ["Aids", "Before", "Judge", "Sorted"]


@dataclass(frozen=True, slots=True)
class Before:
    """What the dataset is before the arrival."""

    rows: int = 0
    schema: Schema | None = None
    report: Report | None = None


@dataclass(frozen=True, slots=True)
class Sorted:
    """A batch: rows to keep, and rows to set aside (file, row, reasons, values as JSON of the row as it came)."""

    good: pl.DataFrame
    bad: pl.DataFrame


@dataclass(slots=True)
class _Sum:
    """What became of the rows so far."""

    good: int = 0
    aside: int = 0
    unread: int = 0
    """Rows of files whose columns are not those of the contract."""
    columns: dict[str, Summary] = field(default_factory=dict)


class Judge:
    """Judges one arrival. `found` holds what the caller knows to be wrong already."""

    def __init__(
        self, contract: ContractSettings, before: Before, aids: Aids | None = None, found: Sequence[CheckResult] = ()
    ) -> None:
        self._contract, self._before, self._aids = contract, before, aids or Aids()
        self._todo: Plan = plan(contract)
        self._customs = custom_checks(contract)
        self._examination = Examination(self._todo, self._aids, self._customs)
        self._found = [*found, *schema_checks(contract, before.schema)]
        self._files: dict[str, None] = {}
        self._sum = _Sum()

    def take(self, raw: pl.DataFrame, file: str, first_row: int = 1) -> Sorted:
        """Judge the next rows: a file, or a part of one that begins with its row `first_row`."""
        shape = list(shape_checks(raw, self._todo, file))
        if file not in self._files:
            self._found += shape
            self._files[file] = None
        if any(check.stops for check in shape):
            self._sum.unread += len(raw)
            return Sorted(self._nothing(), no_rows_aside())
        where = Where(file, first_row)
        return self._sort(self._examination.batch(raw, where), where)

    def refuse(self, check: CheckResult) -> None:
        """Note what is wrong beyond rows, e.g. a file that cannot be read."""
        self._found.append(check)

    def report(self, files: Sequence[str] | None = None) -> Report:
        """Return the report, after the last batch. `files` names them, where not all were read."""
        told, tally = self._sum, self._examination.tally
        checks = list(self._checks())
        refused = any(one.stops for one in checks)
        columns = stats(self._todo.types, told.columns) if told.columns else ()
        return Report(
            rows=tally.rows + told.unread,
            accepted=0 if refused else told.good,
            quarantined=told.aside,
            refused=refused,
            files=tuple(self._files if files is None else files),
            checks=tuple(sorted(checks, key=lambda one: one.holds)),
            columns=columns,
            changes=changes(self._before.report, columns, told.good) if columns else (),
        )

    def _checks(self) -> Iterator[CheckResult]:
        """Walk all checks. Where a file could not be read, only what is broken tells something of the whole."""
        yield from self._found
        if not any(one.check == "columns" for one in self._found):
            yield CheckResult("columns", "", Level.TABLE, 0, "expected the columns that the contract lists")
        tally = self._examination.tally
        every = list(self._examination.results())
        if any(one.stops and one.check in ("columns", "type", "readable") for one in self._found):
            yield from (one for one in every if not one.holds)
            return
        yield from every
        yield from table_checks(tally, self._before.report, self._aids.now)
        if self._contract.on_violation is not Severity.STOP or not any(one.stops for one in every):
            yield self._share(tally.rows)

    def _share(self, rows: int) -> CheckResult:
        aside, most = self._sum.aside, self._contract.max_quarantined
        share = aside / rows if rows else 0.0
        said = f"expected at most {most:.2%} bad rows; {share:.2%} are"
        return CheckResult("bad_rows", "", Level.TABLE, aside if share > most else 0, said)

    def _nothing(self) -> pl.DataFrame:
        return pl.DataFrame(schema={name: type_of(kind) for name, kind in self._todo.types.items()})

    def _sort(self, seen: Examined, where: Where) -> Sorted:
        aside = rows_aside(seen.marks)
        good = shielded(without(seen.frame, aside), self._todo, self._aids.secret)
        own = list(self._custom(good, seen, aside, where))
        if own:
            before, aside = aside, rows_aside([*seen.marks, *own])
            good = good.filter(kept(len(seen.frame), aside).filter(kept(len(seen.frame), before)))
        self._sum.good += len(good)
        self._sum.aside += len(aside)
        self._describe(good, seen)
        if not len(aside):
            return Sorted(good, no_rows_aside())
        told = reasons([*seen.marks, *own]).join(
            aside.alias("row").to_frame(), on="row", how="semi", maintain_order="left"
        )
        values = as_it_came(seen.frame, seen.misfits, aside, self._todo, self._aids.secret)
        row = (pl.col("row").cast(pl.Int64) + where.first_row).alias("row")
        return Sorted(good, told.select(pl.lit(where.file).alias("file"), row, "reasons", values))

    def _custom(self, good: pl.DataFrame, seen: Examined, aside: pl.Series, where: Where) -> Iterator[Mark]:
        """Ask the project's own checks about the rows that would be kept, as they would be kept."""
        for one in self._customs if len(good) else ():
            said = ask(self._aids.custom.get(one.column), good)
            if isinstance(said, str):
                if said:
                    self._examination.fail(one, said)
                continue
            places = kept(len(seen.frame), aside).arg_true().gather(said) if len(aside) else said
            if len(places):
                mark = Mark(one, places)
                self._examination.tally.note(mark, seen.frame, seen.misfits, where)
                yield mark

    def _describe(self, good: pl.DataFrame, seen: Examined) -> None:
        """Add the batch to what the report says of columns; what was counted for the checks is not counted again."""
        types, told = self._todo.types, seen.told.columns
        whole = len(good) == len(seen.frame)
        known = {name: one for name, one in told.items() if whole and name not in self._todo.protected}
        new = {name: Summary(one.rows, one.nulls, one.mean, one.low, one.high) for name, one in known.items()}
        new |= summaries(good, {name: kind for name, kind in types.items() if name not in new})
        self._sum.columns = {name: self._sum.columns.get(name, Summary()).with_(new[name]) for name in types}
