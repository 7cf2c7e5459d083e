"""Rows that were set aside, as a table that people correct: out as CSV, back as what was changed. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ...ground.core.errors import InvalidInput
from ..records import QuarantinedRow
from ..settings import ColumnSettings, ContractSettings

RowName = tuple[str, str, int]
"""Arrival, file, row."""
_NAMING = ("__arrival", "__file", "__row")
_REASONS = "__reasons"


def name_of(row: QuarantinedRow) -> RowName:
    """Return what names a row that was set aside."""
    return row.arrival, row.file, row.row


def to_csv(rows: Sequence[QuarantinedRow]) -> str:
    """Return the rows as CSV: three columns that name a row, its reasons, then its values."""
    columns = list(dict.fromkeys(name for row in rows for name in row.values))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*_NAMING, _REASONS, *columns])
    for row in rows:
        values = ["" if (value := row.values.get(name)) is None else value for name in columns]
        writer.writerow([row.arrival, row.file, row.row, "; ".join(row.reasons), *values])
    return out.getvalue()


def from_csv(text: str, rows: Sequence[QuarantinedRow]) -> dict[RowName, dict[str, str | None]]:
    """Return what a person changed in the CSV, by row; a row that was taken out of it is left out.

    An empty field is a missing value, unless it was empty before. Raises InvalidInput for what is no such CSV.
    """
    known = {name_of(row): row for row in rows}
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), restkey="__more")
    missing = [name for name in _NAMING if name not in (reader.fieldnames or ())]
    if missing:
        raise InvalidInput(
            f"The file lacks the column {missing[0]}.",
            hint="Begin with the file that `modelloop data quarantine NAME --export FILE` writes.",
        )
    changes: dict[RowName, dict[str, str | None]] = {}
    for line, fields in enumerate(_lines(reader), start=2):
        if "__more" in fields or None in fields.values():
            raise InvalidInput(f"Line {line} has more or fewer fields than the header.", hint="Quote commas.")
        name = (fields["__arrival"], fields["__file"], _row(fields["__row"], line))
        if name not in known:
            raise InvalidInput(f"Line {line} names a row that is not waiting: {name[1]} row {name[2]} of {name[0]}.")
        if name in changes:
            raise InvalidInput(f"Line {line} names {name[1]} row {name[2]} once more.")
        values = {column: value for column, value in fields.items() if column not in (*_NAMING, _REASONS)}
        before = known[name].values
        changes[name] = {
            column: value or None for column, value in values.items() if value != (before.get(column) or "")
        }
    return changes


def for_few_rows(contract: ContractSettings) -> ContractSettings:
    """Return the contract without what it asks of an arrival as a whole: a few rows by hand are no arrival."""
    return replace(
        contract,
        columns={name: _alone(column) for name, column in contract.columns.items()},
        min_rows=0,
        max_rows=None,
        max_row_change=None,
        max_quarantined=1.0,
        freshness=None,
        drift=None,
        anomalies=None,
    )


def _alone(column: ColumnSettings) -> ColumnSettings:
    return replace(column, max_null_rate=None, mean=None, max_zscore=None, max_distinct=None)


def _lines(reader: csv.DictReader[str]) -> Iterator[dict[str, str]]:
    try:
        yield from reader
    except csv.Error as error:
        raise InvalidInput(f"Line {reader.line_num} cannot be read as CSV: {error}.") from error


def _row(text: str, line: int) -> int:
    if not text.isascii() or not text.isdecimal():
        raise InvalidInput(f"Line {line} has {text[:40]!r} where the number of the row stood.")
    return int(text)
