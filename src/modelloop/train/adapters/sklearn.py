"""Scikit-learn: estimators and pipelines of them to ONNX."""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...ground.core.errors import InvalidInput
from ...ground.core.later import needed
from ...ground.core.later import numpy as np
from ...prepare.records import Matrix
from . import graph

if TYPE_CHECKING:
    import numpy.typing as npt

FORMAT = "skops"
_SCHEMA = "schema.json"
_ADDRESS = re.compile(r'"(?:__id__": |file": ")(\d+)')


def knows(model: object) -> bool:
    """Say whether the model is an estimator that scikit-learn would call fitted or not, without importing it."""
    return any(kind.__module__.split(".")[0] == "sklearn" for kind in type(model).__mro__) and hasattr(model, "predict")


def task(model: Any) -> str:
    """Return `binary`, `multiclass` or `regression`, as the estimator says of itself."""
    says = model.__sklearn_tags__().estimator_type
    if says == "regressor":
        return "regression"
    classes = len(getattr(model, "classes_", ()))
    if says == "classifier" and classes >= 2 and hasattr(model, "predict_proba"):
        return "binary" if classes == 2 else "multiclass"
    raise InvalidInput(
        f"{type(model).__name__} is neither a regressor nor a classifier of two or more classes with probabilities.",
        hint="Fit it first; a classifier needs two classes and predict_proba.",
    )


def classes(model: Any) -> tuple[Any, ...]:
    """Return the classes in the order of the probabilities, as they stood in the training labels."""
    return tuple(np.asarray(model.classes_).tolist())


def predict(model: Any, matrix: Matrix) -> npt.NDArray[np.float64]:
    """Return scikit-learn's own answers: the probability of the second class, or of each, or the value."""
    if (kind := task(model)) != "regression":
        found = np.asarray(model.predict_proba(matrix), dtype=np.float64)
        return found if kind == "multiclass" else found[:, 1]
    return np.asarray(model.predict(matrix), dtype=np.float64).reshape(len(matrix))


def to_onnx(model: Any, features: int, kind: str) -> bytes:
    """Return the ONNX graph: float32 `features` [rows, k] to float32 `score` [rows], or to `probabilities`."""
    expected = getattr(model, "n_features_in_", features)
    if expected != features:
        raise InvalidInput(
            f"The model was trained on {expected} features, the transform makes {features}.",
            hint="Train on the matrix that the fitted transform returns.",
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the converters warn about themselves
        converted = _convert(model, features, classifier=kind != "regression")
    if kind == "multiclass":
        return graph.probabilities(converted, len(model.classes_))
    return graph.one_score(converted, column=1 if kind == "binary" else None)


def native(model: Any) -> bytes:
    """Return the estimator as skops writes it: data and names of types, no code; nothing for one that it cannot write.

    Equal estimators give equal bytes.
    """
    skops = needed("skops.io", "ml")
    try:
        return steady(skops.dumps(model))
    except (TypeError, AttributeError):  # UnsupportedTypeException is a TypeError
        return b""


def steady(data: bytes) -> bytes:
    """Return a skops file with the addresses of objects, and the time, taken out of it."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    schema = members.pop(_SCHEMA).decode()
    order = {found: str(at) for at, found in enumerate(dict.fromkeys(_ADDRESS.findall(schema)))}

    def renamed(match: re.Match[str]) -> str:
        return match[0].replace(match[1], order[match[1]])

    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        new = {
            order.get(name.split(".")[0], name.split(".")[0]) + name[len(name.split(".")[0]) :]: body
            for name, body in members.items()
        }
        for name, body in (*sorted(new.items()), (_SCHEMA, _ADDRESS.sub(renamed, schema).encode())):
            archive.writestr(zipfile.ZipInfo(name), body, zipfile.ZIP_DEFLATED)
    return made.getvalue()


def importance(model: Any, names: tuple[str, ...]) -> Mapping[str, float]:
    """Return each feature's share of the splits' gain, or of the weights behind a scaler; otherwise nothing."""
    steps = [step for _, step in getattr(model, "steps", [("", model)])]
    last = steps[-1]
    weights = getattr(last, "feature_importances_", None)
    if weights is None and any(type(step).__name__ == "StandardScaler" for step in steps[:-1]):
        weights = getattr(last, "coef_", None)  # weights of unscaled features are in different units
    if weights is None:
        return {}
    share = np.abs(np.asarray(weights, dtype=np.float64))
    share = share.mean(axis=0) if share.ndim == 2 else share.reshape(-1)
    if len(share) != len(names) or share.sum() <= 0:
        return {}
    return dict(zip(names, (share / share.sum()).tolist(), strict=True))


def _convert(model: Any, features: int, *, classifier: bool) -> Any:
    from skl2onnx import convert_sklearn  # noqa: PLC0415 - slow: brings every converter
    from skl2onnx.common.data_types import FloatTensorType  # noqa: PLC0415 - as above

    options = {"zipmap": False} if classifier else None
    return convert_sklearn(
        model,
        initial_types=[(graph.INPUT, FloatTensorType([None, features]))],
        target_opset={"": graph.OPSET, "ai.onnx.ml": graph.ML_OPSET},
        options=options,
    )
