"""Requests to packages of every kind within a gateway: classes, pictures, tensors, and why a score is as it is."""

from __future__ import annotations

import base64
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import polars as pl
import pytest
from lightgbm import LGBMClassifier
from PIL import Image
from sklearn.linear_model import LogisticRegression

from gateway_parts import answerer, ask, told
from modelloop.deploy.gateway.explaining import Explainer
from modelloop.deploy.gateway.runtime import LoadedArm, load_arm
from modelloop.deploy.records import Arm, Route
from modelloop.ground.store.blobs import Blobs
from modelloop.prepare.columns import from_frame
from modelloop.prepare.ops import category, number, picture
from modelloop.prepare.transform import Transform
from modelloop.train.bring import from_onnx, tensors_of
from modelloop.train.candidate import candidate
from modelloop.train.records import Candidate
from packages import put_package

CHANCE = np.random.default_rng(8)
KINDS = ("cat", "dog", "fish")
START = datetime(2026, 1, 1, tzinfo=UTC)


def stamped(columns: dict[str, Any]) -> pl.DataFrame:
    rows = len(next(iter(columns.values())))
    return pl.DataFrame({**columns, "at": [START + timedelta(hours=n) for n in range(rows)]})


def loaded(tmp_path: Path, made: Candidate) -> LoadedArm:
    blobs = Blobs(f"file://{tmp_path}")
    return load_arm(blobs, Arm("delay:1", put_package(blobs, made)))


def animals() -> Candidate:
    size = CHANCE.normal(size=300)
    kinds = [KINDS[place] for place in np.digitize(size, [-0.5, 0.5])]
    frame = stamped({"size": size, "colour": CHANCE.choice(["red", "blue"], 300).tolist(), "kind": kinds})
    fitted = Transform([number("size"), category("colour")]).fit(frame[:200])
    matrix = fitted.apply(from_frame(frame[:200], ["size", "colour"]))
    model = LGBMClassifier(n_estimators=10, verbose=-1).fit(matrix, kinds[:200])
    return candidate(model, fitted, train=frame[:200], holdout=frame[200:], label="kind", time="at")


def inputs(**columns: tuple[str, list[Any]]) -> dict[str, Any]:
    return {
        "inputs": [
            {"name": name, "datatype": kind, "shape": [len(data)], "data": data}
            for name, (kind, data) in columns.items()
        ]
    }


def outputs_of(body: Any) -> dict[str, Any]:
    return {one["name"]: one for one in body["outputs"]}


def test_classes_are_answered_with_probabilities_and_a_label(tmp_path: Path) -> None:
    arm = loaded(tmp_path, animals())
    desk = answerer(Route("delay", arm.arm), arm)
    body = inputs(size=("FP64", [-2.0, 0.0, 2.0]), colour=("BYTES", ["red", "blue", "red"]))
    found = ask(desk, body, "/v2/models/delay/infer")
    assert found.status == 200, found.body
    made = outputs_of(told(found))
    assert made["label"]["data"] == ["cat", "dog", "fish"]
    assert (made["label"]["datatype"], made["probabilities"]["shape"]) == ("BYTES", [3, 3])
    np.testing.assert_allclose(np.reshape(made["probabilities"]["data"], (3, 3)).sum(axis=1), 1, atol=1e-6)


def test_a_picture_as_base64(tmp_path: Path) -> None:
    def file(value: int) -> bytes:
        made = io.BytesIO()
        Image.new("L", (4, 4), value).save(made, "PNG")
        return made.getvalue()

    helper, kinds = onnx.helper, onnx.TensorProto
    nodes = [helper.make_node("ReduceMean", ["pixel_values"], ["mean"], axes=[1, 2, 3], keepdims=0)]
    feed = helper.make_tensor_value_info("pixel_values", kinds.FLOAT, ["rows", 1, 4, 4])
    out = helper.make_tensor_value_info("mean", kinds.FLOAT, ["rows"])
    graph = helper.make_graph(nodes, "mean", [feed], [out])
    data = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8).SerializeToString()
    frame = stamped({"photo": [file(n * 5) for n in range(40)], "light": [n % 2 for n in range(40)]})
    fitted = Transform([picture("photo", (4, 4), channels="L")]).fit(frame)
    arm = loaded(tmp_path, from_onnx(data, fitted, holdout=frame, label="light", time="at", task="binary"))
    desk = answerer(Route("delay", arm.arm), arm)
    sent = base64.b64encode(file(51)).decode()
    found = ask(desk, inputs(photo=("BYTES", [sent])), "/v2/models/delay/infer")
    assert found.status == 200, found.body
    assert outputs_of(told(found))["score"]["data"] == pytest.approx([0.2])
    wrong = ask(desk, inputs(photo=("BYTES", ["not a picture"])), "/v2/models/delay/infer")
    assert wrong.status == 400
    assert "base64" in told(wrong)["error"]


def test_a_matrix_as_one_tensor(tmp_path: Path) -> None:
    helper, kinds = onnx.helper, onnx.TensorProto
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    initial = [helper.make_tensor("w", kinds.FLOAT, [3, 1], [1.0, 2.0, 4.0])]
    x = helper.make_tensor_value_info("x", kinds.FLOAT, ["rows", 3])
    y = helper.make_tensor_value_info("y", kinds.FLOAT, ["rows", 1])
    graph = helper.make_graph(nodes, "linear", [x], [y], initial)
    data = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8).SerializeToString()
    rows = CHANCE.normal(size=(40, 3)).astype(np.float32)
    frame = stamped({"x": rows.tolist(), "y": rows @ [1.0, 2.0, 4.0]}).cast({"x": pl.Array(pl.Float32, 3)})
    made = from_onnx(data, tensors_of(data), holdout=frame, label="y", time="at", task="regression")
    arm = loaded(tmp_path, made)
    desk = answerer(Route("delay", arm.arm), arm)
    tensor = {"name": "x", "datatype": "FP32", "shape": [2, 3], "data": [1, 1, 1, 0, 0, 0.5]}
    found = ask(desk, {"inputs": [tensor]}, "/v2/models/delay/infer")
    assert found.status == 200, found.body
    assert outputs_of(told(found))["score"]["data"] == pytest.approx([7.0, 2.0])
    wrong = ask(desk, {"inputs": [tensor | {"shape": [3, 2]}]}, "/v2/models/delay/infer")
    assert wrong.status == 400


@pytest.mark.parametrize("many", [False, True])
def test_contributions_sum_to_the_score(tmp_path: Path, many: bool) -> None:
    names = [f"c{n}" for n in range(12 if many else 3)]
    frame = stamped({name: CHANCE.normal(size=200) for name in names} | {"late": CHANCE.integers(0, 2, 200)})
    fitted = Transform([number(name) for name in names]).fit(frame)
    model = LogisticRegression().fit(fitted.apply(from_frame(frame, names)), frame["late"].to_numpy())
    arm = loaded(tmp_path, candidate(model, fitted, train=frame, holdout=frame, label="late", time="at"))
    explainer = Explainer()
    heard: list[Any] = []
    columns = {name: np.array([0.3, -1.0]) for name in names}
    explainer.submit(arm, columns, heard.append)
    explainer.close()
    (found,) = heard
    total = np.array(found["base"]) + np.sum(list(found["contributions"].values()), axis=0)
    np.testing.assert_allclose(total, arm.scorer.score(columns), atol=1e-9)
    assert set(found["contributions"]) == set(names)
    assert found["exact"] is not many
