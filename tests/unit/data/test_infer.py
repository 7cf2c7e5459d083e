"""A draft contract accepts the very rows it was drawn from."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from modelloop.data.contract.infer import infer
from modelloop.data.contract.judge import Before, Judge
from modelloop.data.contract.rules import check_contract
from modelloop.data.formats.parse import parse
from modelloop.data.settings import ColumnSettings, ColumnType, ContractSettings, Format


def read(text: str, name: str) -> ContractSettings:
    body = tomllib.loads(text)["contracts"][name]
    columns = {
        column: ColumnSettings(
            **{k: tuple(v) if k == "one_of" else v for k, v in one.items()} | {"type": ColumnType(one["type"])}
        )
        for column, one in body["columns"].items()
    }
    return ContractSettings(columns, key=tuple(body.get("key", ())))


def test_types_ranges_categories_and_key() -> None:
    rows = [
        f"{n},{'AB'[n % 2]},{n / 7},2013-01-{1 + n % 9:02},2013-01-01T0{n % 9}:00:00Z,{'true' if n % 3 else ''},é{n}"
        for n in range(60)
    ]
    frame = parse(("id,kind,x,day,at,ok,odd name\n" + "\n".join(rows)).encode(), Format.CSV, "f")
    contract = read(infer(frame, "trips"), "trips")
    check_contract(contract)
    assert [str(one.type) for one in contract.columns.values()] == [
        "integer",
        "string",
        "float",
        "date",
        "time",
        "boolean",
        "string",
    ]
    assert contract.columns["kind"].one_of == ("A", "B")
    assert (contract.columns["id"].min, contract.columns["id"].max) == (0, 59)
    assert contract.columns["ok"].nullable
    assert contract.columns["odd name"].one_of is None
    assert contract.key == ("id",)


values = st.one_of(
    st.lists(st.one_of(st.none(), st.integers(-(2**40), 2**40)), min_size=3, max_size=3),
    st.lists(st.one_of(st.none(), st.floats(allow_infinity=False)), min_size=3, max_size=3),
    st.lists(st.one_of(st.none(), st.booleans()), min_size=3, max_size=3),
    st.lists(
        st.one_of(st.none(), st.text(max_size=4), st.sampled_from(["1", "2013-01-01", "t"])), min_size=3, max_size=3
    ),
    st.lists(st.one_of(st.none(), st.just(datetime(2013, 1, 1, 5, tzinfo=UTC))), min_size=3, max_size=3),
)


@given(st.lists(values, min_size=1, max_size=4))
def test_the_draft_accepts_its_own_rows(columns: list[list[object]]) -> None:
    frame = pl.DataFrame({f"c{n}": column for n, column in enumerate(columns)}, strict=False)
    contract = read(infer(frame, "x"), "x")
    check_contract(contract)
    one = Judge(contract, Before())
    one.take(frame, "f")
    assert not one.report().broken
