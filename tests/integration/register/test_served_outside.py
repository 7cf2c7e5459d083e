"""What does not become ONNX is served by its own library in a process of its own; a pickle, if a person said so."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import msgspec
import numpy as np
import pytest
import skops.io
import xgboost
from onnx import TensorProto, helper
from sklearn.cluster import MeanShift
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

import mlflow_folders as folders
from modelloop.ground.core.errors import BlobMissing, InvalidInput, ParityFailed, StoreUnavailable
from modelloop.ground.store import audit
from modelloop.ground.store.context import Context
from modelloop.register import actions, manifest
from modelloop.register.actions.converting import convert_version
from modelloop.register.package import LoadedPackage, load
from modelloop.register.parity import headline
from modelloop.train.outside.process import ProcessRuntime
from modelloop.train.outside.records import Gone

X, Y = folders.IRIS
WORDS = np.array(["setosa", "versicolor", "virginica"])[Y]


def served(ctx: Context, folder: Path, *, allow: bool = False) -> LoadedPackage:
    """Register and convert a folder, and load its package."""
    version = convert_version(ctx, actions.import_folder(ctx, folder, "m").name, allow_pickle=allow)
    assert version.package is not None, version.refusal
    return load(ctx.blobs, version.package, name=version.name)


def rows(loaded: LoadedPackage, values: Any = X) -> dict[str, Any]:
    return {column.name: values[:, at] for at, column in enumerate(loaded.signature.inputs)}


def unconvertible(path: Path, kind: str) -> Path:
    """Write an estimator that no converter knows exactly."""
    model = MeanShift(bandwidth=1.0).fit(X)
    if kind == "pickle":
        return folders.sklearn_pickle(path, model)
    return folders.sklearn_skops(path, model)


def python_model(path: Path, source: str, **settings: Any) -> Path:
    """Write a pyfunc folder that is read by a loader of its own."""
    made = folders.folder(path, "x", {}, signature=folders.columns_signature(("a", "b")))
    body = f"flavors: {{python_function: {{loader_module: own_loader, {settings.get('more', '')}}}}}\n"
    signature = json.dumps(folders.columns_signature(("a", "b"))["inputs"])
    (made / "MLmodel").write_text(body + f"signature: {{inputs: {signature}}}\n")
    (made / "code").mkdir()
    (made / "code" / "own_loader.py").write_text(source)
    return made


@pytest.mark.parametrize("kind", ["pickle", "skops"])
def test_what_no_converter_takes_answers_outside(ctx: Context, tmp_path: Path, kind: str) -> None:
    loaded = served(ctx, unconvertible(tmp_path / "m", kind), allow=kind == "pickle")
    assert loaded.outside is not None
    expected = MeanShift(bandwidth=1.0).fit(X).predict(X)
    assert loaded.scorer.score(rows(loaded)).tolist() == expected.tolist()
    assert loaded.outside.pickle is (kind == "pickle")
    assert loaded.signature.platform == f"sklearn_{kind}"
    assert loaded.parity.rows > 0
    assert loaded.golden().beyond == 0
    card = actions.card(ctx, "m:1")
    assert "## Served outside" in card
    assert ("by order of tester" in card) is (kind == "pickle")
    assert isinstance(loaded.scorer, ProcessRuntime)
    loaded.close()


def test_nobody_unpickles_without_an_order(ctx: Context, tmp_path: Path) -> None:
    mark = tmp_path / "it_ran"
    version = actions.import_folder(ctx, folders.boom(tmp_path / "m", mark), "m")
    refused = convert_version(ctx, version.name)
    assert refused.package is None
    assert "is a pickle" in refused.refusal
    assert not mark.exists()
    convert_version(ctx, version.name, allow_pickle=True)
    assert mark.read_text() == "it ran", "only in the child, and only by order"


class Sleeper:
    """Unpickling it leaves a mark with the number of the process that did."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        (Path(self.folder) / str(os.getpid())).touch()

    def predict(self, table: Any) -> Any:
        return np.asarray(table["a"], dtype=float) * 3


