"""Nouns of data: datasets and their versions, the report of a contract check, rows that were set aside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from .settings import Severity


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
    """readable, unchanged, columns, schema; type, null, range, one_of, pattern, length, zscore, key, unique,
    references, personal, condition, custom; null_rate, mean, distinct, min_rows, max_rows, row_change, freshness,
    bad_rows, drift; or the kind of a finding."""
    column: str
    """The column, the key's columns joined by a comma, a file, or empty."""
    level: Level
    violations: int
    message: str
    """What was expected and what was found, in a sentence."""
    examples: tuple[str, ...] = ()
    """Up to five, each with its file and row where there is one."""
    severity: Severity = Severity.STOP

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", clean(self.message))
        object.__setattr__(self, "examples", tuple(clean(one) for one in self.examples))

    @property
    def holds(self) -> bool:
        """Say whether nothing broke it."""
        return self.violations == 0

    @property
    def stops(self) -> bool:
        """Say whether it keeps the arrival out: nothing of a table can be set aside."""
        whole = self.level is Level.TABLE and self.severity is Severity.QUARANTINE
        return not self.holds and (self.severity is Severity.STOP or whole)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something unusual, or personal, that no check of the contract asked for."""

    kind: str
    """missing, outliers, rows, duplicates, near_duplicates, unit, constant, categories, leakage, or personal."""
    column: str
    rows: int
    """How many rows it concerns."""
    message: str
    examples: tuple[str, ...] = ()
    """Up to five; of personal data masked."""
    done: str = ""
    """masked, hashed or refused, where the contract says so."""


@dataclass(frozen=True, slots=True)
class ColumnDrift:
    """How one column differs from the reference. A distance that does not apply is None."""

    name: str
    distance: float
    """Jensen-Shannon, base 2: 0 (equal) to 1 (nothing in common); missing values are a bin of their own."""
    psi: float | None
    ks: float | None
    """Largest difference of the distribution functions (numbers and times)."""
    wasserstein: float | None
    """In units of the reference's interquartile range (numbers and times)."""
    chi2: float | None
    null_rate: tuple[float, float]
    """Reference, now."""
    new_values: float
    """Share of rows whose category the reference does not have."""
    p_value: float
    """That of the column, its missing values tested with it."""
    drifted: bool
    """Significant under the false-alarm rate across columns, and beyond the margin."""
    error: str = ""
    """Why it could not be compared, or not be tested."""


@dataclass(frozen=True, slots=True)
class SourceDrift:
    """An arrival compared with a reference."""

    reference: str
    """DATASET:NUMBER"""
    rows: tuple[int, int]
    """Reference, now."""
    false_alarms: float
    margin: float
    columns: tuple[ColumnDrift, ...]

    @property
    def drifted(self) -> tuple[str, ...]:
        """Return the columns that drifted."""
        return tuple(one.name for one in self.columns if one.drifted)


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
    findings: tuple[Finding, ...] = ()
    drift: SourceDrift | None = None

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


MAIN = "main"
"""The branch that pipelines read unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Some columns of a part: a Parquet file in blobs, its rows in the part's order."""

    columns: tuple[str, ...]
    digest: str
    content: str = ""
    """Hash of the values, where it was taken: an equal cell is found without writing it."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows of a version. Versions share parts, and parts share cells."""

    rows: int
    """In the cells; `gone` of them do not count any more."""
    schema: Schema
    cells: tuple[Cell, ...]
    deleted: str | None = None
    """Blob: which rows do not count (row numbers, 32 bit, little-endian, ascending)."""
    gone: int = 0

    @property
    def live(self) -> int:
        """Return how many rows count."""
        return self.rows - self.gone


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
    branch: str = MAIN
    merged: int | None = None
    """The version of another branch that was merged into it."""
    key: tuple[str, ...] = ()
    """Columns that name a row, by the contract of its time."""
    profile: str | None = None
    """Blob: the profile of all its rows; what later arrivals are compared with."""
    erased: tuple[str, ...] = ()
    """Erasures that took rows out of it after it was made; then `digest` is what it was before."""
    pruned: str = ""
    """When and by which rule its rows were let go; this record stays, without parts."""

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
    settled: str = ""
    """readmitted or dropped, once a person has decided; empty until then."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A file that was taken in from a source; name and content together make it known."""

    name: str
    content: str
    """SHA-256 of its bytes."""
    size: int
    modified: int
    """Nanoseconds; together with the size a sign that it need not be read again."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A line of versions, to try something on; `main` is one. A tag is a name that stays with its version."""

    dataset: str
    name: str
    head: int
    """Its newest version."""
    at: datetime
    by: str


@dataclass(frozen=True, slots=True)
class Tag:
    """A name for one version, which is then kept."""

    dataset: str
    name: str
    number: int
    message: str
    at: datetime
    by: str


@dataclass(frozen=True, slots=True)
class Erasure:
    """Rows of a person, taken out of all versions."""

    id: str
    dataset: str
    column: str
    fingerprint: str
    """Keyed hash of the value: it proves what was asked for, and does not keep it."""
    rows: int
    """Over all versions, each physical row once."""
    versions: tuple[int, ...]
    reason: str
    at: datetime
    by: str
