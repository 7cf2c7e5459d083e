"""Bundles: built whole, answering as the gateway does without Modelloop, and refused where one byte was changed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import polars as pl
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from modelloop.cli import entry
from modelloop.data.settings import ColumnSettings, ColumnType, ContractSettings
from modelloop.deploy.edge.actions import building
from modelloop.deploy.edge.actions.building import build
from modelloop.deploy.edge.graph import bundled
from modelloop.deploy.edge.quantise import int8
from modelloop.deploy.edge.records import Wish
from modelloop.deploy.edge.signing import runtime, verify
from modelloop.evaluate.settings import MetricName, ObjectiveSettings, Task
from modelloop.ground.core.errors import Conflict, InvalidInput, ParityFailed
from modelloop.ground.store.context import Context
from modelloop.prepare import ops
from modelloop.prepare.columns import from_frame
from modelloop.prepare.transform import Transform
from modelloop.register import actions as register
from modelloop.register.package import load
from modelloop.testing.fakes import make_context
from modelloop.train.adapters import lightgbm as adapter
from packages import make_candidate, make_evidence
from versioned import make

BLOCKER = """
import runpy, sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"modelloop", "onnx", "cryptography", "polars", "sqlalchemy", "msgspec"}:
            raise ImportError("not on this device: " + name)
sys.meta_path.insert(0, Blocker())
script, sys.argv = sys.argv[1], sys.argv[1:]
try:
    runpy.run_path(script, run_name="__main__")
finally:
    assert not [name for name in sys.modules if name.partition(".")[0] == "modelloop"]
"""
ROWS: dict[str, list[Any]] = {
    "delay": [1.5, None, -2.0, 1e30],
    "distance": [100, 7, 2**40, 0],
    "carrier": ["AA", "ZZ", None, ""],
}


@pytest.fixture
def ctx(tmp_path: Path) -> Iterator[Context]:
    context = make_context(tmp_path / "project")
    yield context
    context.db.close()


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path, Any]]:
    """A bundle, the key that the device has, and what the gateway answers with."""
    folder = tmp_path_factory.mktemp("edge")
    context = make_context(folder / "project")
    register.register(context, "delay", make_candidate(), make_evidence())
    made = build(context, Wish("delay:1", folder / "bundle"))
    yield folder / "bundle", context.home / "secrets" / "edge-key.pub", load(context.blobs, made.package).scorer
    context.db.close()


def asked(bundle: Path, key: Path, rows: Any, script: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Ask on a device: a process in which no Modelloop can be imported."""
    file = key.parent.parent / "rows.json"
    file.write_text(json.dumps(rows))
    words = [str(script or bundle / "runtime.py"), "--key", str(key), "--bundle", str(bundle), str(file)]
    return subprocess.run(
        [sys.executable, "-I", "-c", BLOCKER, *words], capture_output=True, text=True, check=False, timeout=60
    )


def columns(rows: dict[str, list[Any]]) -> dict[str, Any]:
    frame = pl.DataFrame(rows, schema={"delay": pl.Float64, "distance": pl.Int64, "carrier": pl.String})
    return dict(from_frame(frame))


def test_a_device_without_modelloop_answers_as_the_gateway(plain: tuple[Path, Path, Any]) -> None:
    bundle, key, scorer = plain
    done = asked(bundle, key, ROWS)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(json.loads(done.stdout)["score"], scorer.score(columns(ROWS)), rtol=1e-6)
    text = (bundle / "manifest.json").read_text()
    manifest = json.loads(text)
    assert manifest["version"] == "delay:1"
    assert manifest["parity"]["rows"] == 40
    assert manifest["lineage"]["run"] == "run_1"
    assert str(key.parent) not in text


