"""One transform for training and serving: a row gets the same bytes, alone or among others, before and after JSON."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelloop.ground.core.errors import InvalidInput
from modelloop.prepare.columns import from_frame
from modelloop.prepare.ops import category, cyclic, flag_missing, log1p, lookup, number, one_hot
from modelloop.prepare.records import Columns, Datatype
from modelloop.prepare.transform import FittedTransform, Transform

SEATS = {"N1": 180.0, "N2": 55.0, "Nπ": 3.5}
OPS = (
    number("distance", clip=(-1e6, 1e6)),
    number("hour", fill=0.0),
    log1p("amount"),
    cyclic("angle", 24.0),
    category("carrier"),
    category("engines"),
    one_hot("origin"),
    flag_missing("carrier"),
    flag_missing("amount"),
    lookup("tail", SEATS, missing=-1.0, name="seats"),
    lookup("tail", SEATS, missing=None, name="seats_or_nan"),
    number("late"),
)
FLOATS = st.one_of(st.just(float("nan")), st.floats(-1e9, 1e9), st.just(0.0), st.just(float("inf")))
WORDS = st.one_of(st.none(), st.sampled_from(["AA", "UA", "ZZ", "", "ü", "nan", "None"]), st.text(max_size=3))


@st.composite
def columns_of(draw: st.DrawFn, least: int = 1) -> Columns:
    rows = draw(st.integers(least, 12))

    def values(of: st.SearchStrategy[object]) -> list[object]:
        return draw(st.lists(of, min_size=rows, max_size=rows))

    return {
        "distance": np.array(values(FLOATS), np.float64),
        "amount": np.array(values(FLOATS), np.float64),
        "angle": np.array(values(FLOATS), np.float64),
        "hour": np.array(values(st.integers(-(2**40), 2**40)), np.int64),
        "late": np.array(values(st.booleans()), np.bool_),
        "engines": np.array(values(st.one_of(st.just(float("nan")), st.integers(0, 4).map(float))), np.float64),
        "carrier": np.array(values(WORDS), object),
        "origin": np.array(values(WORDS), object),
        "tail": np.array(values(st.sampled_from([None, "N1", "N2", "Nπ", "?"])), object),
    }


def training() -> Columns:
    return {
        "distance": np.array([100.0, np.nan, 300.0, 200.0]),
        "amount": np.array([0.0, 1.0, np.nan, -5.0]),
        "angle": np.array([0.0, 6.0, 12.0, 23.5]),
        "hour": np.array([1, 2, 3, 4]),
        "late": np.array([True, False, True, False]),
        "engines": np.array([1.0, 2.0, np.nan, 2.0]),
        "carrier": np.array(["UA", None, "AA", "UA"], object),
        "origin": np.array(["JFK", "EWR", "LGA", None], object),
        "tail": np.array(["N1", "N2", None, "?"], object),
    }


@pytest.fixture(scope="module")
def fitted() -> FittedTransform:
    return Transform(OPS).fit(training())


def row(columns: Columns, at: int) -> Columns:
    return {name: column[at : at + 1] for name, column in columns.items()}


def test_values_are_what_the_ops_say(fitted: FittedTransform) -> None:
    answer = dict(zip(fitted.names, fitted.apply(training()).T.tolist(), strict=True))
    assert answer["distance"] == [100, 200, 300, 200]  # the median fills the gap
    assert answer["carrier"] == [1, -1, 0, 1]  # sorted: AA, UA
    assert answer["engines"] == [0, 1, -1, 1]
    assert [answer[f"origin={one}"] for one in ("EWR", "JFK", "LGA")] == [[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0]]
    assert answer["missing(carrier)"] == [0, 1, 0, 0]
    assert answer["missing(amount)"] == [0, 0, 1, 0]
    assert answer["log1p(amount)"] == pytest.approx([0, np.log(2), 0, 0])
    assert answer["sin(angle)"][1:3] == pytest.approx([1, 0], abs=1e-7)
    assert answer["cos(angle)"][:3] == pytest.approx([1, 0, -1], abs=1e-7)
    assert answer["seats"] == [180, 55, -1, -1]
    assert np.isnan(answer["seats_or_nan"][2])
    assert answer["late"] == [1, 0, 1, 0]


@settings(deadline=None, max_examples=100)
@given(columns_of())
def test_json_round_trip_gives_equal_bytes(columns: Columns) -> None:
    first = Transform([*OPS[:4], OPS[9]]).fit(training())
    again = FittedTransform.from_bytes(first.to_bytes())
    assert (again, again.digest, again.inputs, again.names) == (first, first.digest, first.inputs, first.names)
    assert again.apply(columns).tobytes() == first.apply(columns).tobytes()


@settings(deadline=None, max_examples=100)
@given(columns_of())
def test_a_row_alone_equals_the_row_among_others(fitted: FittedTransform, columns: Columns) -> None:
    together = fitted.apply(columns)
    alone = np.vstack([fitted.apply(row(columns, at)) for at in range(len(together))])
    assert together.flags.c_contiguous
    assert together.dtype == np.float32
    assert together.tobytes() == alone.tobytes()


@settings(deadline=None, max_examples=100)
@given(columns_of(), st.randoms())
def test_rows_do_not_see_each_other(fitted: FittedTransform, columns: Columns, random: object) -> None:
    order = list(range(len(columns["late"])))
    random.shuffle(order)  # type: ignore[attr-defined]
    moved = {name: column[order] for name, column in columns.items()}
    assert fitted.apply(moved).tobytes() == fitted.apply(columns)[order].tobytes()


def test_many_rows_equal_single_rows_whatever_vector_instructions_do(fitted: FittedTransform) -> None:
    chance = np.random.default_rng(7)
    many = {name: column[chance.integers(0, 4, 1003)] for name, column in training().items()}
    many["angle"] = chance.normal(0, 1e6, 1003)
    many["amount"] = chance.lognormal(3, 4, 1003)
    together = fitted.apply(many)
    for at in (0, 1, 500, 1000, 1001, 1002):
        assert together[at].tobytes() == fitted.apply(row(many, at)).tobytes()
    assert fitted.apply({name: column[::2] for name, column in many.items()}).tobytes() == together[::2].tobytes()


def test_unknown_values_answer_and_unknown_lookups_answer_or_refuse(fitted: FittedTransform) -> None:
    one = row(training(), 0) | {"carrier": np.array(["new"], object), "origin": np.array(["new"], object)}
    answer = dict(zip(fitted.names, fitted.apply(one)[0].tolist(), strict=True))
    assert answer["carrier"] == -1
    assert {answer[name] for name in fitted.names if name.startswith("origin=")} == {0}
    strict = Transform([lookup("tail", SEATS)]).fit(training())
    assert strict.inputs[0].nullable is False
    with pytest.raises(InvalidInput, match="no entry for tail = '\\?'"):
        strict.apply({"tail": np.array(["N1", "?"], object)})
    with pytest.raises(InvalidInput, match="None"):
        strict.apply({"tail": np.array([None], object)})


def test_inputs_say_what_a_caller_must_send(fitted: FittedTransform) -> None:
    said = {one.name: (one.datatype, one.nullable) for one in fitted.inputs}
    assert said["distance"] == (Datatype.FP64, True)
    assert said["hour"] == (Datatype.INT64, False)
    assert said["late"] == (Datatype.BOOL, False)
    assert said["carrier"] == (Datatype.BYTES, True)
    assert len(said) == len(fitted.inputs) == 9


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"hour": None}, "'hour' is missing"),
        ({"hour": np.array(["1"], object)}, "'hour' holds object"),
        ({"carrier": np.array([1.0])}, "'carrier' holds float64"),
        ({"hour": np.array([1, 2])}, "shape"),
        ({"hour": np.array([[1]])}, "shape"),
    ],
)
def test_wrong_columns_are_refused_in_words(fitted: FittedTransform, change: dict[str, object], says: str) -> None:
    columns = {k: v for k, v in (row(training(), 0) | change).items() if v is not None}
    with pytest.raises(InvalidInput, match=says):
        fitted.apply(columns)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ops", "says"),
    [
        ([], "at least one"),
        ([number("nowhere")], "no column 'nowhere'"),
        ([number("carrier")], "needs numbers"),
        ([lookup("hour", SEATS)], "needs strings"),
        ([cyclic("hour", 0.0)], "above 0"),
        ([number("hour", clip=(2.0, 1.0))], "empty"),
        ([number("hour"), number("hour", fill=1.0)], "'hour'"),
        ([number("hour", fill=float("nan"))], "finite"),
        ([number("empty")], "none of 4 rows"),
        ([category("empty")], "no value"),
    ],
)
def test_what_cannot_be_fitted_is_refused_in_words(ops: list[object], says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        Transform(ops).fit(training() | {"empty": np.full(4, np.nan)})  # type: ignore[arg-type]


def test_hostile_json_is_refused() -> None:
    good = Transform([number("hour"), category("carrier")]).fit(training()).to_json()
    op = good["ops"][0]
    bodies = [
        {},
        {"form": 3, "ops": good["ops"]},
        {"form": 2},
        {"form": 2, "ops": 3},
        {"form": 2, "ops": []},
        {"form": 2, "ops": [op | {"op": "os.system"}]},
        {"form": 2, "ops": [op | {"version": 3}]},
        {"form": 2, "ops": [op | {"inputs": op["inputs"] * 2}]},
        {"form": 2, "ops": [op | {"inputs": good["ops"][1]["inputs"]}]},
        {"form": 2, "ops": [op | {"version": "x"}]},
        {"form": 2, "ops": [op | {"inputs": []}]},
        {"form": 2, "ops": [op | {"inputs": [{"name": "x"}]}]},
        {"form": 2, "ops": [op | {"extra": 1}]},
        {"form": 2, "ops": [op | {"fill": "x"}]},
        {"form": 2, "ops": [op | {"input": {"name": "x"}}]},
        {"form": 2, "ops": [good["ops"][1] | {"values": [1, "a"]}]},
        {"form": 2, "ops": [good["ops"][1] | {"values": ["a", "a"]}]},
    ]
    for body in bodies:
        with pytest.raises(InvalidInput):
            FittedTransform.from_bytes(json.dumps(body).encode())
    for data in (b"\xff", b"[]", b"{"):
        with pytest.raises(InvalidInput):
            FittedTransform.from_bytes(data)


def test_from_frame_reads_every_plain_type() -> None:
    frame = pl.DataFrame(
        {
            "i": pl.Series([1, None], dtype=pl.Int32),
            "j": pl.Series([1, 2], dtype=pl.UInt8),
            "f": pl.Series([1.5, None], dtype=pl.Float32),
            "b": [True, None],
            "s": ["a", None],
            "c": pl.Series(["a", None], dtype=pl.Categorical),
            "n": [None, None],
        }
    )
    columns = from_frame(frame)
    assert {name: column.dtype.kind for name, column in columns.items()} == dict(zip("ijfbscn", "fiffOOO", strict=True))
    assert columns["s"].tolist() == columns["c"].tolist() == ["a", None]
    with pytest.raises(InvalidInput, match="no column 'x'"):
        from_frame(frame, ["x"])
    for nested in (pl.Duration("us"), pl.List(pl.Int64), pl.Time):
        with pytest.raises(InvalidInput, match="numbers, booleans, strings, dates"):
            from_frame(pl.DataFrame({"t": pl.Series([None], dtype=nested)}))


def test_a_frame_is_fitted_though_other_columns_are_of_any_type() -> None:
    frame = pl.DataFrame({"x": [1.0, 2.0], "when": [1, 2]}).with_columns(pl.col("when").cast(pl.Datetime("us")))
    assert Transform([number("x")]).fit(frame).apply({"x": np.array([np.nan])}).tolist() == [[1.5]]


def test_serving_needs_no_polars() -> None:
    code = "import sys, modelloop.prepare.transform; sys.exit('polars' in sys.modules or 'sqlalchemy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
