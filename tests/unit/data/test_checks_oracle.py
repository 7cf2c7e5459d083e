"""Every kind of check against a plain loop over rows: the same rows break the same checks, in batches of any size."""

from __future__ import annotations

import json
import math
import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from modelloop.data.contract.checks.plan import set_aside
from modelloop.data.contract.judge import Aids, Before, Judge
from modelloop.data.contract.rules import check_contract
from modelloop.data.records import Level, Report
from modelloop.data.settings import ColumnSettings, ColumnType, ConditionSettings, ContractSettings, Severity
from modelloop.data.types import type_of

Row = dict[str, Any]
Found = dict[tuple[str, str], list[int]]
DAY, NOON = date(2026, 1, 1), datetime(2026, 1, 1, 12, tzinfo=UTC)
KNOWN = ("a", "bb", "ccc", "é")
SEVERITIES = st.none() | st.sampled_from(Severity)

ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "k": st.none() | st.integers(-3, 3),
            "n": st.none() | st.integers(-5, 5) | st.sampled_from([2**53 + 1, -(2**63), 2**63 - 1]),
            "x": st.none() | st.floats(-9, 9) | st.sampled_from([0.0, -0.0, math.nan, math.inf, 1e300]),
            "s": st.none() | st.sampled_from(["", "a", "bb", "ccc", "é", "zz", "A"]),
            "b": st.none() | st.booleans(),
            "d": st.none() | st.integers(-4, 4).map(lambda n: DAY + timedelta(n)),
            "t": st.none() | st.integers(-4, 4).map(lambda n: NOON + timedelta(hours=n)),
        }
    ),
    max_size=14,
)
KINDS = {
    "k": ColumnType.INTEGER, "n": ColumnType.INTEGER, "x": ColumnType.FLOAT, "s": ColumnType.STRING,
    "b": ColumnType.BOOLEAN, "d": ColumnType.DATE, "t": ColumnType.TIME,
}  # fmt: skip
RAW = {name: type_of(kind) for name, kind in KINDS.items()}
CONDITIONS = {"order": "n >= k", "either": "s = 'a' OR b", "late": "t > CAST(d AS TIMESTAMP)"}


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


@st.composite
def contracts(draw: st.DrawFn) -> ContractSettings:
    def pair(low: str, high: str, values: st.SearchStrategy[Any]) -> dict[str, Any]:
        one, other = draw(maybe(values)), draw(maybe(values))
        if one is not None and other is not None and one > other:
            one, other = other, one
        return {low: one, high: other}

    asked: dict[str, dict[str, Any]] = {name: {} for name in KINDS}
    asked["n"] |= pair("min", "max", st.floats(-4, 4) | st.just(2.0**53))
    asked["x"] |= pair("min", "max", st.floats(-8, 8))
    asked["s"] |= pair("min_length", "max_length", st.integers(0, 3))
    asked["s"] |= {"one_of": draw(maybe(st.just(KNOWN))), "pattern": draw(maybe(st.sampled_from(["[a-z]+", "a|bb"])))}
    days, hours = st.integers(-3, 3), st.integers(-3, 3)
    asked["d"] |= pair("not_before", "not_after", days.map(lambda n: (DAY + timedelta(n)).isoformat()))
    asked["t"] |= pair("not_before", "not_after", hours.map(lambda n: (NOON + timedelta(hours=n)).isoformat()))
    key = draw(st.booleans())
    columns = {}
    for name, kind in KINDS.items():
        nullable = draw(st.booleans()) and not (key and name == "k")
        unique = draw(st.integers(0, 5)) == 0
        columns[name] = ColumnSettings(
            kind, nullable=nullable, unique=unique, severity=draw(SEVERITIES), **asked[name]
        )  # fmt: skip
    names = draw(st.lists(st.sampled_from(sorted(CONDITIONS)), unique=True))
    return ContractSettings(
        columns,
        key=("k",) if key else (),
        on_violation=draw(st.sampled_from(Severity)),
        min_rows=0,
        max_quarantined=1.0,
        unique=tuple(draw(st.lists(st.sampled_from([("n", "s"), ("x", "k"), ("d", "t", "b")]), unique=True))),
        rows={name: ConditionSettings(CONDITIONS[name], draw(SEVERITIES)) for name in names},
    )