def test_any_changed_byte_is_refused(plain: tuple[Path, Path, Any], tmp_path: Path) -> None:
    bundle, key, _ = plain
    for name in sorted(one.name for one in bundle.iterdir() if one.is_file()):
        data = (bundle / name).read_bytes()
        for at in {0, len(data) // 3, len(data) - 1}:
            copy = tmp_path / f"{name}-{at}"
            shutil.copytree(bundle, copy)
            (copy / name).write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
            with pytest.raises(InvalidInput):
                verify(copy, key)
    copy = tmp_path / "added"
    shutil.copytree(bundle, copy)
    (copy / "numpy.py").write_text("raise SystemExit('taken over')")
    with pytest.raises(InvalidInput, match=r"numpy\.py is in the folder and not in the manifest"):
        verify(copy, key)
    done = asked(copy, key, ROWS)
    assert (done.returncode, "taken over" in done.stderr) == (1, False)


def test_a_device_refuses_a_changed_model_and_another_key(plain: tuple[Path, Path, Any], tmp_path: Path) -> None:
    bundle, key, _ = plain
    copy = tmp_path / "changed"
    shutil.copytree(bundle, copy)
    data = bytearray((copy / "model.onnx").read_bytes())
    data[-5] ^= 1
    (copy / "model.onnx").write_bytes(data)
    done = asked(copy, key, ROWS, bundle / "runtime.py")
    assert done.returncode == 1
    assert "model.onnx is not the file that was signed" in done.stderr
    other = tmp_path / "a" / "other.pub"
    other.parent.mkdir()
    other.write_text(Ed25519PrivateKey.generate().public_key().public_bytes_raw().hex())
    done = asked(bundle, other, ROWS)
    assert done.returncode == 1
    assert "not signed by this key" in done.stderr


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"carrier": ["A\0"]}, "without the character 0"),
        ({"carrier": ["\u0001missing\u0001"]}, "expected text"),
        ({"carrier": [3]}, "expected text"),
        ({"carrier": ["\ud800"]}, "UTF-8"),
        ({"distance": [None]}, "must have one"),
        ({"distance": [1.5]}, "expected INT64"),
        ({"distance": [2**60]}, "2^53"),
        ({"delay": ["1"]}, "expected FP64"),
        ({"delay": []}, "as many in each"),
        ({"delay": 3}, "not of the form"),
    ],
)
def test_bad_values_are_refused_with_a_sentence(plain: tuple[Path, Path, Any], change: Any, said: str) -> None:
    bundle, key, _ = plain
    done = asked(bundle, key, {"delay": [1.0], "distance": [1], "carrier": ["AA"]} | change)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@given(st.binary(max_size=40), st.binary(min_size=32, max_size=32), st.integers(0, 63), st.integers(0, 7))
@settings(max_examples=25, deadline=None)
def test_signatures_are_told_apart_as_openssl_does(message: bytes, seed: bytes, at: int, bit: int) -> None:
    key = Ed25519PrivateKey.from_private_bytes(seed)
    public, signature = key.public_key().public_bytes_raw(), key.sign(message)
    signed = runtime().signed
    assert signed(public, message, signature)
    assert not signed(public, message + b"x", signature)
    wrong = bytearray(signature)
    wrong[at] ^= 1 << bit
    assert not signed(public, message, bytes(wrong))
    with pytest.raises(InvalidSignature):
        key.public_key().verify(bytes(wrong), message)


def trained(params: dict[str, Any], labels: tuple[str, ...] = ()) -> Any:
    """A LightGBM candidate over strings, numbers with gaps, and an aside."""
    rng = np.random.default_rng(7)
    rows = 300
    frame = pl.DataFrame(
        {
            "delay": [None if i % 7 == 0 else float(v) for i, v in enumerate(rng.normal(size=rows))],
            "distance": rng.integers(1, 900, rows),
            "carrier": rng.choice(["AA", "UA", "é"], rows),
            "late": rng.integers(0, max(2, len(labels)), rows),
        }
    )
    steps = [ops.number("delay", fill=None), ops.log1p("distance"), ops.one_hot("carrier"), ops.cyclic("distance", 7)]
    transform = Transform(steps).fit(frame)
    matrix = transform.apply(from_frame(frame))
    model = lightgbm.train(
        params | {"verbose": -1, "num_leaves": 7}, lightgbm.Dataset(matrix, frame["late"].to_numpy()), 20
    )
    kind = adapter.task(model)
    return replace(
        make_candidate(),
        transform=transform,
        onnx=adapter.to_onnx(model, matrix.shape[1], kind),
        sample=frame,
        holdout=frame,
        expected=adapter.predict(model, matrix),
        labels=labels,
    )


