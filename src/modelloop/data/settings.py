"""What the project file says about data: sources and the contracts they must keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from ..ground.core.toml import setting


class SourceKind(StrEnum):
    """Where a source's rows are."""

    FILES = "files"
    SQL = "sql"
    OBJECTS = "objects"
    HTTP = "http"
    DATASET = "dataset"


class Format(StrEnum):
    """File formats that a source may have."""

    PARQUET = "parquet"
    CSV = "csv"
    JSONL = "jsonl"
    EXCEL = "excel"
    BINARY = "binary"
    """Each file is a row: `name`, `content` (the bytes), `size`, `modified`."""


class Mode(StrEnum):
    """How an arrival becomes a version."""

    APPEND = "append"
    REPLACE = "replace"
    MERGE = "merge"


class ColumnType(StrEnum):
    """What a column may hold."""

    STRING = "string"
    INTEGER = "integer"
    FLOAT = "float"
    BOOLEAN = "boolean"
    TIME = "time"
    DATE = "date"
    BINARY = "binary"
    """Bytes (an image, a sound, a document): kept once under their hash; the table holds the hash."""


class Severity(StrEnum):
    """What a broken check does. Offending rows are kept and listed in every case."""

    STOP = "stop"
    QUARANTINE = "quarantine"
    WARN = "warn"


class Personal(StrEnum):
    """What is done with the personal data of a column before anything is kept."""

    ALLOW = "allow"
    MASK = "mask"
    HASH = "hash"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSettings:
    """Where raw data comes from: files, a database, a bucket, an address, another dataset."""

    path: str | None = setting(
        "files: a file, or a folder whose new files are taken in name order; relative to the project file", default=None
    )
    dataset: str = setting("the dataset that the rows go to", pattern="[a-z][a-z0-9_-]*")
    contract: str = setting("the contract that the rows must keep; the name of a [contracts.NAME]")
    format: Format = setting("how files, objects and answers are written", default=Format.PARQUET)
    mode: Mode = setting(
        "append: new rows are added; replace: an arrival is the whole table; "
        "merge: rows replace those with the same key, others are added",
        default=Mode.APPEND,
    )
    kind: SourceKind = setting("files, sql, objects, http or dataset", default=SourceKind.FILES)
    url: str | None = setting(
        "sql: sqlite:///FILE or postgresql://HOST/NAME; objects: s3://BUCKET/PREFIX; http: the address. "
        "Never a password",
        default=None,
    )
    query: str | None = setting("sql: the SELECT whose rows are taken", default=None)
    of: str | None = setting("dataset: the dataset whose rows are taken; NAME, NAME:VERSION or NAME:TAG", default=None)
    cursor: str | None = setting(
        "a column that only grows: just rows beyond the largest value taken so far are asked for", default=None
    )
    secrets: Mapping[str, str] = setting(
        "what the source must know but this file must not (user, password, token, access_key_id, ...) = the name of an "
        "environment variable, or of a line in .modelloop/secrets/sources.toml",
        factory=dict,
    )
    sheet: str | None = setting("excel: the sheet; the first if left out", default=None)
    separator: str = setting("csv: what stands between values", default=",", pattern=r"[^\"\n\r]")
    encoding: str = setting("csv: how text is encoded", default="utf-8")
    private_network: bool = setting("http: may the address be one of a private network", default=False)
    max_bytes: int = setting("http and objects: more than this is not read", default=2**33, least=1)
    every: timedelta = setting(
        "how often the loop looks by itself; files are looked at in every turn", default=timedelta(minutes=15)
    )


@dataclass(frozen=True, slots=True)
class ColumnSettings:
    """What one column promises."""

    type: ColumnType = setting("what it holds")
    nullable: bool = setting("may values be missing", default=False)
    min: float | None = setting("smallest value allowed", default=None)
    max: float | None = setting("largest value allowed", default=None)
    one_of: tuple[str, ...] | None = setting("the only values allowed (strings)", default=None)
    pattern: str | None = setting("a regular expression that every value matches (strings)", default=None)
    max_null_rate: float | None = setting("largest share of missing values", default=None, least=0, most=1)
    min_length: int | None = setting("fewest characters (strings)", default=None, least=0)
    max_length: int | None = setting("most characters (strings)", default=None, least=0)
    not_before: str | None = setting("earliest time or date allowed, ISO 8601", default=None)
    not_after: str | None = setting("latest time or date allowed, ISO 8601", default=None)
    unique: bool = setting("no two rows share a value", default=False)
    references: str | None = setting(
        "DATASET.COLUMN whose newest version has every value", default=None, pattern=r"[a-z][a-z0-9_-]*\..+"
    )
    mean: tuple[float, ...] | None = setting("[least, most] mean of an arrival (numbers)", default=None)
    max_zscore: float | None = setting(
        "most standard deviations that a value may be from the mean of its arrival (numbers)", default=None, least=0
    )
    max_distinct: int | None = setting("most different values in an arrival", default=None, least=1)
    personal: Personal | None = setting(
        "before anything is kept: allow, mask, hash (with the project's key), or refuse rows with personal data",
        default=None,
    )
    severity: Severity | None = setting("of this column's checks; that of the contract if left out", default=None)


