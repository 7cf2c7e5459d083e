"""What becomes of an arrival: severities, other datasets, checks of one's own, personal data, and odd files."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from modelloop.data.contract.judge import Aids, Before, Judge, Sorted
from modelloop.data.records import CheckResult, Level, Report
from modelloop.data.settings import (
    ColumnSettings,
    ColumnType,
    ConditionSettings,
    ContractSettings,
    CustomCheckSettings,
    FreshnessSettings,
    Personal,
    Severity,
)

NUMBER, STRING, BINARY = ColumnType.INTEGER, ColumnType.STRING, ColumnType.BINARY
STOP, QUARANTINE, WARN = Severity.STOP, Severity.QUARANTINE, Severity.WARN
NOW = datetime(2026, 1, 10, tzinfo=UTC)


def judged(
    columns: dict[str, ColumnSettings], came: dict[str, list[Any]], aids: Aids | None = None, **asked: Any
) -> tuple[Sorted, Report]:
    contract = ContractSettings(
        columns, **({"on_violation": QUARANTINE, "max_quarantined": 1.0, "min_rows": 0} | asked)
    )
    one = Judge(contract, Before(), aids)
    return one.take(pl.DataFrame(came), "f.csv"), one.report()


def check(report: Report, name: str) -> CheckResult:
    (found,) = [one for one in report.checks if one.check == name]
    return found


@pytest.mark.parametrize(
    ("severity", "good", "bad", "refused"),
    [(STOP, [1], 1, True), (QUARANTINE, [1], 1, False), (WARN, [1, 9], 0, False)],
)
def test_a_check_does_what_its_severity_says(severity: Severity, good: list[int], bad: int, refused: bool) -> None:
    parts, report = judged({"a": ColumnSettings(NUMBER, max=5, severity=severity)}, {"a": [1, 9]})
    assert (parts.good["a"].to_list(), len(parts.bad), report.refused) == (good, bad, refused)
    found = check(report, "range")
    assert (found.violations, found.severity, found.stops) == (1, severity, refused)
    assert found.examples == ("f.csv row 2: 9",)
    assert report.accepted == (0 if refused else len(good))


def test_what_a_table_cannot_hold_is_set_aside_where_others_warn() -> None:
    columns = {"k": ColumnSettings(NUMBER), "a": ColumnSettings(NUMBER, nullable=True, max=5)}
    rows = {"k": ["1", "1", "2", "3"], "a": ["1", "1", "x", "9"]}
    parts, report = judged(columns, rows, on_violation=WARN, key=("k",))
    assert parts.good.rows() == [(1, 1), (3, 9)]
    assert [one["row"] for one in parts.bad.to_dicts()] == [2, 3]
    assert json.loads(parts.bad["values"][1]) == {"k": "2", "a": "x"}
    assert not report.refused


def test_values_are_looked_up_in_another_dataset() -> None:
    columns = {"a": ColumnSettings(STRING, nullable=True, references="carriers.code")}
    there = Aids(references={"carriers.code": pl.LazyFrame({"code": ["AA", "UA", None]})})
    parts, report = judged(columns, {"a": ["AA", "ZZ", None, "UA", "ZZ"]}, there)
    assert parts.good["a"].to_list() == ["AA", None, "UA"]
    assert check(report, "references").violations == 2
    _, lost = judged(columns, {"a": ["AA"]})
    assert lost.refused
    assert "carriers.code has; there is no version" in check(lost, "references").message.replace("a value that ", "")


def test_keys_that_the_dataset_has_are_known_in_every_batch() -> None:
    contract = ContractSettings(
        {"a": ColumnSettings(STRING), "b": ColumnSettings(NUMBER)}, key=("a", "b"), on_violation=QUARANTINE,
        max_quarantined=1.0,
    )  # fmt: skip
    one = Judge(contract, Before(), Aids(known_keys=pl.LazyFrame({"a": ["x", "y"], "b": [1, 2]})))
    first = one.take(pl.DataFrame({"a": ["x", "x", "z"], "b": [1, 2, 1]}), "f")
    second = one.take(pl.DataFrame({"a": ["y", "z", "w"], "b": [2, 1, 1]}), "f", 4)
    assert first.good.rows() == [("x", 2), ("z", 1)]
    assert second.good.rows() == [("w", 1)]
    assert [check.violations for check in one.report().broken] == [1, 2]


def test_what_is_unique_is_so_over_the_whole_dataset() -> None:
    columns = {"a": ColumnSettings(NUMBER, unique=True), "b": ColumnSettings(STRING, nullable=True)}
    known = pl.LazyFrame({"a": [1, 2], "b": ["x", None]})
    parts, report = judged(columns, {"a": [1, 3, 4], "b": ["y", "x", None]}, Aids(known_keys=known), unique=(("b",),))
    assert parts.good.rows() == [(4, None)]
    assert {one.column: one.violations for one in report.broken} == {"a": 1, "b": 1}


def raising(frame: pl.DataFrame) -> bool:
    raise ValueError(f"no {frame.height}")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda _: True, None),
        (lambda frame: frame["a"] < 9, None),
        (lambda _: False, "it says that the table is not good"),
        (lambda _: "too few on Sundays", "too few on Sundays"),
        (raising, "it raised ValueError: no 2"),
        (lambda _: None, "it returned NoneType; expected a Boolean series"),
        (lambda _: pl.Series([True]), "it returned 1 answers for 2 rows"),
        (lambda frame: frame["a"], "it returned a series of Int64"),
    ],
)
def test_a_check_of_ones_own_is_asked_about_the_rows_that_would_be_kept(answer: Any, said: str | None) -> None:
    asked = {"own": CustomCheckSettings("checks:own")}
    rows = {"a": [1, 99, 2]}
    _, report = judged({"a": ColumnSettings(NUMBER, max=9)}, rows, Aids(custom={"own": answer}), custom=asked)
    broken = [one for one in report.broken if one.check == "custom"]
    assert report.refused == bool(said)
    assert [one.level for one in broken] == ([Level.TABLE] if said else [])
    assert said is None or said in broken[0].message


def test_rows_that_ones_own_check_finds_are_set_aside_by_their_number_in_the_file() -> None:
    asked = {"own": CustomCheckSettings("checks:odd")}
    aids = Aids(custom={"own": lambda frame: frame["a"] != 2})
    parts, report = judged({"a": ColumnSettings(NUMBER, max=9)}, {"a": [99, 1, 2, 3]}, aids, custom=asked, key=("a",))
    assert parts.good["a"].to_list() == [1, 3]
    assert [(one["row"], one["reasons"]) for one in parts.bad.to_dicts()] == [
        (1, ["a: range, expected at most 9"]),
        (3, ["own: custom, expected checks:odd to hold"]),
    ]
    assert check(report, "custom").examples == ("f.csv row 3: 2",)


@pytest.mark.parametrize("way", [Personal.MASK, Personal.HASH, Personal.REFUSE])
def test_personal_data_is_nowhere_in_what_is_kept_or_told(way: Personal) -> None:
    columns = {
        "who": ColumnSettings(STRING, nullable=True, personal=way, pattern=r"[^ ]+", unique=True),
        "a": ColumnSettings(NUMBER, max=5),
    }
    people = [f"jane{n}@example.com" for n in range(6)]
    rows = {"who": [*people, people[0], "with space@example.com", None], "a": [1, 2, 3, 9, 1, 1, 1, 1, 9]}
    custom = {"own": CustomCheckSettings("checks:own")}
    aids = Aids(secret=b"key", custom={"own": lambda frame: str(frame["who"].to_list())})
    parts, report = judged(columns, rows, aids, custom=custom)
    kept = json.dumps([parts.good.to_dicts(), parts.bad.to_dicts(), report.to_json()])
    assert "jane" not in kept
    assert "example.com" not in kept
    assert any("(protected)" in said for one in report.broken for said in one.examples)
    if way is Personal.REFUSE:
        assert check(report, "personal").violations == 8
        assert len(parts.good) == 0
    else:
        assert len(parts.good) == 5
        assert check(report, "unique").violations == 1
    assert [one["row"] for one in parts.bad.to_dicts()][-1] == 9


def test_hashed_keys_and_references_are_compared_as_they_are_kept() -> None:
    columns = {"who": ColumnSettings(STRING, personal=Personal.HASH, references="people.who")}
    first, _ = judged({"who": ColumnSettings(STRING, personal=Personal.HASH)}, {"who": ["a", "b"]}, Aids(secret=b"k"))
    aids = Aids(secret=b"k", references={"people.who": first.good.lazy()}, known_keys=first.good.lazy().head(1))
    parts, report = judged(columns, {"who": ["a", "b", "c"]}, aids, key=("who",))
    assert {one.check: one.violations for one in report.broken} == {"key": 1, "references": 1}
    assert parts.good["who"].to_list() == first.good["who"].to_list()[1:]


def test_bytes_are_kept_once_and_the_table_holds_their_hash() -> None:
    kept: dict[str, bytes] = {}

    def put(content: bytes) -> str:
        name = f"{len(content):064x}"
        kept[name] = content
        return name

    rows = {"image": [b"one", None, b"three"], "n": [1, 2, 9]}
    columns = {"image": ColumnSettings(BINARY, nullable=True), "n": ColumnSettings(NUMBER, max=5)}
    parts, report = judged(columns, rows, Aids(put=put))
    assert parts.good["image"].to_list() == [f"{3:064x}", None]
    assert json.loads(parts.bad["values"][0])["image"] == f"{5:064x}"
    assert kept == {f"{3:064x}": b"one", f"{5:064x}": b"three"}
    again = {"image": [f"{3:064x}", "no hash"]}
    parts, _ = judged({"image": ColumnSettings(BINARY)}, again, Aids(put=put, items=frozenset({"image"})))
    assert (parts.good["image"].to_list(), len(parts.bad)) == ([f"{3:064x}"], 1)
    _, refused = judged({"image": ColumnSettings(BINARY)}, again, Aids(put=put))
    assert refused.refused, "a hash that a source names is no item: it could be anybody's bytes"
    assert {one.name: one.low for one in report.columns} == {"image": None, "n": "1"}


@pytest.mark.parametrize(("hours", "refused"), [(23, False), (25, True)])
def test_the_newest_row_may_not_be_older_than_promised(hours: int, refused: bool) -> None:
    fresh = FreshnessSettings("t", within=timedelta(days=1))
    rows = {"t": [NOW - timedelta(hours=hours), NOW - timedelta(days=9), None]}
    columns = {"t": ColumnSettings(ColumnType.TIME, nullable=True)}
    _, report = judged(columns, rows, Aids(now=NOW), freshness=fresh)
    assert check(report, "freshness").stops == report.refused == refused
    _, empty = judged(columns, {"t": [None]}, Aids(now=NOW), freshness=fresh)
    assert "there is none at all" in check(empty, "freshness").message


@pytest.mark.parametrize(("rows", "severity", "refused"), [(5, STOP, False), (4, STOP, True), (16, WARN, False)])
def test_volume_is_compared_with_the_arrival_before(rows: int, severity: Severity, refused: bool) -> None:
    columns = {"a": ColumnSettings(NUMBER)}
    _, before = judged(columns, {"a": list(range(10))})
    contract = ContractSettings(columns, max_row_change=0.5, on_violation=severity)
    one = Judge(contract, Before(10, report=before))
    one.take(pl.DataFrame({"a": list(range(rows))}), "f")
    report = one.report()
    assert report.refused == refused
    assert check(report, "row_change").holds == (rows == 5)
    assert ("rows", "10", str(rows)) in [(c.what, c.before, c.after) for c in report.changes] or report.refused


def test_a_condition_that_some_row_makes_impossible_is_told_and_the_rest_is_checked() -> None:
    rows = {"whole": ConditionSettings("CAST(s AS INTEGER) > 1"), "fine": ConditionSettings("a < 3")}
    columns = {"s": ColumnSettings(STRING), "a": ColumnSettings(NUMBER)}
    _, report = judged(columns, {"s": ["1", "x"], "a": [1, 5]}, rows=rows)
    told = {one.column: one for one in report.broken}
    assert told["fine"].violations == 1
    assert "could not be computed" in told["whole"].message
    assert report.refused


def test_a_header_with_a_name_twice_is_refused_by_name() -> None:
    raw = pl.read_csv(b"a,b,a\n1,2,3\n", infer_schema=False)
    for more in (False, True):
        contract = ContractSettings({"a": ColumnSettings(NUMBER), "b": ColumnSettings(NUMBER)}, extra_columns=more)
        one = Judge(contract, Before())
        one.take(raw, "f.csv")
        assert "f.csv has the column a more than once in its header" in one.report().broken[0].message


def test_ten_thousand_columns_make_a_short_message() -> None:
    raw = pl.DataFrame({f"c{n}": [1] for n in range(10_000)})
    one = Judge(ContractSettings({"a": ColumnSettings(NUMBER)}), Before())
    one.take(raw, "f")
    told = [check.message for check in one.report().broken]
    assert len(told) == 2
    assert all(len(said) < 250 for said in told)
    assert "and 9990 more" in told[1]


def test_a_contract_of_many_columns_is_checked() -> None:
    names = [f"c{n}" for n in range(1_200)]
    parts, report = judged({name: ColumnSettings(NUMBER, max=5) for name in names}, {name: [1, 9] for name in names})
    assert (len(parts.good), len(report.broken)) == (1, 1_200)


def test_extra_columns_are_dropped_where_the_contract_only_warns() -> None:
    parts, report = judged({"a": ColumnSettings(NUMBER)}, {"a": [1], "more": [2]}, on_violation=WARN)
    assert parts.good.columns == ["a"]
    assert (report.broken[0].severity, report.refused, report.accepted) == (WARN, False, 1)


def test_a_file_that_cannot_be_read_is_told_with_what_others_break() -> None:
    one = Judge(ContractSettings({"a": ColumnSettings(NUMBER, max=5)}), Before())
    one.take(pl.DataFrame({"a": [9]}), "good.csv")
    one.take(pl.DataFrame({"b": [9]}), "odd.csv")
    one.refuse(CheckResult("readable", "bad.csv", Level.TABLE, 1, "bad.csv is cut off"))
    report = one.report(["good.csv", "odd.csv", "bad.csv"])
    assert [check.check for check in report.broken] == ["columns", "columns", "readable", "range"]
    assert (report.rows, report.accepted, report.refused) == (2, 0, True)


@pytest.mark.parametrize("odd", ["0000-01-01", "2013-02-30", "99999-01-01", "-001-01-01", "x" * 5000])
def test_dates_that_no_calendar_has_are_one_bad_row(odd: str) -> None:
    columns = {"d": ColumnSettings(ColumnType.DATE), "t": ColumnSettings(ColumnType.TIME)}
    for name in columns:
        rows = {one: ["2026-01-01", odd if one == name else "2026-01-01"] for one in columns}
        parts, report = judged(columns, rows)
        assert (len(parts.good), len(parts.bad)) == (1, 1)
        (found,) = [one for one in report.broken if one.check == "type"]
        assert len(found.examples[0]) < 120
