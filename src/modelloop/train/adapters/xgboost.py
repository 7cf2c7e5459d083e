"""XGBoost: models to ONNX and to its own JSON, with answers that agree."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...ground.core.errors import InvalidInput
from ...ground.core.later import needed
from ...ground.core.later import numpy as np
from ...prepare.records import Matrix
from . import graph

if TYPE_CHECKING:
    import numpy.typing as npt

FORMAT = "xgboost-json"
_BINARY = ("binary:logistic", "reg:logistic")
_CLASSES = "multi:softprob"


def knows(model: object) -> bool:
    """Say whether the model is one of XGBoost's, without importing XGBoost."""
    return any(kind.__module__.split(".")[0] == "xgboost" for kind in type(model).__mro__)


def task(model: Any) -> str:
    """Return `binary`, `multiclass` or `regression`, as the model's objective says."""
    objective = _objective(model)
    if objective in _BINARY:
        return "binary"
    if objective == _CLASSES:
        return "multiclass"
    if objective.startswith(("reg:", "count:", "survival:", "rank:")):
        return "regression"
    raise InvalidInput(
        f"XGBoost's objective {objective!r} is neither binary, multiclass nor regression.",
        hint="Train with binary:logistic, multi:softprob, reg:squarederror or another objective of one number a row.",
    )


def classes(model: Any) -> tuple[Any, ...]:
    """Return the classes in the order of the probabilities; a booster knows them by number."""
    named = getattr(model, "classes_", None)
    return tuple(range(_count(model))) if named is None else tuple(np.asarray(named).tolist())


def predict(model: Any, matrix: Matrix) -> npt.NDArray[np.float64]:
    """Return XGBoost's own answers: the probability of class 1, or of each class, or the value."""
    booster = _booster(model)
    rows = needed("xgboost", "xgboost").DMatrix(matrix, feature_names=booster.feature_names)
    found = np.asarray(booster.predict(rows, iteration_range=_rounds(model)), dtype=np.float64)
    return found if task(model) == "multiclass" else found.reshape(len(matrix))


def to_onnx(model: Any, features: int, kind: str) -> bytes:
    """Return the ONNX graph: float32 `features` [rows, k] to float32 `score` [rows], or to `probabilities`."""
    booster = _booster(model)
    if booster.num_features() != features:
        raise InvalidInput(
            f"The model was trained on {booster.num_features()} features, the transform makes {features}.",
            hint="Train on the matrix that the fitted transform returns.",
        )
    start, end = _rounds(model)
    plain = booster[start:end] if end else booster.copy()
    plain.feature_names = None  # the converter wants f0, f1, ...
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the converters warn about themselves
        made = _convert(plain, features)
    if kind == "multiclass":
        return graph.probabilities(made, _count(model))
    return graph.one_score(made, column=1 if kind == "binary" and len(made.graph.output) > 1 else None)


def native(model: Any) -> bytes:
    """Return XGBoost's own JSON."""
    return bytes(_booster(model).save_raw(raw_format="json"))


def importance(model: Any, names: tuple[str, ...]) -> Mapping[str, float]:
    """Return each feature's share of the gain."""
    booster = _booster(model)
    known = booster.feature_names or [f"f{at}" for at in range(len(names))]
    gain = booster.get_score(importance_type="total_gain")
    total = sum(gain.values())
    if total <= 0:
        return {}
    return {name: float(gain.get(own, 0.0)) / total for name, own in zip(names, known, strict=True)}


def _booster(model: Any) -> Any:
    return model.get_booster() if hasattr(model, "get_booster") else model


def _rounds(model: Any) -> tuple[int, int]:
    """Return the trees that answer: those up to the best iteration where training stopped early."""
    best = getattr(model, "best_iteration", None) if hasattr(model, "get_booster") else None
    return (0, int(best) + 1) if best is not None else (0, 0)


def _objective(model: Any) -> str:
    config = json.loads(_booster(model).save_config())
    return str(config["learner"]["objective"]["name"])


def _count(model: Any) -> int:
    config = json.loads(_booster(model).save_config())
    return int(config["learner"]["learner_model_param"]["num_class"])


def _convert(booster: Any, features: int) -> Any:
    from onnxmltools import convert_xgboost  # noqa: PLC0415 - slow: brings every converter
    from onnxmltools.convert.common.data_types import FloatTensorType  # noqa: PLC0415 - as above

    types = [(graph.INPUT, FloatTensorType([None, features]))]
    return convert_xgboost(booster, initial_types=types, target_opset=graph.OPSET)
