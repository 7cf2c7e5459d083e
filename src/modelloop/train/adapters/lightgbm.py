"""LightGBM: models to ONNX and to its own text, with answers that agree."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...ground.core.errors import InvalidInput
from ...ground.core.later import numpy as np
from ...prepare.records import Matrix
from . import graph

if TYPE_CHECKING:
    import numpy.typing as npt

FORMAT = "lightgbm-text"
_PROBABILITY = frozenset({"binary", "cross_entropy"})
_CLASSES = "multiclass"
_LOG_VALUE = frozenset({"poisson", "gamma", "tweedie"})
_VALUE = frozenset({"regression", "regression_l1", "huber", "fair", "quantile", "mape"})
_TREES_IN_SINGLE = 50
"""Trees summed in single precision before their sum is added to the others in double."""
_THRESHOLDS = re.compile(r"^(threshold=)(.*)$", re.MULTILINE)


def knows(model: object) -> bool:
    """Say whether the model is one of LightGBM's, without importing LightGBM."""
    return any(kind.__module__.split(".")[0] == "lightgbm" for kind in type(model).__mro__)


def task(model: Any) -> str:
    """Return `binary`, `multiclass` or `regression`, as the model's objective says."""
    words = _objective(_booster(model).model_to_string(num_iteration=1))
    if words and words[0] in _PROBABILITY:
        return "binary"
    if words and words[0] in _VALUE | _LOG_VALUE:
        return "regression"
    if words and words[0] == _CLASSES:
        return "multiclass"
    raise InvalidInput(
        f"LightGBM's objective {words[0] if words else 'of your own'!r} is neither binary, multiclass nor regression.",
        hint=f"Train with one of {', '.join(sorted(_PROBABILITY | _VALUE | _LOG_VALUE | {_CLASSES}))}.",
    )


def classes(model: Any) -> tuple[Any, ...]:
    """Return the classes in the order of the probabilities; a booster knows them by number."""
    named = getattr(model, "classes_", None)
    return (
        tuple(range(_booster(model).num_model_per_iteration())) if named is None else tuple(np.asarray(named).tolist())
    )


def predict(model: Any, matrix: Matrix) -> npt.NDArray[np.float64]:
    """Return LightGBM's own answers: the probability of class 1, or of each class, or the value."""
    found = np.asarray(_booster(model).predict(matrix), dtype=np.float64)
    return found if task(model) == "multiclass" else found.reshape(len(matrix))


def to_onnx(model: Any, features: int, kind: str) -> bytes:
    """Return the ONNX graph: float32 `features` [rows, k] to float32 `score` [rows], or to `probabilities`."""
    booster = _booster(model)
    if booster.num_feature() != features:
        raise InvalidInput(
            f"The model was trained on {booster.num_feature()} features, the transform makes {features}.",
            hint="Train on the matrix that the fitted transform returns.",
        )
    text: str = booster.model_to_string()
    if kind == "multiclass":
        return _by_class(booster, text, features)
    trees = text.count("\nTree=")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the converters warn about themselves
        converted = _convert(_plain_sum(booster, text), features, split=trees > _TREES_IN_SINGLE)
    divisor = max(trees, 1) if "\naverage_output\n" in text else 1
    return graph.one_score(converted, _link(text), divisor=divisor)


def _by_class(booster: Any, text: str, features: int) -> bytes:
    """Return the graph of a sum of trees for each class, and their softmax."""
    if "\naverage_output\n" in text:
        raise InvalidInput("A random forest of LightGBM for several classes has no ONNX form.", hint="Take gbdt.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the converters warn about themselves
        plain = type(booster)(model_str=_single_thresholds(text), params={"verbosity": -1})
        converted = _convert(plain, features, split=False, zipmap=False)
    return graph.probabilities(converted, booster.num_model_per_iteration())


def native(model: Any) -> bytes:
    """Return LightGBM's own text."""
    text: str = _booster(model).model_to_string()
    return text.encode()


def importance(model: Any, names: tuple[str, ...]) -> Mapping[str, float]:
    """Return each feature's share of the gain."""
    gain = np.asarray(_booster(model).feature_importance(importance_type="gain"), dtype=np.float64)
    total = gain.sum()
    return dict(zip(names, (gain / total).tolist(), strict=True)) if total > 0 else {}


def _booster(model: Any) -> Any:
    return getattr(model, "booster_", model)


def _objective(text: str) -> list[str]:
    """Return the objective and its own settings: `binary sigmoid:1` is ['binary', 'sigmoid:1']."""
    found = re.search(r"^objective=(.*)$", text, re.MULTILINE)
    return found.group(1).split() if found else []


def _link(text: str) -> graph.Link:
    """Return how the sum of the trees becomes the answer (LightGBM: ObjectiveFunction::ConvertOutput)."""
    name, *settings = _objective(text)
    if name in _PROBABILITY:
        scale = next((float(word.split(":")[1]) for word in settings if word.startswith("sigmoid:")), 1.0)
        return graph.Link("Sigmoid", scale)
    if name in _LOG_VALUE:
        return graph.Link("Exp")
    return graph.Link("SignedSquare") if "sqrt" in settings else graph.Link("Identity")


def _single_thresholds(text: str) -> str:
    """Return the model's text with thresholds that single precision can hold.

    LightGBM compares in double, ONNX in single. For a single-precision x, `x <= t` and `x <= t'` are the same question
    when t' is the largest single not above t; rounding to the nearest instead moves rows between two neighbours.
    """

    def floor(match: re.Match[str]) -> str:
        exact = np.array(match.group(2).split(), dtype=np.float64)
        single = exact.astype(np.float32)
        above = single.astype(np.float64) > exact
        single[above] = np.nextafter(single[above], np.float32(-np.inf))
        return match.group(1) + " ".join(repr(float(value)) for value in single)

    # The header's tree sizes would be wrong now; without them LightGBM reads tree by tree.
    return _THRESHOLDS.sub(floor, re.sub(r"^tree_sizes=.*\n", "", text, flags=re.MULTILINE))


def _plain_sum(booster: Any, text: str) -> Any:
    """Return the model as a plain sum of trees; link and average are ours."""
    text = _single_thresholds(text)
    text = re.sub(r"^average_output\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"^objective=.*$", "objective=regression", text, flags=re.MULTILINE)
    text = re.sub(r"^\[objective: .*$", "[objective: regression]", text, flags=re.MULTILINE)
    return type(booster)(model_str=text, params={"verbosity": -1})


def _convert(booster: Any, features: int, *, split: bool, zipmap: bool = True) -> Any:
    from onnxmltools import convert_lightgbm  # noqa: PLC0415 - slow: brings every converter
    from onnxmltools.convert.common.data_types import FloatTensorType  # noqa: PLC0415 - as above

    types = [(graph.INPUT, FloatTensorType([None, features]))]
    pieces = _TREES_IN_SINGLE if split else None  # the converter fails on a single piece
    return convert_lightgbm(booster, initial_types=types, target_opset=graph.OPSET, split=pieces, zipmap=zipmap)