def test_with_an_order_only_the_childs_process_unpickles(ctx: Context, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    cloudpickle.register_pickle_by_value(__import__(Sleeper.__module__, fromlist=["Sleeper"]))
    made = folders.folder(tmp_path / "m", "x", {})
    signature = json.dumps(folders.columns_signature(("a",))["inputs"])
    (made / "MLmodel").write_text(
        "flavors: {python_function: {loader_module: mlflow.pyfunc.model, python_model: python_model.pkl}}\n"
        f"signature: {{inputs: {signature}}}\n"
    )
    (made / "python_model.pkl").write_bytes(cloudpickle.dumps(Sleeper(str(marks))))
    version = actions.import_folder(ctx, made, "m")
    assert version.unsafe
    assert convert_version(ctx, version.name).package is None
    assert not list(marks.iterdir())
    version = convert_version(ctx, version.name, allow_pickle=True)
    assert version.package is not None, version.refusal
    assert version.opted_in == "tester"
    before = {path.name for path in marks.iterdir()}
    loaded = load(ctx.blobs, version.package)
    assert {path.name for path in marks.iterdir()} == before, "loading a package starts and reads nothing"
    assert loaded.scorer.score({"a": np.array([1.0, 2.0])}).tolist() == [3.0, 6.0]
    assert isinstance(loaded.scorer, ProcessRuntime)
    assert {path.name for path in marks.iterdir()} - before == {str(loaded.scorer.pid)}
    assert str(os.getpid()) not in {path.name for path in marks.iterdir()}
    with ctx.db.reading() as connection:
        assert "model.pickle_allowed" in [entry.action for entry in audit.entries(connection)]
    loaded.close()


def test_words_become_probabilities_in_onnx(ctx: Context, tmp_path: Path) -> None:
    model = LogisticRegression(max_iter=500).fit(X, WORDS)
    loaded = served(ctx, folders.sklearn_skops(tmp_path / "m", model))
    assert loaded.outside is None, "its graph answers alike"
    assert loaded.signature.labels == ("setosa", "versicolor", "virginica")
    assert (loaded.signature.task, loaded.signature.output) == ("multiclass", "probabilities")
    found = loaded.scorer.outputs(rows(loaded))
    np.testing.assert_allclose(found["probabilities"], model.predict_proba(X), atol=1e-5)
    assert found["label"].tolist() == model.predict(X).tolist()
    assert loaded.golden().rows == len(loaded.expected)


def test_words_without_probabilities_are_places(ctx: Context, tmp_path: Path) -> None:
    model = SVC().fit(X, WORDS)
    loaded = served(ctx, folders.sklearn_pickle(tmp_path / "m", model), allow=True)
    assert loaded.outside is not None
    found = loaded.scorer.outputs(rows(loaded))
    assert list(found) == ["score", "label"]
    assert found["label"].tolist() == model.predict(X).tolist()
    places = {"setosa": 0.0, "versicolor": 1.0, "virginica": 2.0}
    assert found["score"].tolist() == [places[word] for word in model.predict(X)]
    assert [(one.name, one.datatype) for one in loaded.signature.outputs] == [("score", "FP64"), ("label", "BYTES")]
    loaded.close()


def test_words_with_probabilities_outside(ctx: Context, tmp_path: Path) -> None:
    model = DummyClassifier(strategy="prior").fit(X, WORDS)
    loaded = served(ctx, folders.sklearn_pickle(tmp_path / "m", model), allow=True)
    found = loaded.scorer.outputs(rows(loaded))
    np.testing.assert_allclose(found["probabilities"], model.predict_proba(X))
    assert headline(loaded.scorer, rows(loaded)).shape == (150, 3)
    assert loaded.scorer.score(rows(loaded)).tolist() == [0.0] * 150
    assert loaded.golden().beyond == 0
    loaded.close()


OWN = """
import numpy as np

class Model:
    def predict(self, table):
        a, b = (np.asarray(table[name], dtype=float) for name in ("a", "b"))
        return {answer}

def _load_pyfunc(path):
    return Model()
"""


@pytest.mark.parametrize(
    ("answer", "names", "score"),
    [
        ("a + b", ["score"], [5.0, 7.0]),
        ("np.stack([a, b], axis=1)", ["score", "answers"], [1.0, 2.0]),
        ("{'low': a, 'high': b, 'word': np.where(a > 1, 'x', 'y')}", ["low", "high", "word"], [1.0, 2.0]),
        ("[float(one) for one in a]", ["score"], [1.0, 2.0]),
    ],
)
def test_python_code_by_order(ctx: Context, tmp_path: Path, answer: str, names: list[str], score: list[float]) -> None:
    folder = python_model(tmp_path / "m", OWN.replace("{answer}", answer))
    version = actions.import_folder(ctx, folder, "m")
    assert version.unsafe
    assert "is a pickle" in convert_version(ctx, version.name).refusal
    version = convert_version(ctx, version.name, allow_pickle=True)
    assert version.package is not None, version.refusal
    loaded = load(ctx.blobs, version.package)
    found = loaded.scorer.outputs({"a": np.array([1.0, 2.0]), "b": np.array([4.0, 5.0])})
    assert list(found) == names
    assert found[names[0]].tolist() == score
    assert all(len(one) == 2 for one in found.values())
    loaded.close()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (OWN.replace("{answer}", "a * np.nan"), "what is no number"),
        (OWN.replace("{answer}", "a[:1]"), "rows"),
        (OWN.replace("{answer}", "np.random.default_rng().normal(size=len(a))"), "answered otherwise"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)", "ended by SIGSEGV"),
        ("x = 1", "has no _load_pyfunc"),
        ("raise RuntimeError('broken')", "RuntimeError: broken"),
    ],
)
def test_models_that_do_not_answer_are_refused(ctx: Context, tmp_path: Path, source: str, said: str) -> None:
    version = actions.import_folder(ctx, python_model(tmp_path / "m", source), "m")
    version = convert_version(ctx, version.name, allow_pickle=True)
    assert version.package is None
    assert said in version.refusal


