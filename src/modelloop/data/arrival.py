"""An arrival judged: files in, good rows, bad rows with their reasons, and the report out. Pure."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import polars as pl

from ..ground.core.errors import DataRefused
from .cast import FILE, RAW, ROW, cast, wrong_types
from .changes import changes
from .checks import check_rows
from .contract import TYPES, schema_of
from .parse import parse
from .records import CheckResult, ColumnStats, Level, Report, Schema, clean
from .settings import ColumnType, ContractSettings, Format, OnViolation

ZSTD_LEVEL = 3


@dataclass(frozen=True, slots=True)
class Before:
    """What the dataset is before the arrival."""

    rows: int = 0
    schema: Schema | None = None
    report: Report | None = None
    known_keys: pl.DataFrame | None = None
    """Keys that no arriving row may have; None where the arrival replaces everything or there is no key."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of an arrival. `good` is empty where the report says refused."""

    report: Report
    good: pl.DataFrame
    bad: pl.DataFrame
    """file, row, reasons, values (JSON of the row as it came)."""


@dataclass(slots=True)
class _Findings:
    checks: list[CheckResult]
    frames: list[pl.DataFrame] = field(default_factory=list)
    rows: int = 0


def judge(
    files: Sequence[tuple[str, bytes]],
    form: Format,
    contract: ContractSettings,
    before: Before,
    found: Sequence[CheckResult] = (),
) -> Judged:
    """Check all files as one arrival. `found` holds what the caller knows to be wrong already."""
    findings = _Findings([*found, *_schema_checks(contract, before)])
    for name, data in files:
        _read(findings, name, data, form, contract)
    if any(not check.holds for check in findings.checks):
        return _refused_whole(findings, files, contract)
    typed = pl.concat(findings.frames)
    checked = check_rows(typed, contract, before.known_keys)
    faulty = checked.reasons.is_not_null()
    bad = int(faulty.sum())
    checks = [*findings.checks, *checked.results, *_share_check(contract, bad, len(typed))]
    refused = any(not one.holds and (one.level is Level.TABLE or _stops(contract)) for one in checks)
    good = typed.filter(~faulty).select(list(contract.columns))
    stats = describe(good)
    report = Report(
        rows=len(typed),
        accepted=0 if refused else len(good),
        quarantined=bad,
        refused=refused,
        files=tuple(name for name, _ in files),
        checks=tuple(sorted(checks, key=lambda one: one.holds)),
        columns=stats,
        changes=changes(before.report, stats, len(good)),
    )
    set_aside = typed.with_columns(checked.reasons).filter(faulty)
    return Judged(report, good.clear() if refused else good, _as_it_came(set_aside, contract))


def describe(frame: pl.DataFrame) -> tuple[ColumnStats, ...]:
    """Return share of missing values, mean, lowest and highest of each column, in one query."""
    asked = []
    for name, dtype in frame.schema.items():
        value = pl.col(name)
        counted = dtype.is_numeric() or dtype == pl.Boolean
        asked += [
            value.null_count().alias(f"nulls:{name}"),
            (value.mean() if counted else pl.lit(None)).alias(f"mean:{name}"),
            value.min().alias(f"low:{name}"),
            value.max().alias(f"high:{name}"),
        ]
    answers = frame.lazy().select(asked).collect().row(0, named=True) if asked else {}
    rows = max(len(frame), 1)
    words = {dtype: str(kind) for kind, dtype in TYPES.items()}
    return tuple(
        ColumnStats(
            name,
            words[dtype],
            answers[f"nulls:{name}"] / rows,
            _number(answers[f"mean:{name}"]),
            _text(answers[f"low:{name}"]),
            _text(answers[f"high:{name}"]),
        )
        for name, dtype in frame.schema.items()
    )


def to_parquet(frame: pl.DataFrame) -> bytes:
    """Return the frame as Parquet bytes."""
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd", compression_level=ZSTD_LEVEL)
    return buffer.getvalue()


def _read(findings: _Findings, name: str, data: bytes, form: Format, contract: ContractSettings) -> None:
    try:
        raw = parse(data, form, name)
    except DataRefused as error:
        findings.checks.append(CheckResult("readable", name, Level.TABLE, 1, error.message))
        return
    findings.rows += len(raw)
    shape = list(_shape_checks(raw, contract, name))
    findings.checks += shape
    if all(check.holds for check in shape):
        findings.frames.append(cast(raw, contract, name))


def _shape_checks(raw: pl.DataFrame, contract: ContractSettings, file: str) -> Iterator[CheckResult]:
    missing = [name for name in contract.columns if name not in raw.columns]
    extra = [name for name in raw.columns if name not in contract.columns]
    said = f"{file} has the columns the contract lists"
    if missing:
        has = ", ".join(raw.columns[:40])
        said = f"{file} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}; it has {has}"
    yield CheckResult("columns", file, Level.TABLE, len(missing), said)
    if extra and not contract.extra_columns:
        said = f"{file} has columns that the contract does not list: {', '.join(extra[:40])}; extra_columns allows them"
        yield CheckResult("columns", file, Level.TABLE, len(extra), said)
    for name, found in wrong_types(raw, contract).items():
        said = f"{file} holds {name} as {found}; expected {contract.columns[name].type}"
        yield CheckResult("type", name, Level.TABLE, len(raw), said)


def _schema_checks(contract: ContractSettings, before: Before) -> Iterator[CheckResult]:
    """A column keeps its type from version to version; a whole number may become any number."""
    arriving = dict(schema_of(contract))
    for name, was in before.schema or ():
        now = arriving.get(name, was)
        if now != was and (was, now) != (ColumnType.INTEGER, ColumnType.FLOAT):
            said = f"{name} was {was} in the version before and is now {now}; use mode replace, or a new dataset"
            yield CheckResult("schema", name, Level.TABLE, 1, said)


def _share_check(contract: ContractSettings, bad: int, rows: int) -> Iterator[CheckResult]:
    if not _stops(contract):
        share = bad / rows if rows else 0.0
        said = f"expected at most {contract.max_quarantined:.2%} bad rows; {share:.2%} are"
        yield CheckResult("bad_rows", "", Level.TABLE, bad if share > contract.max_quarantined else 0, said)


def _stops(contract: ContractSettings) -> bool:
    return contract.on_violation is OnViolation.STOP


def _refused_whole(findings: _Findings, files: Sequence[tuple[str, bytes]], contract: ContractSettings) -> Judged:
    checks = tuple(sorted(findings.checks, key=lambda one: one.holds))
    report = Report(findings.rows, 0, 0, refused=True, files=tuple(n for n, _ in files), checks=checks, columns=())
    empty = pl.DataFrame(schema=dict.fromkeys(contract.columns, pl.Null))
    return Judged(report, empty, pl.DataFrame())


def _as_it_came(bad: pl.DataFrame, contract: ContractSettings) -> pl.DataFrame:
    values = [pl.coalesce(pl.col(RAW + name), pl.col(name).cast(pl.String)).alias(name) for name in contract.columns]
    told = pl.struct(values).struct.json_encode().alias("values")
    return bad.select(pl.col(FILE).alias("file"), pl.col(ROW).alias("row"), "reasons", told)


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _text(value: object) -> str | None:
    return None if value is None else clean(str(value)[:200])