@dataclass(frozen=True, slots=True)
class ConditionSettings:
    """A condition that every row meets. A row where it is neither true nor false (a value is missing) meets it."""

    condition: str = setting('an SQL expression over the columns, e.g. "landed_at >= left_at"')
    severity: Severity | None = setting("that of the contract if left out", default=None)


@dataclass(frozen=True, slots=True)
class CustomCheckSettings:
    """A check written in Python: a function of the accepted rows (a Polars frame).

    It returns a Boolean series (true: the row is good), or True, or False, or a sentence that says what is wrong.
    """

    function: str = setting("MODULE:FUNCTION beside the project file", pattern=r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
    severity: Severity | None = setting("that of the contract if left out", default=None)


@dataclass(frozen=True, slots=True)
class FreshnessSettings:
    """How old the newest row of an arrival may be."""

    column: str = setting("the time column that tells")
    within: timedelta = setting("largest age of its newest value, by the machine's clock")
    severity: Severity | None = setting("that of the contract if left out", default=None)


@dataclass(frozen=True, slots=True)
class SourceDriftSettings:
    """How an arrival is compared with a reference, column by column."""

    reference: str = setting('"first", "previous", or a version number or tag of the dataset', default="first")
    false_alarms: float = setting(
        "largest expected share of false alarms among columns called drifted (Benjamini-Yekutieli)",
        default=0.05,
        least=1e-9,
        most=0.5,
    )
    margin: float = setting(
        "a change counts only if its distance (Jensen-Shannon, base 2, 0 to 1) is above this: "
        "with many rows every difference is significant",
        default=0.1,
        least=0,
        most=1,
    )
    ignore: tuple[str, ...] = setting("columns not compared", default=())
    severity: Severity = setting("what a drifted column does: warn or stop", default=Severity.WARN)


@dataclass(frozen=True, slots=True)
class AnomalySettings:
    """What is looked for beyond the checks: outliers, duplicates, unit changes, leakage, personal data."""

    outliers: float = setting(
        "robust z (median and MAD) above which a number is an outlier; 0: off", default=8.0, least=0
    )
    rows: bool = setting("isolation forest over whole rows (needs the extra ml)", default=False)
    near_duplicates: bool = setting("rows equal but for spelling and the key", default=True)
    label: str | None = setting("column to be predicted: others that give it away are named", default=None)
    ignore: tuple[str, ...] = setting("columns not looked at", default=())
    severity: Severity = setting("what a finding does: warn or stop", default=Severity.WARN)


@dataclass(frozen=True, slots=True)
class RetentionSettings:
    """Which versions are kept. Those a registered model was trained on, heads of branches and tags always are."""

    keep: timedelta | None = setting("how long a version stays after a newer one came", default=None)
    versions: int | None = setting("how many of the newest versions stay in any case", default=None, least=1)


@dataclass(frozen=True, slots=True)
class ContractSettings:
    """The columns, types, ranges and keys a dataset promises."""

    columns: Mapping[str, ColumnSettings] = setting("each column by name")
    key: tuple[str, ...] = setting("columns that together name a row; no two rows share them", default=())
    on_violation: Severity = setting(
        "stop: nothing of the arrival is taken in; quarantine: the good rows are; warn: all rows are",
        default=Severity.STOP,
    )
    extra_columns: bool = setting("may columns come that are not listed; they are dropped", default=False)
    min_rows: int = setting("fewest rows in an arrival", default=1, least=0)
    max_quarantined: float = setting(
        "with quarantine: the share of bad rows above which the arrival stops after all", default=0.1, least=0, most=1
    )
    max_rows: int | None = setting("most rows in an arrival", default=None, least=1)
    max_row_change: float | None = setting(
        "share by which the rows of an arrival may differ from the one before, e.g. 0.5", default=None, least=0
    )
    unique: tuple[tuple[str, ...], ...] = setting("further sets of columns that no two rows share", default=())
    rows: Mapping[str, ConditionSettings] = setting("conditions across columns, by name", factory=dict)
    custom: Mapping[str, CustomCheckSettings] = setting("checks written in Python, by name", factory=dict)
    freshness: FreshnessSettings | None = setting("how old the newest row may be", default=None)
    drift: SourceDriftSettings | None = setting("comparison with a reference; left out: none", default=None)
    anomalies: AnomalySettings | None = setting("what else is looked for; left out: nothing", default=None)
    retention: RetentionSettings = setting("which versions are kept; all, if left out", factory=RetentionSettings)