@pytest.mark.parametrize(
    ("params", "labels"),
    [({"objective": "binary"}, ()), ({"objective": "multiclass", "num_class": 3}, ("low", "mid", "high"))],
)
def test_trees_answer_alike_and_int8_says_it_changes_nothing(
    ctx: Context, tmp_path: Path, params: dict[str, Any], labels: tuple[str, ...]
) -> None:
    register.register(ctx, "delay", trained(params, labels), make_evidence())
    made = build(ctx, Wish("delay:1", tmp_path / "bundle", int8=True))
    assert made.manifest["quantisation"]["kind"] == "none"
    assert made.manifest["by_row"] is False
    rows: dict[str, list[Any]] = {
        "delay": [1.5, None, -2.0, 0.1],
        "distance": [100, 7, 88, 1],
        "carrier": ["AA", "ZZ", None, "é"],
    }
    done = asked(tmp_path / "bundle", ctx.home / "secrets" / "edge-key.pub", rows)
    assert done.returncode == 0, done.stderr
    wanted = load(ctx.blobs, made.package).scorer.outputs(columns(rows))
    for name, one in json.loads(done.stdout).items():
        if name == "label":
            assert one == wanted[name].tolist()
        else:
            np.testing.assert_allclose(one, wanted[name], rtol=1e-5, atol=1e-6)
    assert ("label" in wanted) is bool(labels)


def network(width: int) -> Any:
    """A small network: 3 features, one hidden layer."""
    rng = np.random.default_rng(3)
    sizes = {"a": (3, width), "b": (width, 1)}
    initial = [
        numpy_helper.from_array((rng.normal(size=size) * 0.3).astype(np.float32), name) for name, size in sizes.items()
    ]
    initial += [
        numpy_helper.from_array(np.array([0.01, 0.01, 1.0], np.float32), "unit"),
        numpy_helper.from_array(np.array([-1], np.int64), "flat"),
    ]
    chain = [("Mul", "unit"), ("MatMul", "a"), ("Relu", ""), ("MatMul", "b"), ("Sigmoid", ""), ("Reshape", "flat")]
    nodes, last = [], "features"
    for at, (op, other) in enumerate(chain):
        made = "score" if at == len(chain) - 1 else f"h{at}"
        nodes.append(helper.make_node(op, [last, other] if other else [last], [made]))
        last = made
    feed = helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, 3])
    out = helper.make_tensor_value_info("score", TensorProto.FLOAT, [None])
    graph = helper.make_graph(nodes, "network", [feed], [out], initial)
    candidate = replace(
        make_candidate(),
        onnx=bytes(
            helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
        ),
    )
    weights = [numpy_helper.to_array(one).astype(float) for one in initial[:3]]
    matrix = candidate.transform.apply(from_frame(candidate.sample)).astype(float) * weights[2]
    hidden = np.maximum(matrix @ weights[0], 0) @ weights[1]
    return replace(candidate, expected=(1 / (1 + np.exp(-hidden))).reshape(-1))


def test_a_graph_of_machine_learning_operators_alone_has_no_int8() -> None:
    """What skl2onnx makes of a linear classifier: onnxruntime's own tool fails at it."""
    node = helper.make_node("LinearRegressor", ["x"], ["y"], domain="ai.onnx.ml", coefficients=[1.0, 2.0])
    feed = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])
    imports = [helper.make_opsetid("ai.onnx.ml", 1)]
    model = helper.make_model(helper.make_graph([node], "g", [feed], [out]), opset_imports=imports)
    assert int8(model.SerializeToString()) is None
    for domain in ("", "ai.onnx", ""):  # as converters leave it
        model.opset_import.add(domain=domain, version=15)
    assert int8(model.SerializeToString()) is None


