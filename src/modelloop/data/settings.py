"""What the project file says about data: sources and the contracts they must keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from ..ground.core.toml import setting


class Format(StrEnum):
    """File formats that a source may have."""

    PARQUET = "parquet"
    CSV = "csv"
    JSONL = "jsonl"


class Mode(StrEnum):
    """How an arrival becomes a version."""

    APPEND = "append"
    REPLACE = "replace"


class ColumnType(StrEnum):
    """What a column may hold."""

    STRING = "string"
    INTEGER = "integer"
    FLOAT = "float"
    BOOLEAN = "boolean"
    TIME = "time"
    DATE = "date"


class OnViolation(StrEnum):
    """What happens when rows break the contract. The offending rows are kept and listed either way."""

    STOP = "stop"
    QUARANTINE = "quarantine"


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """Where raw data comes from: one file, or a folder into which files arrive."""

    path: str = setting("a file, or a folder whose new files are taken in name order; relative to the project file")
    dataset: str = setting("the dataset that the rows go to", pattern="[a-z][a-z0-9_-]*")
    contract: str = setting("the contract that the rows must keep; the name of a [contracts.NAME]")
    format: Format = setting("how the files are written", default=Format.PARQUET)
    mode: Mode = setting("append: new files add rows; replace: a new file is the whole table", default=Mode.APPEND)


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


@dataclass(frozen=True, slots=True)
class ContractSettings:
    """The columns, types, ranges and keys a dataset promises."""

    columns: Mapping[str, ColumnSettings] = setting("each column by name")
    key: tuple[str, ...] = setting("columns that together name a row; no two rows share them", default=())
    on_violation: OnViolation = setting(
        "stop: nothing of the file is taken in; quarantine: the good rows are", default=OnViolation.STOP
    )
    extra_columns: bool = setting("may columns come that are not listed; they are dropped", default=False)
    min_rows: int = setting("fewest rows in an arrival", default=1, least=0)
    max_quarantined: float = setting(
        "with quarantine: the share of bad rows above which the arrival stops after all", default=0.1, least=0, most=1
    )
