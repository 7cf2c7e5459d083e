"""What a contract may ask for, and the Polars type of each of its words. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import polars as pl

from ..ground.core.errors import ContractInvalid
from ..ground.core.hashing import hash_json
from ..ground.core.toml import plain
from .records import Schema
from .settings import ColumnSettings, ColumnType, ContractSettings

TYPES: Mapping[ColumnType, pl.DataType] = {
    ColumnType.STRING: pl.String(),
    ColumnType.INTEGER: pl.Int64(),
    ColumnType.FLOAT: pl.Float64(),
    ColumnType.BOOLEAN: pl.Boolean(),
    ColumnType.TIME: pl.Datetime("us", "UTC"),
    ColumnType.DATE: pl.Date(),
}
_NUMBERS = (ColumnType.INTEGER, ColumnType.FLOAT)


def schema_of(contract: ContractSettings) -> Schema:
    """Return the columns with their types, in the contract's order."""
    return tuple((name, str(column.type)) for name, column in contract.columns.items())


def contract_hash(contract: ContractSettings) -> str:
    """Return the hash of everything the contract says; the order of columns counts, it is that of the dataset."""
    return hash_json([plain(contract), [name for name, _ in schema_of(contract)]])


def check_contract(contract: ContractSettings) -> None:
    """Raise ContractInvalid, with all mistakes, if the contract asks for what cannot be checked."""
    found = list(_mistakes(contract))
    if found:
        raise ContractInvalid(" ".join(found), hint="Mend the contract in modelloop.toml.", detail={"mistakes": found})


def whole(pattern: str) -> str:
    """Return the pattern so that it must match the whole value."""
    return f"^(?:{pattern})$"


def _mistakes(contract: ContractSettings) -> Iterator[str]:
    if not contract.columns:
        yield "The contract has no columns."
    for name in contract.key:
        if name not in contract.columns:
            yield f"The key names {name!r}, which is not a column."
        elif contract.columns[name].nullable:
            yield f"The key column {name!r} is nullable; a missing value identifies nothing."
    for name, column in contract.columns.items():
        yield from _column_mistakes(name, column)


def _column_mistakes(name: str, column: ColumnSettings) -> Iterator[str]:
    if not name or name.startswith("__"):
        yield f"{name!r} cannot name a column: it is empty or starts with two underscores."
    if (column.min is not None or column.max is not None) and column.type not in _NUMBERS:
        yield f"{name!r} has min or max, which are for numbers; it is a {column.type}."
    if column.min is not None and column.max is not None and column.min > column.max:
        yield f"{name!r} has min {column.min} above max {column.max}."
    if (column.one_of is not None or column.pattern is not None) and column.type is not ColumnType.STRING:
        yield f"{name!r} has one_of or pattern, which are for strings; it is a {column.type}."
    if column.one_of is not None and not column.one_of:
        yield f"{name!r} has an empty one_of: no value would be allowed."
    if column.pattern is not None:
        try:
            pl.Series([""]).str.contains(whole(column.pattern))
        except pl.exceptions.PolarsError as error:
            reason = str(error).strip().splitlines()[-1]
            yield f"{name!r} has a pattern that cannot be used (no look-around, no back-references): {reason}"
