"""What is wrong with a contract in itself: settings that do not fit each other. Pure, and light to import.

A setting that could not be read is UNREADABLE and passed over: it is reported already.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any

from ...ground.core.toml import UNREADABLE
from ..mistakes import Wrong
from ..settings import ColumnSettings, ColumnType, ContractSettings, Personal

Path = tuple[str | int, ...]
NUMBERS = (ColumnType.INTEGER, ColumnType.FLOAT)
MOMENTS = (ColumnType.TIME, ColumnType.DATE)
_ONLY: Mapping[str, tuple[ColumnType, ...]] = {
    "min": NUMBERS,
    "max": NUMBERS,
    "mean": NUMBERS,
    "max_zscore": NUMBERS,
    "one_of": (ColumnType.STRING,),
    "pattern": (ColumnType.STRING,),
    "min_length": (ColumnType.STRING,),
    "max_length": (ColumnType.STRING,),
    "not_before": MOMENTS,
    "not_after": MOMENTS,
}
"""The types that a setting is for; one that is not listed is for all."""
_BEYOND_RUST = re.compile(r"\(\?(?:<?[=!]|P=|>)|\\[1-9]|[*+?}]\+")
"""Look-around, atomic groups, back-references, possessive repeats: a pattern is matched in time linear in the text."""


def mistakes(contract: ContractSettings) -> Iterator[Wrong]:
    """Walk everything that is wrong, but for conditions: they need the engine that runs them."""
    columns = contract.columns
    if columns is UNREADABLE:
        return
    if not columns:
        yield Wrong(("columns",), "no column", "at least one: columns.NAME = {type = ...}")
    yield from _key_mistakes(contract)
    for name, column in columns.items():
        if column is not UNREADABLE:
            yield from _column_mistakes(("columns", name), name, column)
    yield from _table_mistakes(contract)


def moment(text: str, kind: ColumnType) -> datetime | date:
    """Return a time or date of the contract; a time without a zone is UTC. Raises ValueError."""
    if kind is ColumnType.DATE:
        return date.fromisoformat(text)
    read = datetime.fromisoformat(text)
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)


def _readable(*parts: object) -> bool:
    return all(part is not None and part is not UNREADABLE for part in parts)


def _key_mistakes(contract: ContractSettings) -> Iterator[Wrong]:
    if contract.key is not UNREADABLE:
        for place, name in enumerate(contract.key):
            yield from _key_column(("key", place), name, contract.columns)
    if contract.unique is UNREADABLE:
        return
    for at, names in enumerate(contract.unique):
        if not names:
            yield Wrong(("unique", at), "no column", "at least one column")
        yield from (
            Wrong(("unique", at, place), f'"{name}"', _listed(contract.columns))
            for place, name in enumerate(names)
            if name not in contract.columns
        )


def _key_column(path: Path, name: str, columns: Mapping[str, ColumnSettings]) -> Iterator[Wrong]:
    if name not in columns:
        yield Wrong(path, f'"{name}"', _listed(columns))
        return
    column = columns[name]
    if column is UNREADABLE:
        return
    if column.nullable is True:
        yield Wrong(path, f'"{name}", which is nullable', "columns that are not: a missing value names nothing")
    if column.personal is Personal.MASK:
        hint = 'personal = "hash" keeps different values apart'
        yield Wrong(path, f'"{name}", which is masked', "columns whose values can be told apart", hint)


def _column_mistakes(path: Path, name: str, column: ColumnSettings) -> Iterator[Wrong]:
    if not name or name.startswith("__"):
        yield Wrong(path, f'"{name}"', "a name that is not empty and does not start with two underscores")
    yield from _misplaced(path, column)
    yield from _bound_mistakes(path, column)
    if column.one_of == ():
        yield Wrong((*path, "one_of"), "an empty array", "at least one value")
    if _readable(column.max_null_rate, column.nullable) and column.max_null_rate and not column.nullable:
        yield Wrong((*path, "max_null_rate"), f"{column.max_null_rate:g}", "only with nullable = true")
    if _readable(column.pattern):
        yield from _pattern_mistakes((*path, "pattern"), column.pattern or "")
    yield from _moment_mistakes(path, column)
    yield from _mean_mistakes((*path, "mean"), column.mean)
    yield from _personal_mistakes(path, column)


def _misplaced(path: Path, column: ColumnSettings) -> Iterator[Wrong]:
    for setting, kinds in _ONLY.items():
        if column.type is UNREADABLE or getattr(column, setting) is None or column.type in kinds:
            continue
        said = " and ".join(str(kind) for kind in kinds)
        yield Wrong((*path, setting), f'a setting for a column of type "{column.type}"', f"only for {said}")


def _bound_mistakes(path: Path, column: ColumnSettings) -> Iterator[Wrong]:
    for setting in ("min", "max"):
        bound = getattr(column, setting)
        if _readable(bound) and not math.isfinite(bound):
            yield Wrong((*path, setting), f"{bound}", "a number that is finite; leave it out for no bound")
    for low, high in (("min", "max"), ("min_length", "max_length")):
        least, most = getattr(column, low), getattr(column, high)
        if _readable(least, most) and least > most:
            yield Wrong((*path, low), f"{least:g}", f"at most {high}, which is {most:g}")


def _pattern_mistakes(path: Path, pattern: str) -> Iterator[Wrong]:
    try:
        re.compile(pattern)
    except (re.error, OverflowError) as error:
        hint = "in TOML write it in 'single quotes'"
        yield Wrong(path, f"no valid pattern: {error}", "a regular expression", hint)
        return
    odd = _BEYOND_RUST.search(re.sub(r"\\[^1-9]|\[(?:\\.|[^\]\\])+\]", "", pattern))
    if odd is not None:
        yield Wrong(path, f"{odd.group()} in a pattern", "no look-around, back-references or possessive repeats")


def _moment_mistakes(path: Path, column: ColumnSettings) -> Iterator[Wrong]:
    if column.type not in MOMENTS:
        return
    read: dict[str, Any] = {}
    for setting in ("not_before", "not_after"):
        text = getattr(column, setting)
        if not _readable(text):
            continue
        try:
            read[setting] = moment(text, column.type)
        except ValueError:
            yield Wrong((*path, setting), f'"{text}"', f"a {column.type} as ISO 8601, e.g. 2026-01-31")
    if len(read) == 2 and read["not_before"] > read["not_after"]:
        yield Wrong((*path, "not_before"), f'"{column.not_before}"', f"at most not_after, which is {column.not_after}")


def _mean_mistakes(path: Path, mean: tuple[float, ...] | None) -> Iterator[Wrong]:
    if not _readable(mean) or mean is None:
        return
    if len(mean) != 2 or mean[0] > mean[1]:
        yield Wrong(path, str(list(mean)), "[least, most]")


def _personal_mistakes(path: Path, column: ColumnSettings) -> Iterator[Wrong]:
    way = column.personal
    if way not in (Personal.MASK, Personal.HASH, Personal.REFUSE) or column.type is UNREADABLE:
        return
    if column.type is not ColumnType.STRING:
        yield Wrong((*path, "personal"), f'"{way}" for a column of type "{column.type}"', "only for string")
    if way is Personal.MASK and _readable(column.references):
        hint = 'personal = "hash" keeps different values apart'
        yield Wrong((*path, "personal"), '"mask" for a column with references', "hash, refuse or allow", hint)


def _table_mistakes(contract: ContractSettings) -> Iterator[Wrong]:
    if _readable(contract.min_rows, contract.max_rows) and contract.min_rows > (contract.max_rows or 0):
        yield Wrong(("min_rows",), f"{contract.min_rows}", f"at most max_rows, which is {contract.max_rows}")
    fresh = contract.freshness
    if fresh is None or not _readable(fresh, fresh.column):
        return
    column = contract.columns.get(fresh.column)
    if column is None:
        yield Wrong(("freshness", "column"), f'"{fresh.column}"', _listed(contract.columns))
    elif column is not UNREADABLE and _readable(column.type) and column.type not in MOMENTS:
        yield Wrong(
            ("freshness", "column"), f'"{fresh.column}", of type {column.type}', "a column of type time or date"
        )


def _listed(names: Mapping[str, object]) -> str:
    shown = sorted(names)[:40]
    more = f" and {len(names) - 40} more" if len(names) > 40 else ""
    return ", ".join(shown) + more or "a column"
