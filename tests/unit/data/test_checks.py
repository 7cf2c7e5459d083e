"""Contract checks on rows: every violation is found, counted and shown; nothing else is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelloop.data.contract.judge import Aids, Before, Judge
from modelloop.data.formats.parse import parse
from modelloop.data.insight.describe import to_parquet
from modelloop.data.records import CheckResult, Level, Report
from modelloop.data.settings import ColumnSettings, ColumnType, ContractSettings, Format, Severity
from modelloop.ground.core.errors import DataRefused

CONTRACT = ContractSettings(
    columns={
        "id": ColumnSettings(ColumnType.INTEGER),
        "carrier": ColumnSettings(ColumnType.STRING, one_of=("AA", "UA")),
        "tail": ColumnSettings(ColumnType.STRING, nullable=True, pattern="N[0-9]+", max_null_rate=0.5),
        "distance": ColumnSettings(ColumnType.FLOAT, nullable=True, min=0, max=5000),
        "late": ColumnSettings(ColumnType.BOOLEAN, nullable=True),
        "at": ColumnSettings(ColumnType.TIME),
        "day": ColumnSettings(ColumnType.DATE, nullable=True),
    },
    key=("id",),
    on_violation=Severity.QUARANTINE,
    max_quarantined=1.0,
)
GOOD = {
    "id": 1,
    "carrier": "AA",
    "tail": "N1",
    "distance": 10.5,
    "late": True,
    "at": "2013-01-01T05:15:00Z",
    "day": None,
}
HEADER = ",".join(GOOD)


@dataclass(frozen=True)
class Judged:
    """An arrival judged in one go."""

    report: Report
    good: pl.DataFrame
    bad: pl.DataFrame


def judge(
    files: list[tuple[str, bytes]],
    form: Format,
    contract: ContractSettings,
    before: Before,
    known: pl.LazyFrame | None = None,
) -> Judged:
    one, parts = Judge(contract, before, Aids(known_keys=known)), []
    for name, data in files:
        try:
            parts.append(one.take(parse(data, form, name), name))
        except DataRefused as error:
            one.refuse(CheckResult("readable", name, Level.TABLE, 1, error.message))
    report = one.report([name for name, _ in files])
    good = pl.concat([part.good for part in parts]) if parts else pl.DataFrame()
    bad = pl.concat([part.bad for part in parts]) if parts else pl.DataFrame()
    return Judged(report, good.clear() if report.refused else good, bad)


def csv(*rows: str) -> Judged:
    return judge([("a.csv", "\n".join([HEADER, *rows, ""]).encode())], Format.CSV, CONTRACT, Before())


def broken(report: Report) -> dict[tuple[str, str], int]:
    return {(one.check, one.column): one.violations for one in report.broken}


def with_contract(**changed: object) -> ContractSettings:
    fields = {name: getattr(CONTRACT, name) for name in ContractSettings.__slots__}  # type: ignore[attr-defined]
    return ContractSettings(**(fields | changed))


def test_good_rows_come_in_as_what_the_contract_says() -> None:
    judged = csv(
        "1,AA,N1,10.5,true,2013-01-01T05:15:00Z,2013-01-01", "2,UA,,,,2013-01-01 05:15,", "3.0,AA,N2,NaN,0,2013-01-02,"
    )
    assert not judged.report.broken
    assert judged.good.schema == {
        "id": pl.Int64, "carrier": pl.String, "tail": pl.String, "distance": pl.Float64, "late": pl.Boolean,
        "at": pl.Datetime("us", "UTC"), "day": pl.Date,
    }  # fmt: skip
    assert judged.good["id"].to_list() == [1, 2, 3]
    assert judged.good["distance"].to_list() == [10.5, None, None]
    assert judged.good["late"].to_list() == [True, None, False]
    assert judged.good["at"].to_list()[1:] == [
        datetime(2013, 1, 1, 5, 15, tzinfo=UTC),
        datetime(2013, 1, 2, tzinfo=UTC),
    ]
    assert judged.good["day"].to_list()[0] == date(2013, 1, 1)


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ("x,AA,N1,1,true,2013-01-01,", {("type", "id"): 1}),
        ("1.5,AA,N1,1,true,2013-01-01,", {("type", "id"): 1}),
        (",AA,N1,1,true,2013-01-01,", {("null", "id"): 1}),
        ("9,ZZ,N1,1,true,2013-01-01,", {("one_of", "carrier"): 1}),
        ("9,AA,xN1x,1,true,2013-01-01,", {("pattern", "tail"): 1}),
        ("9,AA,N1,-0.1,true,2013-01-01,", {("range", "distance"): 1}),
        ("9,AA,N1,5001,true,2013-01-01,", {("range", "distance"): 1}),
        ("9,AA,N1,inf,true,2013-01-01,", {("type", "distance"): 1}),
        ("9,AA,N1,1,maybe,2013-01-01,", {("type", "late"): 1}),
        ("9,AA,N1,1,true,yesterday,", {("type", "at"): 1}),
        ("9,AA,N1,1,true,2013-02-30T00:00:00Z,", {("type", "at"): 1}),
        ("9,AA,N1,1,true,2013-01-01,01/02/2013", {("type", "day"): 1}),
        ("1,AA,N1,1,true,2013-01-01,", {("key", "id"): 1}),
        ("x,ZZ,q,-1,true,,",
         {("type", "id"): 1, ("one_of", "carrier"): 1, ("pattern", "tail"): 1, ("range", "distance"): 1,
          ("null", "at"): 1}),
    ],
)  # fmt: skip
def test_a_bad_row_is_set_aside_with_all_its_reasons(row: str, found: dict[tuple[str, str], int]) -> None:
    judged = csv("1,AA,N1,10.5,true,2013-01-01,", row, "3,UA,,,,2013-01-01,")
    assert broken(judged.report) == found
    assert judged.good["id"].to_list() == [1, 3]
    (bad,) = judged.bad.to_dicts()
    assert (bad["file"], bad["row"], len(bad["reasons"])) == ("a.csv", 2, len(found))
    came = dict(zip(GOOD, row.split(","), strict=True))
    kept = json.loads(bad["values"])
    assert kept["id"] == (came["id"] or None)
    assert all(one.examples == () or one.examples[0].startswith("a.csv row 2: ") for one in judged.report.broken)


def test_nothing_comes_in_where_the_contract_says_stop() -> None:
    contract = with_contract(on_violation=Severity.STOP)
    judged = judge(
        [("a.csv", f"{HEADER}\n1,AA,N1,1,t,2013-01-01,\n2,ZZ,N1,1,t,2013-01-01,\n".encode())],
        Format.CSV,
        contract,
        Before(),
    )
    assert judged.report.refused
    assert (judged.report.accepted, judged.report.quarantined, len(judged.good), len(judged.bad)) == (0, 1, 0, 1)


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ({"max_quarantined": 0.2}, "bad_rows"),
        ({"min_rows": 9}, "min_rows"),
        (
            {
                "columns": dict(CONTRACT.columns)
                | {"day": ColumnSettings(ColumnType.DATE, nullable=True, max_null_rate=0.1)}
            },
            "null_rate",
        ),
    ],
)
def test_the_whole_arrival_is_refused_though_rows_are_quarantined(change: dict[str, object], check: str) -> None:
    data = f"{HEADER}\n1,AA,N1,1,t,2013-01-01,\n2,ZZ,N1,1,t,2013-01-01,\n".encode()
    report = judge([("a.csv", data)], Format.CSV, with_contract(**change), Before()).report
    assert report.refused
    assert check in {one.check for one in report.broken if one.level is Level.TABLE}


def test_a_missing_extra_or_wholly_wrong_column_is_said_in_words() -> None:
    def told(data: bytes, form: Format = Format.CSV) -> CheckResult:
        judged = judge([("f", data)], form, CONTRACT, Before())
        assert judged.report.refused
        return judged.report.broken[0]

    assert (
        "lacks the columns tail, day; it has id" in told(b"id,carrier,distance,late,at\n1,AA,1,t,2013-01-01\n").message
    )
    assert "does not list: more" in told(f"{HEADER},more\n1,AA,N1,1,t,2013-01-01,,x\n".encode()).message
    frame = pl.DataFrame([GOOD]).with_columns(distance=pl.lit(b"x"))
    assert "holds distance as Binary; expected float" in told(to_parquet(frame), Format.PARQUET).message
    wholly = told(f"{HEADER}\n1,AA,N1,1,t,soon,\n2,AA,N1,1,t,later,\n".encode())
    assert (wholly.level, wholly.column) == (Level.TABLE, "at")
    assert "none is one" in wholly.message
    assert "f row 1: soon" in wholly.examples


@pytest.mark.parametrize("form", [Format.PARQUET, Format.CSV, Format.JSONL])
def test_a_truncated_or_foreign_file_is_named(form: Format) -> None:
    whole = {
        Format.PARQUET: to_parquet(pl.DataFrame([GOOD] * 50)),
        Format.CSV: b'id,carrier\n1,AA,extra,fields\n2,\xff\xfe"',
        Format.JSONL: json.dumps(GOOD).encode() + b'\n{"id": 2, "carr',
    }[form]
    for data in (whole[:-9] if form is Format.PARQUET else whole, b"", b"PAR1 not really PAR1"):
        report = judge([("bad.file", data)], form, CONTRACT, Before()).report
        assert report.refused
        assert report.broken[0].check in ("readable", "columns")
        assert "bad.file" in report.broken[0].message


def test_json_lines_with_one_odd_value_lose_one_row() -> None:
    rows = [GOOD, GOOD | {"id": 2, "distance": "far"}, GOOD | {"id": 3, "distance": 7}, GOOD | {"id": "4"}]
    judged = judge([("a.jsonl", "\n".join(map(json.dumps, rows)).encode())], Format.JSONL, CONTRACT, Before())
    assert broken(judged.report) == {("type", "distance"): 1}
    assert judged.good["id"].to_list() == [1, 3, 4]
    assert judged.good["distance"].to_list() == [10.5, 7.0, 10.5]


def test_keys_are_unique_over_files_and_over_versions() -> None:
    files = [(f"{n}.csv", f"{HEADER}\n{n},AA,N1,1,t,2013-01-01,\n7,AA,N1,1,t,2013-01-01,\n".encode()) for n in (1, 2)]
    judged = judge(files, Format.CSV, CONTRACT, Before(rows=1), pl.LazyFrame({"id": [1]}))
    assert [one.violations for one in judged.report.broken if one.check == "key"] == [1, 1]
    assert judged.good["id"].to_list() == [7, 2]
    assert judged.bad.select("file", "row").rows() == [("1.csv", 1), ("2.csv", 2)]
    assert all(one.examples for one in judged.report.broken)


def test_files_of_different_storage_types_make_one_table() -> None:
    one = (
        pl.DataFrame([GOOD])
        .cast({"distance": pl.Float32})
        .with_columns(late=pl.lit(1), at=pl.lit(datetime(2013, 1, 1)))  # noqa: DTZ001
    )
    two = pl.DataFrame([GOOD | {"id": 2.0, "distance": 3}]).cast({"carrier": pl.Categorical})
    judged = judge([("1", to_parquet(one)), ("2", to_parquet(two))], Format.PARQUET, CONTRACT, Before())
    assert not judged.report.broken
    assert judged.good["id"].to_list() == [1, 2]
    assert judged.good["at"][0] == datetime(2013, 1, 1, tzinfo=UTC)


@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.integers(-3, 3)),
            st.sampled_from(["AA", "UA", "ZZ", None]),
            st.floats(-10, 6000) | st.none(),
        ),
        max_size=25,
    )
)
def test_the_counts_are_those_of_a_plain_loop(rows: list[tuple[int | None, str | None, float | None]]) -> None:
    body = [GOOD | {"id": one, "carrier": two, "distance": three} for one, two, three in rows]
    frame = pl.DataFrame(body, schema={"id": pl.Int64, "carrier": pl.String, "tail": pl.String, "distance": pl.Float64,
                                       "late": pl.Boolean, "at": pl.String, "day": pl.Date})  # fmt: skip
    judged = judge([("f", to_parquet(frame))], Format.PARQUET, with_contract(min_rows=0), Before())
    seen: set[int] = set()
    good = []
    for one, two, three in rows:
        again = one in seen
        if one is not None:
            seen.add(one)
        if one is not None and not again and two in ("AA", "UA") and (three is None or 0 <= three <= 5000):
            good.append(one)
    assert judged.good["id"].to_list() == good
    assert judged.report.quarantined == len(rows) - len(good) == len(judged.bad)
    found = broken(judged.report)
    assert found.get(("null", "id"), 0) == sum(one is None for one, _, _ in rows)
    assert found.get(("one_of", "carrier"), 0) == sum(two == "ZZ" for _, two, _ in rows)


def test_the_report_says_what_changed() -> None:
    first = csv("1,AA,N1,10,true,2013-01-01,")
    rows = b"2,AA,N1,20,true,2013-01-01,\n3,UA,,,t,2013-01-03,\n"
    second = judge([("b.csv", HEADER.encode() + b"\n" + rows)], Format.CSV, CONTRACT, Before(1, report=first.report))
    said = {(one.what, one.column): (one.before, one.after) for one in second.report.changes}
    assert said[("rows", "")] == ("1", "2")
    assert said[("null_rate", "tail")] == ("0", "0.5")
    assert said[("mean", "distance")] == ("10", "20")
    assert ("mean", "carrier") not in said
    stats = {one.name: one for one in second.report.columns}
    assert (stats["carrier"].low, stats["carrier"].high) == ("AA", "UA")
    assert Report.from_json(json.loads(json.dumps(second.report.to_json()))) == second.report


def test_a_column_may_not_change_its_type_between_versions() -> None:
    data = f"{HEADER}\n1,AA,N1,1,t,2013-01-01,\n".encode()
    was = Before(1, schema=(("id", "integer"), ("distance", "string")))
    assert judge([("f", data)], Format.CSV, CONTRACT, was).report.broken[0].check == "schema"
    was = Before(1, schema=(("id", "integer"), ("distance", "integer")))
    assert not judge([("f", data)], Format.CSV, CONTRACT, was).report.refused