def test_int8_is_small_measured_and_answers_row_by_row(ctx: Context, tmp_path: Path) -> None:
    register.register(ctx, "delay", network(4096), make_evidence())
    small = build(ctx, Wish("delay:1", tmp_path / "small", int8=True)).manifest
    assert small["quantisation"]["bytes"]["int8"] < 0.5 * small["quantisation"]["bytes"]["float32"]
    loss = small["quantisation"]["loss"]
    assert 0 < loss["mean"] <= loss["largest"] < 0.2
    key = ctx.home / "secrets" / "edge-key.pub"
    one = runtime().opened(tmp_path / "small", runtime().read_key(key))
    rows = {name: values[:3] for name, values in ROWS.items()} | {"distance": [100, 7, 900]}
    whole = one.predict(rows)["score"]
    alone = [one.predict({name: [v[at]] for name, v in rows.items()})["score"][0] for at in range(3)]
    assert whole.tolist() == alone


def test_quality_is_measured_on_a_dataset(ctx: Context, tmp_path: Path) -> None:
    contract = ContractSettings(
        {
            "delay": ColumnSettings(ColumnType.FLOAT, nullable=True),
            "distance": ColumnSettings(ColumnType.INTEGER),
            "carrier": ColumnSettings(ColumnType.STRING),
            "late": ColumnSettings(ColumnType.INTEGER),
        }
    )
    frame = make_candidate().sample.with_columns(late=pl.Series([0, 1, 1, 0] * 10))
    make(ctx, frame, dataset="flights", contract=contract)
    register.register(ctx, "delay", network(64), make_evidence())
    objective = ObjectiveSettings("Late?", Task.BINARY, MetricName.AUC, "Ranking.", "late")
    wish = Wish("delay:1", tmp_path / "bundle", int8=True, measure="flights")
    found = build(ctx, wish, objective).manifest["quality"]
    assert (found["metric"], found["rows"], found["dataset"]) == ("auc", 40, "flights:1")
    assert set(found["values"]) == {"float32", "int8"}
    with pytest.raises(InvalidInput, match="objective"):
        build(ctx, replace(wish, to=tmp_path / "other"))


def test_a_graph_that_answers_otherwise_is_not_built(
    ctx: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register.register(ctx, "delay", make_candidate(), make_evidence())
    real = bundled
    other = make_candidate((0.5, -0.01, 0.3)).onnx
    monkeypatch.setattr(building, "bundled", lambda files, signature: real(files, signature, other))
    with pytest.raises(ParityFailed, match="otherwise than the gateway"):
        build(ctx, Wish("delay:1", tmp_path / "bundle"))
    assert not (tmp_path / "bundle").exists()


def test_wrong_wishes_are_refused(ctx: Context, tmp_path: Path) -> None:
    register.register(ctx, "delay", make_candidate(), make_evidence())
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("keep me")
    with pytest.raises(InvalidInput, match="is there already"):
        build(ctx, Wish("delay:1", tmp_path / "full"))
    with pytest.raises(InvalidInput, match="holds no ort"):
        build(ctx, Wish("delay:1", tmp_path / "bundle", web=tmp_path))
    hashed = Transform([ops.number("delay"), ops.number("distance"), ops.hashed("carrier")]).fit(
        make_candidate().sample
    )
    candidate = replace(make_candidate(), transform=hashed)
    register.register(ctx, "delay", candidate, make_evidence())
    with pytest.raises((Conflict, ParityFailed)):
        build(ctx, Wish("delay:2", tmp_path / "bundle"))
    assert not (tmp_path / "bundle").exists()


def test_the_key_is_made_once_for_its_owner_alone(ctx: Context, tmp_path: Path) -> None:
    register.register(ctx, "delay", make_candidate(), make_evidence())
    keys = {build(ctx, Wish("delay:1", tmp_path / name)).key for name in ("one", "two")}
    assert len(keys) == 1
    assert (ctx.home / "secrets" / "edge-key").stat().st_mode & 0o777 == 0o600


def test_verify_says_that_an_inner_key_proves_nothing(
    plain: tuple[Path, Path, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, key, _ = plain
    assert entry.main(["edge", "verify", str(bundle)]) == 0
    assert "proves nothing" in capsys.readouterr().out
    assert entry.main(["edge", "verify", str(bundle), "--key", str(key), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["trusted"] is True
    assert found["version"] == "delay:1"
