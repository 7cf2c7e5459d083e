"""Nouns of data: datasets and their versions, the report of a contract check, rows that were set aside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec


def clean(text: str) -> str:
    """Return what came from a file as text that every store keeps: PostgreSQL refuses NUL."""
    return text.replace("\x00", "\ufffd")


class Level(StrEnum):
    """What a broken check means: single rows that can be set aside, or the whole arrival."""

    ROW = "row"
    TABLE = "table"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check of the contract on one arrival. `violations` is 0 where it holds."""

    check: str
    """readable, columns, schema, type, null, range, one_of, pattern, key, null_rate, min_rows, unchanged, bad_rows."""
    column: str
    """The column, the key's columns joined by a comma, a file, or empty."""
    level: Level
    violations: int
    message: str
    """What was expected and what was found, in a sentence."""
    examples: tuple[str, ...] = ()
    """Up to five, each with its file and row where there is one."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", clean(self.message))
        object.__setattr__(self, "examples", tuple(clean(one) for one in self.examples))

    @property
    def holds(self) -> bool:
        """Say whether nothing broke it."""
        return self.violations == 0


@dataclass(frozen=True, slots=True)
class ColumnStats:
    """What a column of the accepted rows of an arrival looks like."""

    name: str
    type: str
    null_rate: float
    mean: float | None
    low: str | None
    high: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """What is different from the arrival that made the version before."""

    what: str
    """rows, column, null_rate or mean."""
    column: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Report:
    """What was checked on an arrival, what was found, what is new."""

    rows: int
    """Rows that arrived."""
    accepted: int
    quarantined: int
    refused: bool
    files: tuple[str, ...]
    checks: tuple[CheckResult, ...]
    columns: tuple[ColumnStats, ...]
    changes: tuple[Change, ...] = ()

    @property
    def broken(self) -> tuple[CheckResult, ...]:
        """Return the checks that do not hold."""
        return tuple(check for check in self.checks if not check.holds)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return dict(msgspec.to_builtins(self))

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Report:
        """Read what `to_json` wrote."""
        return msgspec.convert(body, cls)


Schema = tuple[tuple[str, str], ...]
"""Column names with their contract types, in order."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows of a version: a Parquet file in blobs. Versions share parts."""

    digest: str
    rows: int
    schema: Schema


@dataclass(frozen=True, slots=True)
class DatasetVersion:
    """An immutable state of a dataset. `digest` follows from schema, parts and contract: equal digest, equal rows."""

    dataset: str
    number: int
    digest: str
    rows: int
    parts: tuple[Part, ...]
    schema: Schema
    contract_hash: str
    parent: int | None
    report: Report
    """Of the arrival that made it."""
    message: str
    made_at: datetime
    made_by: str
    source: str

    @property
    def name(self) -> str:
        """Return `dataset:number`, how people and URLs say it."""
        return f"{self.dataset}:{self.number}"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return dict(msgspec.to_builtins(self))

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> DatasetVersion:
        """Read what `to_json` wrote."""
        return msgspec.convert(body, cls)


@dataclass(frozen=True, slots=True)
class Dataset:
    """A table by name, with its newest version."""

    name: str
    versions: int
    rows: int
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Ingest:
    """What came of an arrival that was taken in."""

    version: DatasetVersion
    report: Report
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Arrival:
    """What became of an arrival of which rows, or all, were set aside."""

    id: str
    dataset: str
    source: str
    version: int | None
    """The version that its good rows are in; None if it was refused."""
    report: Report
    blob: str | None
    """Parquet of the rows set aside; None if no single row was to blame."""
    at: datetime


@dataclass(frozen=True, slots=True)
class Refused:
    """An arrival of which nothing was taken in, and why."""

    arrival: str
    at: datetime
    files: tuple[str, ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class QuarantinedRow:
    """A row that was set aside, as it came, with all reasons."""

    dataset: str
    arrival: str
    version: int | None
    file: str
    row: int
    """Counted from 1, without the header."""
    reasons: tuple[str, ...]
    values: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Taken:
    """A file that was taken in from a source; name and content together make it known."""

    name: str
    content: str
    """SHA-256 of its bytes."""
    size: int
    modified: int
    """Nanoseconds; together with the size a sign that it need not be read again."""
