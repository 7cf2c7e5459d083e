"""A contract that asks for what cannot be checked is refused before any data is read, with all mistakes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from modelloop.data.contract.rules import check_contract, contract_hash
from modelloop.data.settings import (
    ColumnSettings,
    ColumnType,
    ConditionSettings,
    ContractSettings,
    FreshnessSettings,
    Personal,
)
from modelloop.ground.core.errors import ContractInvalid, ProjectFileInvalid
from modelloop.project import parse_project

STRING, NUMBER, TIME = ColumnType.STRING, ColumnType.INTEGER, ColumnType.TIME
A, B = ColumnSettings(NUMBER), ColumnSettings(STRING, nullable=True)


def mistakes(**asked: Any) -> list[str]:
    columns = asked.pop("columns", {"a": A, "b": B, "t": ColumnSettings(TIME)})
    try:
        check_contract(ContractSettings(columns, **asked))
    except ContractInvalid as refused:
        return list(refused.detail["mistakes"])
    return []


def test_all_mistakes_are_told_at_once() -> None:
    columns = {
        "a": ColumnSettings(STRING, min=1),
        "b": ColumnSettings(NUMBER, one_of=("x",)),
        "c": ColumnSettings(STRING, pattern="(?=x)"),
        "d": ColumnSettings(ColumnType.FLOAT, min=2, max=1, nullable=True),
        "__e": ColumnSettings(STRING, one_of=()),
        "f": ColumnSettings(TIME, not_before="yesterday"),
        "g": ColumnSettings(ColumnType.DATE, not_before="2026-02-01", not_after="2026-01-01"),
        "h": ColumnSettings(NUMBER, personal=Personal.HASH, mean=(2, 1)),
    }
    told = mistakes(columns=columns, key=("d", "nope"), unique=((), ("a", "zz")), max_rows=0)
    assert len(told) == 15
    assert any(one.startswith('columns.f.not_before: "yesterday"') for one in told)
    assert not mistakes()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a >", "cannot be read as an SQL expression"),
        ("nope > 1 and a > 1", "it names nope; the columns are a, b, t"),
        ("1 = 1", "names no column"),
        ("a > (select 1)", "has a query in it"),
        ("b in (select b from self)", "relation 'self' was not found"),
        ("a > avg(a)", "looks at more than one row"),
        ("lag(a) over (order by a) > 1", "looks at more than one row"),
        ("count(*) > 1", "looks at more than one row"),
        ("a + 1", "gives Int64, not true or false"),
        ("b > 1", "does not fit the types"),
        ("t >= '2026-01-01'", "write DATE '2026-01-31' or TIMESTAMP '2026-01-31 12:00:00' (UTC)"),
        ("a > 1; drop table a", "cannot be read"),
    ],
)
def test_a_condition_is_looked_through_before_any_data_is_read(text: str, said: str) -> None:
    (told,) = mistakes(rows={"odd": ConditionSettings(text)})
    assert told.startswith("rows.odd.condition: ")
    assert said in told


@pytest.mark.parametrize(
    "text",
    [
        "a > 1", '"a" IN (1, 2)', "b LIKE 'Agg%' OR b IS NULL", "t >= TIMESTAMP '2026-01-01 00:00:00'",
        "CASE WHEN b = 'Over' THEN a > 1 ELSE TRUE END", "LENGTH(b) < 9", "t - INTERVAL '1 day' < t",
    ],
)  # fmt: skip
def test_expressions_over_the_row_are_conditions(text: str) -> None:
    assert not mistakes(rows={"fine": ConditionSettings(text)})


@pytest.mark.parametrize("pattern", ["(?=x)", "(?<!x)y", r"(a)\1", "(?P<n>a)(?P=n)", "a++"])
def test_a_pattern_that_could_take_for_ever_is_refused(pattern: str) -> None:
    assert len(mistakes(columns={"a": ColumnSettings(STRING, pattern=pattern)})) == 1


@pytest.mark.parametrize("pattern", [r"\(?=x", "[(?=]+", r"a\\1", "a+", "[0-9]{2}"])
def test_a_pattern_that_only_looks_so_is_not(pattern: str) -> None:
    assert not mistakes(columns={"a": ColumnSettings(STRING, pattern=pattern)})


def test_everything_a_contract_says_is_in_its_hash() -> None:
    plain = ContractSettings({"a": A, "b": B})
    others = [
        ContractSettings({"b": B, "a": A}),
        ContractSettings({"a": A, "b": B}, rows={"x": ConditionSettings("a > 1")}),
        ContractSettings({"a": A, "b": B}, unique=(("a", "b"),)),
        ContractSettings({"a": A, "b": ColumnSettings(STRING, nullable=True, personal=Personal.MASK)}),
    ]
    assert len({contract_hash(one) for one in (plain, *others)}) == 5


PROJECT = """[project]
name = "p"
owner = "o"
[objective]
question = "?"
task = "binary"
metric = "auc"
meaning = "m"
[sources.s]
path = "x"
dataset = "d"
contract = "c"
[contracts.c]
key = ["id", "nope"]
on_violation = "quarantine"
[contracts.c.rows.order]
condition = "a >= zz"
[contracts.c.rows.sum]
condition = "sum(a) > 1"
[contracts.c.freshness]
column = "a"
within = "1d"
[contracts.c.columns]
id = { type = "string", personal = "mask" }
a = { type = "integer", min_length = 3, references = "e.x" }
b = { type = "integer", references = "d.zz" }
"""


def test_the_project_file_tells_all_of_them_with_their_lines() -> None:
    with pytest.raises(ProjectFileInvalid) as refused:
        parse_project(PROJECT)
    told = {one["where"]: one["line"] for one in refused.value.detail["mistakes"]}
    assert (
        told.items()
        >= {
            "contracts.c.key[0]": 14,
            "contracts.c.key[1]": 14,
            "contracts.c.rows.order.condition": 17,
            "contracts.c.rows.sum.condition": 19,
            "contracts.c.freshness.column": 21,
            "contracts.c.columns.a.min_length": 25,
        }.items()
    )


def test_freshness_is_told_by_a_time() -> None:
    fresh = FreshnessSettings("a", within=timedelta(days=1))
    assert "of type integer" in mistakes(freshness=fresh)[0]
