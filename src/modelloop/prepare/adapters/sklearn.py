"""Scikit-learn's transformers: fitted by scikit-learn, written as ONNX, and compared before they are trusted."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import skl2onnx
import sklearn
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType
from sklearn.base import clone

from ...ground.core.errors import InvalidInput
from ...ground.core.later import numpy as np
from .graph import EXACT, REFUSALS, Graph

if TYPE_CHECKING:
    import numpy.typing as npt

COMPARED = 2_000
"""Training rows that both must answer alike."""
_OPSET = {"": 15, "ai.onnx.ml": 3}
_CANNOT = (*REFUSALS, RuntimeError, ValueError, TypeError, AttributeError, KeyError, IndexError)


@dataclass(frozen=True, slots=True)
class Exported:
    """A fitted transformer as ONNX."""

    onnx: bytes
    features: tuple[str, ...]
    """Names as the transformer gives them, or numbers."""
    by_row: bool
    """Whether rows must be computed one by one to get the same bytes alone and among others."""
    written_by: str


def export(
    estimator: Any, rows: npt.NDArray[Any], names: tuple[str, ...], label: npt.NDArray[Any] | None, tolerance: float
) -> Exported:
    """Fit a copy on the rows and return its graph; raises InvalidInput, naming the estimator, if it cannot be used."""
    kind = type(estimator).__name__
    if not (hasattr(estimator, "fit") and hasattr(estimator, "transform") and hasattr(estimator, "get_params")):
        raise InvalidInput(f"{kind} is no scikit-learn transformer: it has no fit, transform and get_params.")
    try:
        fitted = clone(estimator).fit(rows, label)
        wanted = _dense(fitted.transform(rows[:COMPARED]))
    except _CANNOT as error:
        raise InvalidInput(f"{kind} cannot be fitted on {', '.join(names)}: {error}") from error
    reasons = []
    types = (StringTensorType,) if rows.dtype == object else (DoubleTensorType, FloatTensorType)
    for tensor in types:
        try:
            data, by_row = _converted(fitted, tensor([None, rows.shape[1]]))
            found = Graph(data, by_row=by_row).run(tuple(rows[:COMPARED].T))
        except _CANNOT as error:
            reasons.append(str(error).strip().splitlines()[0][:200])
            continue
        apart = _apart(found, wanted)
        if apart <= tolerance:
            written_by = f"{type(fitted).__module__}.{kind} (scikit-learn {sklearn.__version__})"
            return Exported(data, _feature_names(fitted, names, wanted.shape[1]), by_row, written_by)
        reasons.append(f"its ONNX graph answers otherwise, by up to {apart:.3g} (tolerated: {tolerance:g})")
    raise InvalidInput(
        f"{kind} cannot be used in a transform: {'; '.join(dict.fromkeys(reasons))}.",
        hint="Use another transformer, or do this before the transform, in a step.",
    )


def _converted(fitted: Any, tensor: Any) -> tuple[bytes, bool]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the converters warn about themselves
        model = skl2onnx.convert_sklearn(fitted, initial_types=[("columns", tensor)], target_opset=_OPSET)
    model.graph.name = "modelloop"  # converters write a random name; the same transformer must give the same bytes
    data: bytes = model.SerializeToString(deterministic=True)
    return data, not {node.op_type for node in model.graph.node} <= EXACT


def _dense(found: Any) -> npt.NDArray[np.float64]:
    dense = found.toarray() if hasattr(found, "toarray") else found
    return np.asarray(dense, np.float64).reshape(len(dense), -1)


def _apart(found: npt.NDArray[np.float64], wanted: npt.NDArray[np.float64]) -> float:
    """Return the largest difference, relative to values above 1."""
    if found.shape != wanted.shape or (np.isnan(found) != np.isnan(wanted)).any():
        return float("inf")
    with np.errstate(invalid="ignore"):
        apart = np.abs(found - wanted) / np.maximum(1.0, np.abs(wanted))
    return float(np.nanmax(np.where(found == wanted, 0.0, apart), initial=0.0))


def _feature_names(fitted: Any, names: tuple[str, ...], count: int) -> tuple[str, ...]:
    try:
        found = tuple(str(name) for name in fitted.get_feature_names_out(list(names)))
    except (AttributeError, ValueError, TypeError):
        found = ()
    return found if len(found) == count else tuple(str(number) for number in range(count))
