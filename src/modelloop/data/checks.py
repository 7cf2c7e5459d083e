"""The contract's checks on typed rows: one query counts the violations of all; only those found cost more. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from .cast import FILE, RAW, ROW
from .contract import whole
from .records import CheckResult, Level
from .settings import ColumnSettings, ContractSettings

EXAMPLES = 5
_REASON, _LEN, _UNIQUE = "__reason:", "__len", "__unique"


@dataclass(frozen=True, slots=True)
class _RowCheck:
    check: str
    column: str
    expected: str
    broken: pl.Expr
    """True for a row that breaks it; never null."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found: every check with its count, and for each row its reasons (null: none)."""

    results: tuple[CheckResult, ...]
    reasons: pl.Series


def check_rows(typed: pl.DataFrame, contract: ContractSettings, known_keys: pl.DataFrame | None) -> Checked:
    """Check all rows; `known_keys` holds the keys that the dataset has already."""
    checks = list(_row_checks(contract))
    counts = _count(typed, checks, contract)
    broken = [check for at, check in enumerate(checks) if counts[f"check{at}"]]
    if contract.key and counts[_UNIQUE] < counts[_LEN]:
        repeated = pl.struct(contract.key)
        later = repeated.is_duplicated() & ~repeated.is_first_distinct() & _whole_key(contract)
        broken.append(_RowCheck("key", ",".join(contract.key), "no other row with the same key in the arrival", later))
    if known_keys is not None and contract.key:
        again = _known(typed, contract, known_keys)
        if again.any():
            broken.append(
                _RowCheck("key", ",".join(contract.key), "no key that the dataset has already", pl.lit(again))
            )
    marks = typed.select(check.broken.alias(f"{_REASON}{at}") for at, check in enumerate(broken))
    results = [_result(typed, check, marks.to_series(at), counts) for at, check in enumerate(broken)]
    held = [check for at, check in enumerate(checks) if not counts[f"check{at}"]]
    results += [CheckResult(one.check, one.column, Level.ROW, 0, f"expected {one.expected}") for one in held]
    if contract.key and not any(one.check == "key" for one in results):
        results.append(CheckResult("key", ",".join(contract.key), Level.ROW, 0, "expected no key twice"))
    return Checked((*results, *_table_checks(contract, counts, len(typed))), _reasons(marks, broken, len(typed)))


def _row_checks(contract: ContractSettings) -> Iterator[_RowCheck]:
    for name, column in contract.columns.items():
        value, raw = pl.col(name), pl.col(RAW + name)
        yield _RowCheck("type", name, f"{column.type}", raw.is_not_null())
        if not column.nullable:
            yield _RowCheck("null", name, "a value", value.is_null() & raw.is_null())
        yield from _value_checks(name, column, value)


def _value_checks(name: str, column: ColumnSettings, value: pl.Expr) -> Iterator[_RowCheck]:
    if column.min is not None or column.max is not None:
        low = "" if column.min is None else f"at least {column.min:g}"
        high = "" if column.max is None else f"at most {column.max:g}"
        outside = pl.lit(value=False)
        if column.min is not None:
            outside = outside | (value < column.min)
        if column.max is not None:
            outside = outside | (value > column.max)
        yield _RowCheck("range", name, " and ".join(filter(None, (low, high))), outside.fill_null(value=False))
    if column.one_of is not None:
        listed = ", ".join(column.one_of[:8]) + (", ..." if len(column.one_of) > 8 else "")
        other = ~value.is_in(list(column.one_of)).fill_null(value=True)
        yield _RowCheck("one_of", name, f"one of {listed}", other)
    if column.pattern is not None:
        unlike = ~value.str.contains(whole(column.pattern)).fill_null(value=True)
        yield _RowCheck("pattern", name, f"the pattern {column.pattern}", unlike)


def _count(typed: pl.DataFrame, checks: list[_RowCheck], contract: ContractSettings) -> dict[str, Any]:
    asked = [check.broken.sum().alias(f"check{at}") for at, check in enumerate(checks)]
    asked.append(pl.len().alias(_LEN))
    if contract.key:
        asked.append(pl.struct(contract.key).n_unique().alias(_UNIQUE))
    for name in contract.columns:
        asked.append(pl.col(name).count().alias(f"values:{name}"))
        asked.append(pl.col(RAW + name).count().alias(f"misfits:{name}"))
    return typed.lazy().select(asked).collect().row(0, named=True)


def _whole_key(contract: ContractSettings) -> pl.Expr:
    return pl.all_horizontal(pl.col(name).is_not_null() for name in contract.key)


def _known(typed: pl.DataFrame, contract: ContractSettings, known_keys: pl.DataFrame) -> pl.Series:
    keys = typed.select(contract.key)
    marked = (
        known_keys.select(pl.col(name).cast(dtype) for name, dtype in keys.schema.items())
        .unique()
        .with_columns(pl.lit(value=True).alias("__known"))
    )
    joined = keys.join(marked, on=list(contract.key), how="left", maintain_order="left")
    return joined.get_column("__known").fill_null(value=False)


def _result(typed: pl.DataFrame, check: _RowCheck, mark: pl.Series, counts: Mapping[str, Any]) -> CheckResult:
    found = int(mark.sum())
    hit = typed.filter(mark).head(EXAMPLES)
    shown = check.column.split(",")
    examples = tuple(_example(row, shown) for row in hit.iter_rows(named=True))
    wholly = check.check == "type" and found >= 2 and not counts[f"values:{check.column}"]
    level = Level.TABLE if wholly else Level.ROW
    some = "none is one" if wholly else f"{found} of {len(typed)} rows break this"
    return CheckResult(check.check, check.column, level, found, f"expected {check.expected}; {some}", examples)


def _example(row: Mapping[str, Any], names: list[str]) -> str:
    values = (row[name] if row.get(RAW + name) is None else row[RAW + name] for name in names)
    said = ", ".join("missing" if value is None else str(value)[:80] for value in values)
    return f"{row[FILE]} row {row[ROW]}: {said}"


def _table_checks(contract: ContractSettings, counts: Mapping[str, Any], rows: int) -> Iterator[CheckResult]:
    short = rows < contract.min_rows
    yield CheckResult(
        "min_rows", "", Level.TABLE, int(short), f"expected at least {contract.min_rows} rows; {rows} arrived"
    )
    for name, column in contract.columns.items():
        if column.max_null_rate is None:
            continue
        missing = rows - counts[f"values:{name}"] - counts[f"misfits:{name}"]
        rate = missing / rows if rows else 0.0
        above = missing if rate > column.max_null_rate else 0
        said = f"expected at most {column.max_null_rate:.2%} missing; {rate:.2%} are"
        yield CheckResult("null_rate", name, Level.TABLE, above, said)


def _reasons(marks: pl.DataFrame, broken: list[_RowCheck], rows: int) -> pl.Series:
    if not broken:
        return pl.Series("reasons", [None] * rows, dtype=pl.List(pl.String))
    texts = [
        pl.when(pl.col(f"{_REASON}{at}")).then(pl.lit(f"{one.column}: {one.check}, expected {one.expected}"))
        for at, one in enumerate(broken)
    ]
    listed = pl.concat_list(texts).list.drop_nulls()
    return marks.select(pl.when(listed.list.len() > 0).then(listed).alias("reasons")).to_series()