def typed(row: Row) -> Row:
    """What of a row has its type: NaN is missing, infinity does not fit."""
    odd = row["x"] is not None and not math.isfinite(row["x"])
    return row | {"x": None} if odd else row


def broken_values(name: str, column: ColumnSettings, came: Any, value: Any) -> Iterator[str]:
    if value is None:
        if isinstance(came, float) and math.isinf(came):
            yield "type"
        elif not column.nullable:
            yield "null"
        return
    low, high = column.min, column.max
    if column.not_before or column.not_after:
        kind: Any = date if column.type is ColumnType.DATE else datetime
        low = kind.fromisoformat(column.not_before) if column.not_before else None  # type: ignore[assignment]
        high = kind.fromisoformat(column.not_after) if column.not_after else None  # type: ignore[assignment]
    if (low is not None and value < low) or (high is not None and value > high):
        yield "range"
    if column.one_of is not None and value not in column.one_of:
        yield "one_of"
    if column.pattern is not None and not re.fullmatch(column.pattern, value):
        yield "pattern"
    longest = 99 if column.max_length is None else column.max_length
    if not (column.min_length or 0) <= len(str(value)) <= longest:
        yield "length"


def meets(name: str, row: Row) -> bool | None:
    """Say whether a row meets a condition, as SQL does: None is neither true nor false."""
    if name == "order":
        return None if row["n"] is None or row["k"] is None else row["n"] >= row["k"]
    if name == "either":
        sides = (None if row["s"] is None else row["s"] == "a", row["b"])
        return True if True in sides else None if None in sides else False
    if row["t"] is None or row["d"] is None:
        return None
    return bool(row["t"] > datetime(row["d"].year, row["d"].month, row["d"].day, tzinfo=UTC))


def oracle(contract: ContractSettings, rows: Sequence[Row]) -> tuple[Found, dict[int, list[Severity]]]:
    """Return the rows that break each check, and how bad that is for each row."""
    found: Found = {}
    bad: dict[int, list[Severity]] = {}

    def note(check: str, column: str, at: int, severity: Severity | None) -> None:
        found.setdefault((check, column), []).append(at)
        bad.setdefault(at, []).append(severity or contract.on_violation)

    uniques = [("unique", (name,), one.severity) for name, one in contract.columns.items() if one.unique]
    uniques += [("unique", names, None) for names in contract.unique]
    keys = [("key", contract.key, set_aside(contract.on_violation))] if contract.key else []
    seen: dict[tuple[str, tuple[str, ...]], set[Any]] = {}
    for at, came in enumerate(rows):
        row = typed(came)
        for name, column in contract.columns.items():
            severity = column.severity or contract.on_violation
            for check in broken_values(name, column, came[name], row[name]):
                kept = check == "type" or (check == "null" and name in contract.key)
                note(check, name, at, set_aside(severity) if kept else severity)
        for check, names, severity_ in (*uniques, *keys):
            values = tuple(row[name] for name in names)
            before = seen.setdefault((check, names), set())
            if None not in values and values in before:
                note(check, ",".join(names), at, severity_)
            before.add(values)
        for name, condition in contract.rows.items():
            if meets(name, row) is False:
                note("condition", name, at, condition.severity)
    return found, bad


def judged(contract: ContractSettings, rows: Sequence[Row], size: int) -> tuple[list[Row], list[Any], Report]:
    one = Judge(contract, Before(), Aids())
    good: list[Row] = []
    bad: list[Any] = []
    for start in range(0, max(len(rows), 1), size):
        part = one.take(pl.DataFrame(rows[start : start + size], schema=RAW), "f", start + 1)
        good += part.good.to_dicts()
        bad += part.bad.to_dicts()
    return good, bad, one.report()