def test_boosters_of_several_answers(ctx: Context, tmp_path: Path) -> None:
    booster = xgboost.train({"objective": "multi:softprob", "num_class": 3}, xgboost.DMatrix(X, Y), num_boost_round=3)
    folder = folders.folder(tmp_path / "m", "xgboost", {"data": "model.ubj", "model_class": "xgboost.core.Booster"})
    booster.save_model(folder / "model.ubj")
    loaded = served(ctx, folder)
    assert loaded.outside is not None
    assert not loaded.outside.pickle
    assert loaded.signature.platform == "xgboost_ubj"
    found = loaded.scorer.outputs(rows(loaded))
    np.testing.assert_allclose(found["answers"], booster.predict(xgboost.DMatrix(X)), rtol=1e-6)
    loaded.close()


def damage(ctx: Context, digest: str) -> None:
    """Change a byte of a blob where it lies."""
    assert ctx.blobs.root is not None
    (path,) = (one for one in Path(ctx.blobs.root).rglob("*") if one.is_file() and one.name.endswith(digest[2:]))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)


def changed(change: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, bytes]], None]:
    def apply(files: dict[str, bytes]) -> None:
        body = msgspec.json.decode(files["runtime.json"])
        change(body)
        files["runtime.json"] = msgspec.json.encode(body)

    return apply


