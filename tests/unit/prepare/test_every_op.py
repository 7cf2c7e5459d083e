"""Every op, alone and composed: whole frame, pieces, single rows and a saved copy give the same bytes."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, PowerTransformer, StandardScaler

from modelloop.ground.core.errors import InvalidInput
from modelloop.prepare import ops
from modelloop.prepare.ops import aside
from modelloop.prepare.records import Columns
from modelloop.prepare.transform import FittedTransform, Transform

SINCE = datetime(2013, 1, 1, tzinfo=UTC)
EVERY: dict[str, list[Any]] = {
    "number": [ops.number("x")],
    "category": [ops.category("s"), ops.category("x")],
    "one_hot": [ops.one_hot("s")],
    "cyclic": [ops.cyclic("x", 24)],
    "log1p": [ops.log1p("x")],
    "flag_missing": [ops.flag_missing("s"), ops.flag_missing("at")],
    "lookup": [ops.lookup("s", {"a": 1.5}, missing=None)],
    "impute": [
        ops.impute("x", "mean"),
        ops.impute("x", "median", by="s", name="by group"),
        ops.impute("x", "most_frequent", name="frequent"),
        ops.impute("s", "most_frequent"),
        ops.category("impute(s)"),
        ops.impute("y", "constant", 7.0),
    ],
    "clip": [ops.clip("x", -1, 1), ops.clip("y", quantiles=(0.05, 0.95))],
    "scale": [ops.scale("x"), ops.scale("y", "robust"), ops.scale("n", "min_max")],
    "bins": [ops.bins("x", 4), ops.bins("y", 3, "uniform"), ops.bins("n", edges=(0, 5))],
    "ordinal": [ops.ordinal("s", ["b", "a"]), ops.ordinal("n", [3, 1])],
    "frequency": [ops.frequency("s"), ops.frequency("x", "count")],
    "hashed": [ops.hashed("s", 16), ops.hashed("x", 8, seed=3), ops.hashed("n", 8)],
    "target": [ops.target("s", "label"), ops.target("n", "label", smoothing=0.0)],
    "date_part": [
        ops.date_part("at", part, zone)
        for zone in ("UTC",)
        for part in ("year", "quarter", "month", "week", "day", "day_of_year", "weekday", "hour", "minute", "second")
    ]
    + [
        ops.date_part("at", "epoch"),
        ops.date_part("at", "is_weekend"),
        ops.date_part("at", "hour", "America/New_York", name="there"),
        ops.date_part("epoch", "hour", "Europe/Berlin", "ms", name="berlin"),
    ],
    "elapsed": [ops.elapsed("at", SINCE), ops.elapsed("at", "epoch", "hours", numbers="ms")],
    "text": [
        ops.text("s", ["trim", "upper", "no_accents", "no_punctuation", "one_space"], [(r"(\d+)", r"<\1>")]),
        ops.hashed("text(s)", 64),
    ],
    "text_length": [ops.text_length("s"), ops.text_length("s", "words")],
    "arithmetic": [ops.ratio("x", "y"), ops.difference("x", "n"), ops.product("y", "flag")],
    "sklearn": [
        ops.impute("x", "mean"),
        ops.impute("y", "mean"),
        ops.clip("impute(x)", -1e6, 1e6, name="a"),
        ops.clip("impute(y)", -1e6, 1e6, name="b"),
        ops.sklearn(make_pipeline(StandardScaler(), PCA(2)), ["a", "b", "n"], name="pca"),
        ops.sklearn(PowerTransformer(), ["a"], tolerance=1e-3),
        ops.sklearn(OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["s"]),
    ],
}
FLOATS = st.one_of(st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.0, 1e300]), st.floats(-1e6, 1e6))
TIMES = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)).map(lambda t: t.isoformat())  # noqa: DTZ001
STRINGS = st.one_of(st.none(), st.sampled_from(["a", "b", "", " É12-x ", "ａ"]), st.text(max_size=6))


@st.composite
def rows_of(draw: st.DrawFn, least: int = 1) -> Columns:
    count = draw(st.integers(least, 9))

    def values(of: st.SearchStrategy[Any]) -> list[Any]:
        return draw(st.lists(of, min_size=count, max_size=count))

    return {
        "x": np.array(values(FLOATS), np.float64),
        "y": np.array(values(FLOATS), np.float64),
        "n": np.array(values(st.integers(-50, 50)), np.int64),
        "flag": np.array(values(st.booleans()), np.bool_),
        "s": np.array(values(STRINGS), object),
        "at": np.array(values(st.one_of(st.none(), TIMES, TIMES.map(lambda t: t + "+05:30"))), object),
        "epoch": np.array(values(st.integers(-(10**12), 10**12)), np.int64),
    }


def training(rows: int = 300) -> Columns:
    chance = np.random.default_rng(1)
    x, y = chance.normal(3, 50, rows), chance.lognormal(1, 1, rows)
    x[::7], y[::11] = np.nan, np.nan
    n = chance.integers(0, 9, rows)
    return {
        "x": x,
        "y": y,
        "n": n,
        "flag": chance.random(rows) < 0.5,
        "s": np.array([None if k == 5 else "abcde"[k] for k in chance.integers(0, 6, rows)], object),
        "at": np.array([f"2013-0{1 + k}-11T0{k}:30:00Z" for k in n], object),
        "epoch": chance.integers(0, 10**12, rows),
        "label": (n + chance.normal(size=rows) > 4).astype(np.float64),
    }


@pytest.fixture(scope="module")
def fitted() -> dict[str, FittedTransform]:
    return {kind: Transform(list_of(kind)).fit(training()) for kind in EVERY}


def list_of(kind: str) -> list[Any]:
    only_made = {"sklearn": 4, "impute": 0}.get(kind, 0)
    return [aside(op) if at < only_made else op for at, op in enumerate(EVERY[kind])]


def part(columns: Columns, begin: int, end: int) -> Columns:
    return {name: column[begin:end] for name, column in columns.items()}


def test_every_kind_is_here() -> None:
    assert set(EVERY) | {"tokens", "picture"} == set(ops.FITTED)  # those make tensors: test_tensor_ops


@pytest.mark.parametrize("kind", list(EVERY))
@settings(max_examples=25, deadline=None)
@given(columns=rows_of())
def test_rows_pieces_and_copies_give_the_same_bytes(
    fitted: dict[str, FittedTransform], kind: str, columns: Columns
) -> None:
    one = fitted[kind]
    whole = one.apply(columns)
    count = len(whole)
    single = np.vstack([one.apply(part(columns, at, at + 1)) for at in range(count)])
    halves = np.vstack([one.apply(part(columns, 0, count // 2)), one.apply(part(columns, count // 2, count))])
    copy = FittedTransform.from_bytes(one.to_bytes())
    assert whole.tobytes() == single.tobytes() == halves.tobytes() == copy.apply(columns).tobytes()
    assert (copy, copy.digest, copy.names, copy.inputs) == (one, one.digest, one.names, one.inputs)


@pytest.mark.parametrize("kind", list(EVERY))
def test_many_rows_and_none(fitted: dict[str, FittedTransform], kind: str) -> None:
    columns = training(1003)
    whole = fitted[kind].apply(columns)
    for at in (0, 1, 500, 1001, 1002):
        assert whole[at].tobytes() == fitted[kind].apply(part(columns, at, at + 1)).tobytes()
    assert fitted[kind].apply(part(columns, 0, 0)).shape == (0, len(fitted[kind].names))


@pytest.mark.parametrize("kind", list(EVERY))
def test_a_missing_column_and_wrong_types_are_refused(fitted: dict[str, FittedTransform], kind: str) -> None:
    columns = training(3)
    for one in fitted[kind].inputs:
        with pytest.raises(InvalidInput, match=f"'{one.name}' is missing"):
            fitted[kind].apply({name: column for name, column in columns.items() if name != one.name})
        for wrong in (np.array([object()] * 3), np.array(["x"] * 3), np.array([1j] * 3), np.zeros((3, 1))):
            if wrong.dtype == object and one.datatype == "BYTES":
                continue  # what an object column holds is the caller's promise; the gateway checks it
            with pytest.raises(InvalidInput, match=one.name):
                fitted[kind].apply(columns | {one.name: wrong})
        other = np.zeros(3) if one.datatype == "BYTES" else np.array(["a"] * 3, object)
        with pytest.raises(InvalidInput, match="expected"):
            fitted[kind].apply(columns | {one.name: other})


@pytest.mark.parametrize("kind", list(EVERY))
def test_an_op_alone_does_what_it_does_in_a_transform(kind: str) -> None:
    frame = pl.DataFrame(training())
    for op in EVERY[kind]:
        if any("(" in name or name in "ab" for name in op.reads):
            continue
        alone = op.fit(frame.lazy())
        made = alone(training())
        assert tuple(made) == alone.names
        if alone.makes != "BYTES":
            together = Transform([op]).fit(frame).apply(training())
            assert np.stack([one.astype(np.float32) for one in made.values()], 1).tobytes() == together.tobytes()


LEARNS = ("impute", "clip", "scale", "bins", "frequency", "target", "sklearn", "category", "one_hot", "number")


@pytest.mark.parametrize("kind", LEARNS)
def test_an_op_that_learns_says_that_there_is_nothing_to_learn_from(kind: str) -> None:
    with pytest.raises(InvalidInput, match=r"cannot|no value|None of|none of|no row"):
        Transform(list_of(kind)).fit(part(training(), 0, 0))


@pytest.mark.parametrize("kind", [kind for kind in EVERY if kind not in LEARNS])
def test_an_op_that_learns_nothing_fits_an_empty_frame(kind: str) -> None:
    fitted = Transform(list_of(kind)).fit(part(training(), 0, 0))
    assert fitted.apply(part(training(), 0, 0)).shape == (0, len(fitted.names))


@pytest.mark.parametrize("kind", [kind for kind in EVERY if kind != "target"])
def test_fit_apply_is_fit_then_apply_but_for_target(kind: str) -> None:
    fitted, matrix = Transform(list_of(kind)).fit_apply(training())
    assert matrix.tobytes() == fitted.apply(training()).tobytes()
    assert fitted == Transform(list_of(kind)).fit(training())


def test_a_transform_that_the_first_release_saved_still_answers() -> None:
    saved = json.loads((Path(__file__).parent / "transform_form1.json").read_text())
    fitted = FittedTransform.from_json(saved["transform"])
    types = {"FP64": np.float64, "INT64": np.int64, "BOOL": np.bool_, "BYTES": object}
    columns = {one.name: np.array(saved["columns"][one.name], types[one.datatype]) for one in fitted.inputs}
    assert list(fitted.names) == saved["features"]
    assert fitted.apply(columns).tobytes().hex() == saved["matrix"]
    assert FittedTransform.from_bytes(fitted.to_bytes()) == fitted
    assert {op["version"] for op in fitted.to_json()["ops"]} == {2}
