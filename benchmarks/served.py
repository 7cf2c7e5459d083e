"""Small served models for the benchmarks of answering, as packages in a store and as plain files beside it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import lightgbm as lgb
import msgspec
import numpy as np
import onnx
import onnxruntime as ort
import polars as pl
from onnx import TensorProto, helper

from modelloop.deploy.records import Arm
from modelloop.evaluate.judge import Answers, evaluate
from modelloop.evaluate.profile import profile
from modelloop.evaluate.settings import MetricName, ObjectiveSettings, Task
from modelloop.ground.store.blobs import Blobs
from modelloop.prepare.columns import from_frame
from modelloop.prepare.ops import category, number
from modelloop.prepare.transform import Transform
from modelloop.register.contents import files_of
from modelloop.register.manifest import build
from modelloop.register.parity import parity
from modelloop.register.records import Evidence, Signature, TensorSpec
from modelloop.train.candidate import candidate
from modelloop.train.records import Candidate
from modelloop.train.scorer import Scorer

ROWS, WIDTH = 3000, 30


def linear(width: int = WIDTH) -> bytes:
    """Return a graph: sigmoid of a weighted sum of one float32 input [rows, width]."""
    weights = np.random.default_rng(3).normal(size=width).astype(np.float32)
    initial = [
        helper.make_tensor("w", TensorProto.FLOAT, [width, 1], weights.tolist()),
        helper.make_tensor("flat", TensorProto.INT64, [1], [-1]),
    ]
    nodes = [
        helper.make_node("MatMul", ["features", "w"], ["z"]),
        helper.make_node("Sigmoid", ["z"], ["p"]),
        helper.make_node("Reshape", ["p", "flat"], ["score"]),
    ]
    feed = helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, width])
    out = helper.make_tensor_value_info("score", TensorProto.FLOAT, [None])
    graph = helper.make_graph(nodes, "linear", [feed], [out], initial)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return onnx.ModelProto.SerializeToString(model)


def trees(*, columns: int = WIDTH, kinds: bool = False, rounds: int = 200) -> Candidate:
    """Train a model of 200 trees on numbers, and with `kinds` on a category too."""
    random = np.random.default_rng(1)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    frame = pl.DataFrame({f"n{i}": random.normal(size=ROWS) for i in range(columns)}).with_columns(
        pl.Series("kind", random.choice(["a", "b", "c"], ROWS)),
        pl.Series("at", [start + timedelta(minutes=i) for i in range(ROWS)]),
    )
    frame = frame.with_columns((pl.col("n0") + pl.col("n1") > 0).cast(pl.Float64).alias("y"))
    train, holdout = frame.head(2000), frame.tail(1000)
    ops = [*(number(f"n{i}") for i in range(columns)), *([category("kind")] if kinds else [])]
    prepared = Transform(ops).fit(train)
    matrix = prepared.apply(from_frame(train, [column.name for column in prepared.inputs]))
    options = {"objective": "binary", "num_threads": 1, "verbose": -1}
    model = lgb.train(options, lgb.Dataset(matrix, train["y"].to_numpy()), rounds)
    return candidate(model, prepared, train=train, holdout=holdout, label="y", time="at")


def put(home: Path, made: Candidate, *, number: int = 1, tensor: bytes | None = None) -> Arm:
    """Store a candidate's package, and its files in `home/limit`; `tensor`: a graph that takes one tensor instead."""
    names = [column.name for column in made.transform.inputs]
    scorer = Scorer(made.transform, made.onnx)
    scores = scorer.score(from_frame(made.holdout, names))
    objective = ObjectiveSettings("?", Task.BINARY, MetricName.AUC, "meaning", "y")
    evidence = Evidence(
        evaluate(objective, {}, Answers(y=made.holdout["y"].to_numpy(), score=scores)),
        parity(scorer, from_frame(made.sample, names), made.expected, 1e-4),
        profile(from_frame(made.holdout, names), scores),
        {},
        objective,
    )
    files = files_of("m", made, evidence, "")
    if tensor is not None:
        files |= _of_tensor(tensor)
        del files["transform.json"]
    limit = home / "limit"
    limit.mkdir(exist_ok=True)
    for name in ("model.onnx", "transform.json"):
        if name in files:
            (limit / name).write_bytes(files[name])
    return Arm(f"m:{number}", build(Blobs(f"file://{home / 'blobs'}"), files).digest)


def _of_tensor(graph: bytes) -> dict[str, bytes]:
    rows = np.random.default_rng(5).normal(size=(20, WIDTH)).astype(np.float32)
    signature = Signature((), "score", "binary", tensors=(TensorSpec("features", "FP32", (-1, WIDTH)),))
    session = ort.InferenceSession(graph)
    expected = session.run(None, {session.get_inputs()[0].name: rows})[0].reshape(-1)
    sample = {"tensors": {"features": rows.tolist()}, "expected": expected.astype(float).tolist()}
    return {
        "model.onnx": _renamed(graph),
        "signature.json": msgspec.json.encode(signature),
        "sample.json": msgspec.json.encode(sample),
    }


def _renamed(graph: bytes) -> bytes:
    """Return the graph with its input called `features`."""
    model = onnx.load_from_string(graph)
    old = model.graph.input[0].name
    model.graph.input[0].name = "features"
    for node in model.graph.node:
        for at, name in enumerate(node.input):
            node.input[at] = "features" if name == old else name
    return onnx.ModelProto.SerializeToString(model)