@settings(max_examples=150, deadline=None)
@given(contracts(), ROWS, st.integers(1, 15))
def test_the_same_rows_break_the_same_checks_as_in_a_plain_loop(
    contract: ContractSettings, rows: list[Row], size: int
) -> None:
    check_contract(contract)
    found, severities = oracle(contract, rows)
    aside = {at for at, all_ in severities.items() if set(all_) - {Severity.WARN}}
    good, bad, report = judged(contract, rows, size)
    told = {(one.check, one.column): one for one in report.checks if one.check not in ("columns", "bad_rows")}
    assert {name: one.violations for name, one in told.items() if one.violations} == {
        name: len(at) for name, at in found.items()
    }
    assert good == [typed(row) for at, row in enumerate(rows) if at not in aside]
    assert [one["row"] for one in bad] == [at + 1 for at in sorted(aside)]
    for one in bad:
        broke = sum(one["row"] - 1 in at for at in found.values())
        assert len(one["reasons"]) == broke
    assert report.rows == len(rows)
    assert report.quarantined == len(aside)
    wholly = any(one.level is Level.TABLE and not one.holds for one in told.values())
    stops = any(Severity.STOP in all_ for all_ in severities.values())
    assert report.refused == (stops or wholly)
    assert report.accepted == (0 if report.refused else len(good))
    for (_check, _), one in ((name, one) for name, one in told.items() if name in found):
        places = [at + 1 for at in found[one.check, one.column]][:5]
        assert [int(re.match(r"f row (\d+)", said)[1]) for said in one.examples] == places  # type: ignore[index]
    assert Report.from_json(json.loads(json.dumps(report.to_json()))) == report


@settings(max_examples=60, deadline=None)
@given(st.lists(st.none() | st.floats(-1e6, 1e6), max_size=30), st.sampled_from([0.5, 1.0, 2.0]))
def test_z_scores_are_those_of_the_arrival(values: list[float | None], most: float) -> None:
    there = [one for one in values if one is not None]
    spread = statistics.stdev(there) if len(set(there)) > 1 else 0.0
    scores = [abs(one - statistics.fmean(there)) / spread for one in there] if spread > 1e-3 else []
    assume(not scores or min(abs(one - most) for one in scores) > 1e-6)
    contract = ContractSettings(
        {"x": ColumnSettings(ColumnType.FLOAT, nullable=True, max_zscore=most)}, min_rows=0, on_violation=Severity.WARN
    )
    one = Judge(contract, Before())
    one.take(pl.DataFrame({"x": values}, schema={"x": pl.Float64}), "f")
    (found,) = [check for check in one.report().checks if check.check == "zscore"]
    assume(spread == 0.0 or spread > 1e-3)
    assert found.violations == sum(score > most for score in scores)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.none() | st.integers(-9, 9), st.none() | st.sampled_from("abcd")), min_size=1, max_size=20),
    st.integers(1, 21),
    st.fixed_dictionaries({"rate": st.floats(0, 1), "low": st.floats(-9, 9), "wide": st.floats(0, 9)}),
    st.integers(1, 4),
    st.integers(0, 25),
)
def test_what_is_said_of_the_whole_does_not_hang_on_batches(
    rows: list[tuple[int | None, str | None]], size: int, asked: Mapping[str, float], most: int, volume: int
) -> None:
    columns = {
        "n": ColumnSettings(
            ColumnType.INTEGER, True, max_null_rate=asked["rate"], mean=(asked["low"], asked["low"] + asked["wide"])
        ),
        "s": ColumnSettings(ColumnType.STRING, True, max_distinct=most),
    }
    contract = ContractSettings(columns, min_rows=volume // 2, max_rows=max(volume, 1), on_violation=Severity.WARN)
    came = [{"n": n, "s": s} for n, s in rows]
    judge = Judge(contract, Before())
    for start in range(0, len(came), size):
        judge.take(pl.DataFrame(came[start : start + size], schema={"n": pl.Int64, "s": pl.String}), "f", start + 1)
    numbers = [n for n, _ in rows if n is not None]
    mean = statistics.fmean(numbers) if numbers else None
    low, high = asked["low"], asked["low"] + asked["wide"]
    assume(mean is None or min(abs(mean - low), abs(mean - high)) > 1e-9)
    missing = len(rows) - len(numbers)
    expected = {
        "null_rate": missing / len(rows) > asked["rate"],
        "mean": mean is not None and not low <= mean <= high,
        "distinct": len({s for _, s in rows if s is not None}) > most,
        "min_rows": len(rows) < volume // 2,
        "max_rows": len(rows) > max(volume, 1),
    }
    report = judge.report()
    assert {one.check: not one.holds for one in report.checks if one.check in expected} == expected
    assert not report.refused
    stats = {one.name: one for one in report.columns}
    assert stats["n"].null_rate == missing / len(rows)
    assert (stats["n"].low, stats["n"].high) == ((str(min(numbers)), str(max(numbers))) if numbers else (None, None))
    assert stats["n"].mean is None if mean is None else math.isclose(stats["n"].mean or 0, mean, abs_tol=1e-9)
