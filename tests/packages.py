"""A small real candidate (a hand-made logistic model in ONNX) for tests of the register, the gateway and the rest."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import onnx
import polars as pl
from onnx import TensorProto, helper

from modelloop.evaluate.records import Evaluation, GateResult, Score, SliceScore
from modelloop.evaluate.settings import MetricName, ObjectiveSettings, Task
from modelloop.ground.core.records import Verdict
from modelloop.ground.store.blobs import Blobs
from modelloop.prepare.columns import from_frame
from modelloop.prepare.ops import category, number
from modelloop.prepare.transform import Transform
from modelloop.register.contents import files_of
from modelloop.register.manifest import build
from modelloop.register.records import Evidence, Parity
from modelloop.train.records import Candidate

OBJECTIVE = ObjectiveSettings(
    "Will it be late?",
    Task.BINARY,
    MetricName.AUC,
    "How often a late one is ranked above one in time.",
    "late",
    ("carrier",),
)


def logistic(weights: list[float]) -> bytes:
    """Return an ONNX graph: sigmoid of a weighted sum."""
    count = len(weights)
    initial = [
        helper.make_tensor("w", TensorProto.FLOAT, [count, 1], weights),
        helper.make_tensor("flat", TensorProto.INT64, [1], [-1]),
    ]
    nodes = [
        helper.make_node("MatMul", ["features", "w"], ["z"]),
        helper.make_node("Sigmoid", ["z"], ["p"]),
        helper.make_node("Reshape", ["p", "flat"], ["score"]),
    ]
    feed = helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, count])
    out = helper.make_tensor_value_info("score", TensorProto.FLOAT, [None])
    graph = helper.make_graph(nodes, "logistic", [feed], [out], initial)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return onnx.ModelProto.SerializeToString(model)


def make_candidate(weights: tuple[float, float, float] = (0.5, -0.01, 0.2), *, rows: int = 40) -> Candidate:
    """Return a candidate that reads `delay` (FP64, may be null), `distance` (INT64) and `carrier` (BYTES)."""
    frame = pl.DataFrame(
        {
            "delay": [None if i % 7 == 0 else i / 3 for i in range(rows)],
            "distance": [100 + i for i in range(rows)],
            "carrier": ["AA" if i % 2 else "UA" for i in range(rows)],
        }
    )
    transform = Transform([number("delay"), number("distance"), category("carrier")]).fit(frame)
    matrix = transform.apply(from_frame(frame, [c.name for c in transform.inputs])).astype(np.float64)
    expected = 1 / (1 + np.exp(-(matrix @ np.array(weights))))
    start = datetime(2013, 1, 1, tzinfo=UTC)
    return Candidate(
        transform=transform,
        onnx=logistic(list(weights)),
        native=b"weights: " + str(weights).encode(),
        native_format="text",
        holdout=frame,
        label="late",
        time="at",
        sample=frame,
        expected=expected,
        trained_from=start,
        trained_until=datetime(2013, 3, 1, tzinfo=UTC),
        rows=rows,
        params={"weights": list(weights)},
        importance={"delay": 0.7, "distance": 0.3},
    )


def make_evidence(*, run: str | None = "run_1", value: float | None = 0.71, carrier: str = "AA") -> Evidence:
    """Return evidence with a passing gate."""
    headline = Score("auc", value, 0.7, 0.72, 4000)
    gates = (GateResult("good", "metric", Verdict.PASS, "auc is above 0.65"),)
    slices = (SliceScore("carrier", carrier, Score("auc", 0.6, None, None, 10)),)
    evaluation = Evaluation(headline, (headline,), Score("auc", 0.5, 0.5, 0.5, 4000), slices, None, gates)
    lineage = {"run": run, "data": {"flights": 3}, "code": "abc"}
    profile = {"columns": {"delay": {"edges": [0.0, 1.0], "shares": [0.5, 0.5]}}}
    return Evidence(evaluation, Parity(40, 1e-7, 0, 1e-4), profile, lineage, OBJECTIVE)


def put_package(blobs: Blobs, candidate: Candidate | None = None) -> str:
    """Store a package without any database; return its digest."""
    files = files_of("delay", candidate or make_candidate(), make_evidence(), "# python\nnumpy==2\n")
    return build(blobs, files).digest
