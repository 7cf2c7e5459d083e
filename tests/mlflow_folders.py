"""Folders in MLflow's format, as `log_model` of MLflow 3 writes them, made without MLflow."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cloudpickle
import lightgbm
import numpy as np
import skops.io
import yaml
from skl2onnx import to_onnx
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

IRIS = load_iris(return_X_y=True)
CANCER = load_breast_cancer(return_X_y=True)
NAMES = ("sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)")


def iris_model() -> Any:
    """Return a classifier of three classes."""
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(*IRIS)


def columns_signature(names: tuple[str, ...], kind: str = "double") -> dict[str, Any]:
    """Return a signature of columns."""
    inputs = [{"type": kind, "name": name, "required": True} for name in names]
    return {"inputs": json.dumps(inputs), "outputs": '[{"type": "long", "required": true}]', "params": None}


def tensor_signature(width: int) -> dict[str, Any]:
    """Return a signature of a tensor."""
    spec = {"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, width]}}
    return {"inputs": json.dumps([spec]), "outputs": None, "params": None}


def folder(path: Path, flavor: str, words: Mapping[str, Any], **more: Any) -> Path:
    """Write an MLmodel with one flavor beside pyfunc's, and return the folder."""
    path.mkdir(parents=True, exist_ok=True)
    pyfunc = {"loader_module": f"mlflow.{flavor}", "predict_fn": "predict", "env": {"conda": "conda.yaml"}}
    body = {"flavors": {"python_function": pyfunc, flavor: dict(words)}, "mlflow_version": "3.17.2", **more}
    (path / "MLmodel").write_text(yaml.safe_dump(body))
    return path


def sklearn_skops(path: Path, model: Any = None) -> Path:
    """Write a scikit-learn model as MLflow 3 does by itself: skops."""
    words = {"pickled_model": "model.skops", "serialization_format": "skops", "sklearn_version": "1.9.1", "code": None}
    made = folder(path, "sklearn", words, signature=columns_signature(NAMES))
    skops.io.dump(model if model is not None else iris_model(), made / "model.skops")
    return made


def sklearn_pickle(path: Path, model: Any = None) -> Path:
    """Write a scikit-learn model as older MLflow does: cloudpickle; with an input example."""
    words = {"pickled_model": "model.pkl", "serialization_format": "cloudpickle", "sklearn_version": "1.9.1"}
    example = {"artifact_path": "input_example.json", "type": "dataframe", "pandas_orient": "split"}
    made = folder(path, "sklearn", words, signature=columns_signature(NAMES), saved_input_example_info=example)
    (made / "model.pkl").write_bytes(cloudpickle.dumps(model if model is not None else iris_model()))
    rows = {"columns": list(NAMES), "data": IRIS[0][:5].tolist()}
    (made / "input_example.json").write_text(json.dumps(rows))
    return made


def lightgbm_booster(path: Path) -> Path:
    """Write a booster."""
    made = folder(path, "lightgbm", {"data": "model.lgb", "model_class": "lightgbm.basic.Booster"})
    booster().save_model(str(made / "model.lgb"))
    return made


def booster() -> Any:
    """Return a booster of 30 columns."""
    settings = {"objective": "binary", "verbosity": -1, "num_threads": 1, "seed": 1}
    return lightgbm.train(settings, lightgbm.Dataset(*CANCER), num_boost_round=20)


def onnx_classifier(path: Path) -> Path:
    """Write a classifier in ONNX; its first output are labels."""
    made = folder(path, "onnx", {"data": "model.onnx", "onnx_version": "1.23"}, signature=tensor_signature(4))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = to_onnx(iris_model(), IRIS[0][:1].astype(np.float32))
    (made / "model.onnx").write_bytes(graph.SerializeToString())
    return made


class Boom:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return (Path.write_text, (self.path, "it ran"))


def boom(path: Path, mark: Path) -> Path:
    """Write a model whose pickle runs something."""
    made = folder(path, "sklearn", {"pickled_model": "model.pkl", "serialization_format": "cloudpickle"})
    (made / "model.pkl").write_bytes(cloudpickle.dumps(Boom(mark)))
    return made
