"""Every op as ONNX answers as numpy does: for NaN, infinite numbers, unknown, empty and missing text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import onnxruntime as ort
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from sklearn.preprocessing import PowerTransformer, StandardScaler
from tokenizers import Tokenizer, models, pre_tokenizers

from edge_graphs import identity
from modelloop.deploy.edge.graph import bundled
from modelloop.deploy.edge.records import MISSING
from modelloop.deploy.edge.signing import runtime
from modelloop.ground.core.errors import Conflict
from modelloop.prepare import ops
from modelloop.prepare.records import Datatype, InputColumn
from modelloop.prepare.transform import FittedTransform, Transform
from modelloop.register.records import Signature, TensorSpec

WORDS = ["AA", "UA", "", "ü", "日本", "a b"]
TRAIN = pl.DataFrame(
    {
        "x": [1.0, 2.5, None, -4.0, 7.0, 7.0, 0.0, 3.0],
        "y": [0.0, 1.0, 2.0, None, 0.0, 5.0, -1.0, 2.0],
        "n": [1, 2, 3, 4, 5, 6, 7, 8],
        "b": [True, False, True, True, False, False, True, True],
        "s": ["AA", "UA", None, "", "ü", "日本", "AA", "a b"],
        "g": ["p", "q", "p", None, "q", "p", "q", "p"],
        "label": [0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0],
    }
)
OPS: dict[str, Sequence[Any]] = {
    "number": [ops.number("x"), ops.number("n"), ops.number("b")],
    "number as it is": [ops.number("x", fill=None, clip=(-2.0, 3.0))],
    "log1p": [ops.log1p("x", fill=-1.0)],
    "cyclic": [ops.cyclic("x", 24.0), ops.cyclic("n", 7)],
    "flag_missing": [ops.flag_missing("x"), ops.flag_missing("s")],
    "category": [ops.category("s"), ops.category("x"), ops.category("n"), ops.category("b")],
    "one_hot": [ops.one_hot("s"), ops.one_hot("n")],
    "lookup": [ops.lookup("s", {"AA": 3.1, "": 2.0}, missing=None), ops.lookup("s", {"ü": 1.0}, missing=7.5, name="z")],
    "impute": [ops.impute("x", "mean"), ops.impute("y", "median", by="g")],
    "clip": [ops.clip("x", low=-1.0), ops.clip("y", quantiles=(0.1, 0.9))],
    "scale": [ops.scale("x"), ops.scale("y", "robust"), ops.scale("n", "min_max")],
    "bins": [ops.bins("x", 3), ops.bins("y", edges=(0.0, 1.0))],
    "ordinal": [ops.ordinal("s", ("UA", "ü")), ops.ordinal("n", (3.0, 1.0))],
    "frequency": [ops.frequency("s"), ops.frequency("x", "count")],
    "target": [ops.target("s", "label"), ops.target("n", "label")],
    "arithmetic": [ops.ratio("x", "y"), ops.difference("x", "n"), ops.product("x", "y")],
    "chain": [
        ops.aside(ops.impute("s", "constant", value="UA", name="filled")),
        ops.category("filled"),
        ops.aside(ops.one_hot("g")),
        ops.product("g=p", "x", name="both"),
        ops.scale("both"),
        ops.log1p("n"),
        ops.bins("log1p(n)", 3),
    ],
}
FITTED = {name: Transform(one).fit(TRAIN) for name, one in OPS.items()}
NUMBERS = st.one_of(
    st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.0, 1.0, 2.5, 7.0, 1e-20, 1e300, -1e-310, 24.0, 1e16]),
    st.floats(),
)
TEXT = st.one_of(
    st.none(), st.sampled_from(WORDS), st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
)


def session(transform: FittedTransform) -> ort.InferenceSession:
    labels = tuple(str(at) for at in range(len(transform.names)))
    outputs = (TensorSpec("probabilities", "FP32", (-1, len(labels))), TensorSpec("label", "BYTES", (-1,)))
    signature = Signature(transform.inputs, "probabilities", "multiclass", outputs=outputs, labels=labels)
    files = {"model.onnx": identity(len(labels)), "transform.json": transform.to_bytes()}
    return ort.InferenceSession(bundled(files, signature).onnx, providers=["CPUExecutionProvider"])


SESSIONS = {name: session(transform) for name, transform in FITTED.items()}


def fed(columns: dict[str, Any], run: ort.InferenceSession) -> dict[str, Any]:
    wanted = [one.name for one in run.get_inputs()]
    made = {}
    for name, column in columns.items():
        if column.dtype == object:
            made[f"input:{name}"] = np.array([MISSING if v is None else v for v in column.tolist()], object)
        else:
            made[f"input:{name}"] = column.astype(np.float64)
    return {name: made[name] for name in wanted}


@pytest.mark.parametrize("name", OPS)
@given(
    st.lists(
        st.tuples(
            NUMBERS, NUMBERS, st.integers(-9, 2**53), st.booleans(), TEXT, st.sampled_from(["p", "q", "r", None])
        ),
        min_size=1,
        max_size=8,
    )
)
@settings(max_examples=60, deadline=None)
def test_an_op_answers_as_numpy_does(name: str, rows: list[tuple[Any, ...]]) -> None:
    x, y, n, b, s, g = zip(*rows, strict=True)
    columns = {"x": np.array(x, float), "y": np.array(y, float), "n": np.array(n, np.int64), "b": np.array(b)}
    for key, values in (("s", s), ("g", g)):
        columns[key] = np.empty(len(rows), object)
        columns[key][:] = values
    wanted = FITTED[name].apply(columns)
    found = SESSIONS[name].run(["probabilities"], fed(columns, SESSIONS[name]))[0]
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=2e-7, atol=2e-7 if "cyclic" in name else 0)


def test_sklearn_is_joined_whole() -> None:
    filled = TRAIN.with_columns(pl.col("x", "y").fill_null(1.0))
    steps = [ops.sklearn(StandardScaler(), ["x", "y"]), ops.sklearn(PowerTransformer(), ["n"], name="p")]
    transform = Transform(steps).fit(filled)
    columns = {"x": np.array([1.0, 9.0]), "y": np.array([-2.0, 1.0]), "n": np.array([3, 4])}
    run = session(transform)
    np.testing.assert_allclose(
        run.run(["probabilities"], fed(columns, run))[0], transform.apply(columns), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize(
    ("op", "word"),
    [
        ([ops.text_length("s")], "text_length"),
        ([ops.text("s", name="c"), ops.category("c")], "text"),
        ([ops.text("s", name="c"), ops.hashed("c")], "text"),
        ([ops.aside(ops.impute("s", "constant", value="AA", name="c")), ops.hashed("c")], "hashed"),
    ],
)
def test_what_has_no_form_is_refused_by_name(op: list[Any], word: str) -> None:
    with pytest.raises(Conflict, match=word):
        session(Transform(op).fit(TRAIN.drop_nulls()))


def test_a_lookup_that_refuses_needs_a_raw_column() -> None:
    made = Transform([ops.aside(ops.impute("s", "constant", value="AA")), ops.lookup("impute(s)", {"AA": 1.0})])
    with pytest.raises(Conflict, match="cannot refuse"):
        session(made.fit(TRAIN.with_columns(s=pl.lit("AA"))))


def test_a_lookup_that_refuses_says_which_values_it_knows() -> None:
    transform = Transform([ops.lookup("g", {"p": 1.0, "q": 2.0})]).fit(TRAIN.with_columns(g=pl.lit("p")))
    signature = Signature(transform.inputs, "score", "regression", outputs=(TensorSpec("score", "FP32", (-1,)),))
    made = bundled({"model.onnx": identity(1), "transform.json": transform.to_bytes()}, signature)
    assert made.inputs[0].only == ("p", "q")
    manifest = {
        "inputs": [asdict(made.inputs[0])],
        "outputs": [{"name": "score"}],
        "missing": MISSING,
        "by_row": False,
    }
    model = runtime().Model(manifest, made.onnx)
    assert model.predict({"g": ["q", "p"]})["score"].tolist() == [2.0, 1.0]
    with pytest.raises(runtime().Refused, match="no entry for"):
        model.predict({"g": ["r"]})


def test_a_graph_of_columns_takes_them_as_a_matrix_or_each() -> None:
    inputs = (InputColumn("a", Datatype.FP64), InputColumn("b", Datatype.INT64))
    signature = Signature(inputs, "score", "regression", outputs=(TensorSpec("score", "FP32", (-1, 2)),))
    run = ort.InferenceSession(bundled({"model.onnx": identity(2)}, signature).onnx)
    feed = {"input:a": np.array([1.0, 2.0]), "input:b": np.array([3.0, 4.0])}
    assert run.run(["score"], feed)[0].tolist() == [[1.0, 3.0], [2.0, 4.0]]
    feeds = [
        helper.make_tensor_value_info("a", TensorProto.DOUBLE, [None, 1]),
        helper.make_tensor_value_info("b", TensorProto.INT64, [None, 1]),
    ]
    out = helper.make_tensor_value_info("sum", TensorProto.DOUBLE, [None, 1])
    nodes = [helper.make_node("Cast", ["b"], ["c"], to=11), helper.make_node("Add", ["a", "c"], ["sum"])]
    graph = helper.make_graph(nodes, "sum", feeds, [out])
    data = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8).SerializeToString()
    signature = Signature(inputs, "score", "regression")
    run = ort.InferenceSession(bundled({"model.onnx": data}, signature).onnx)
    assert run.run(["score"], feed)[0].tolist() == [4.0, 6.0]


def test_tensors_are_taken_as_they_are() -> None:
    given = (TensorSpec("features", "FP32", (-1, 3)),)
    signature = Signature((), "probabilities", "multiclass", given, labels=("a", "b", "c"), outputs=(
        TensorSpec("probabilities", "FP32", (-1, 3)), TensorSpec("label", "BYTES", (-1,))))  # fmt: skip
    made = bundled({"model.onnx": identity(3)}, signature)
    assert (made.inputs[0].kind, made.inputs[0].shape) == ("tensor", (-1, 3))
    found = ort.InferenceSession(made.onnx).run(["label"], {"input:features": np.eye(3, dtype=np.float32)[[2, 0]]})
    assert found[0].tolist() == ["c", "a"]


def test_what_makes_tokens_is_told_to_the_device() -> None:
    words = {"[UNK]": 0, "[PAD]": 1, "a": 2, "b": 3}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    transform = Transform([ops.tokens("s", tokenizer, 8)]).fit(TRAIN.with_columns(s=pl.lit("a b")))
    names = ("input_ids", "attention_mask")
    feeds = [helper.make_tensor_value_info(name, TensorProto.INT64, [None, None]) for name in names]
    out = helper.make_tensor_value_info("score", TensorProto.FLOAT, [None])
    nodes = [
        helper.make_node("Mul", list(names), ["product"]),
        helper.make_node("ReduceMax", ["product"], ["most"], axes=[1], keepdims=0),
        helper.make_node("Cast", ["most"], ["score"], to=1),
    ]
    graph = helper.make_graph(nodes, "ids", feeds, [out])
    data = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8).SerializeToString()
    signature = Signature(transform.inputs, "score", "regression", outputs=(TensorSpec("score", "FP32", (-1,)),))
    made = bundled({"model.onnx": data, "transform.json": transform.to_bytes()}, signature)
    assert [one.name for one in made.inputs] == list(names)
    assert made.prepared[0]["file"] == "tokenizer.json"
    column = np.array(["a b", "a"], object)
    fed = {f"input:{name}": one for name, one in transform.feeds({"s": column}).items()}
    assert ort.InferenceSession(made.onnx).run(["score"], fed)[0].tolist() == [3.0, 2.0]