def test_a_damaged_package_is_refused_by_its_digest(ctx: Context, tmp_path: Path) -> None:
    digest = served(ctx, unconvertible(tmp_path / "m", "skops")).package.digest
    package = manifest.open_package(ctx.blobs, digest)
    piece = next(found for name, found in package.files.items() if name.startswith("pieces/"))
    damage(ctx, piece)
    loaded = load(ctx.blobs, digest)
    with pytest.raises(Gone, match=r"files cannot be read.*damaged"):
        loaded.golden()
    loaded.close()
    damage(ctx, package.files["runtime.json"])
    with pytest.raises((StoreUnavailable, BlobMissing)):
        load(ctx.blobs, digest)


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.update(files={"../../evil": []}),
        lambda body: body.update(files={"/tmp/evil": []}),
        lambda body: body.update(files={"MLmodel": ["0" * 64]}),
        lambda body: body.update(flavor="os.system"),
        lambda body: body.update(outputs={"score": ["FP64", [3]]}),
    ],
)
def test_a_package_that_lies_is_refused(ctx: Context, tmp_path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    digest = served(ctx, unconvertible(tmp_path / "m", "skops")).package.digest
    package = manifest.open_package(ctx.blobs, digest)
    files = {name: ctx.blobs.get(found) for name, found in package.files.items() if not name.startswith("pieces/")}
    pieces = {name: found for name, found in package.files.items() if name.startswith("pieces/")}
    changed(change)(files)
    loaded = load(ctx.blobs, manifest.build(ctx.blobs, files, pieces).digest)
    with pytest.raises((Gone, InvalidInput, ParityFailed, Exception), match=r"file|piece|flavor|answered|loaded"):
        loaded.golden()
    loaded.close()


def test_skops_with_types_of_others_needs_an_order(ctx: Context, tmp_path: Path) -> None:
    folder = unconvertible(tmp_path / "m", "skops")
    skops.io.dump({"model": Sleeper("x")}, folder / "model.skops")
    version = convert_version(ctx, actions.import_folder(ctx, folder, "m").name)
    assert version.package is None
    assert "not trusted" in version.refusal


def picture_graph() -> bytes:
    """Return a graph of FP32 [-1, 2, 3, 3] and INT64 [-1, k]: three numbers a row, and the sum of the ids."""
    rows, ids = ["rows", 2, 3, 3], ["rows", "k"]
    nodes = [
        helper.make_node("ReduceMean", ["picture"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["mean", "w"], ["logits"]),
        helper.make_node("ReduceSum", ["ids", "axis"], ["total"], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [
            helper.make_tensor_value_info("picture", TensorProto.FLOAT, rows),
            helper.make_tensor_value_info("ids", TensorProto.INT64, ids),
        ],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", 3]),
            helper.make_tensor_value_info("total", TensorProto.INT64, ["rows"]),
        ],
        [
            helper.make_tensor("w", TensorProto.FLOAT, [2, 3], [1, 2, 3, 4, 5, 6]),
            helper.make_tensor("axis", TensorProto.INT64, [1], [1]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    return bytes(model.SerializeToString())


def tensors(*listed: tuple[str, str, list[int]]) -> dict[str, Any]:
    made = [
        {"name": name, "type": "tensor", "tensor-spec": {"dtype": kind, "shape": shape}} for name, kind, shape in listed
    ]
    return {"inputs": json.dumps(made), "outputs": None, "params": None}


def test_signatures_of_tensors_are_served_as_tensors(ctx: Context, tmp_path: Path) -> None:
    signature = tensors(("picture", "float32", [-1, 2, 3, 3]), ("ids", "int64", [-1, -1]))
    folder = folders.folder(tmp_path / "m", "onnx", {"data": "model.onnx"}, signature=signature)
    (folder / "model.onnx").write_bytes(picture_graph())
    loaded = served(ctx, folder)
    assert loaded.outside is None
    assert [(one.name, one.datatype, one.shape) for one in loaded.signature.tensors] == [
        ("picture", "FP32", (-1, 2, 3, 3)),
        ("ids", "INT64", (-1, -1)),
    ]
    assert (loaded.signature.output, loaded.signature.labels) == ("logits", ("0", "1", "2"))
    found = loaded.scorer.outputs({"picture": np.ones((2, 2, 3, 3), np.float32), "ids": np.arange(6).reshape(2, 3)})
    assert found["total"].tolist() == [3, 12]
    assert found["logits"].tolist() == [[5.0, 7.0, 9.0]] * 2
    assert found["label"].tolist() == [2, 2]
    assert loaded.golden().rows == 4


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        ([("picture", "float32", [-1, 2, 3, 3])], "its signature names picture"),
        ([("picture", "complex64", [-1, 2, 3, 3])], "a known type"),
        ([("picture", "float32", [2, 2, 3, 3])], "a known type"),
        ([("picture", "float32", [-1, 2, 100_000, 3]), ("ids", "int64", [-1, -1])], "could not read or ask"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(ctx: Context, tmp_path: Path, listed: Any, said: str) -> None:
    folder = folders.folder(tmp_path / "m", "onnx", {"data": "model.onnx"}, signature=tensors(*listed))
    (folder / "model.onnx").write_bytes(picture_graph())
    version = actions.import_folder(ctx, folder, "m")
    version = version if version.refusal else convert_version(ctx, version.name)
    assert version.package is None
    assert said in version.refusal or "Its library" in version.refusal or "too large" in version.refusal
