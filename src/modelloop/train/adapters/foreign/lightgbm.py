"""LightGBM's models as MLflow writes them: a booster in its own text; an estimator in skops (safe), or a pickle."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

from ....ground.core.errors import InvalidInput
from ....ground.core.later import needed
from ....prepare.records import Columns
from .. import graph
from .. import lightgbm as trained
from . import sklearn
from .form import MATRIX, Given, Inputs, Loaded, frame, matrix


def load(given: Given) -> Loaded:
    """Load a booster or an estimator."""
    library = needed("lightgbm", "ml")
    booster = given.settings.get("model_class", "lightgbm.basic.Booster") == "lightgbm.basic.Booster"
    if booster:
        try:
            model = library.Booster(model_file=str(given.path), params={"verbosity": -1})
        except library.basic.LightGBMError as error:
            raise InvalidInput(f"{given.path.name} is no model of LightGBM: {error}") from error
    else:
        model = sklearn.read(given)
    names = tuple(model.feature_name()) if booster else tuple(model.feature_name_)
    generic = all(name == f"Column_{at}" for at, name in enumerate(names))

    def asked(method: str, columns: Columns, inputs: Inputs) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            rows = matrix(columns, inputs) if generic or booster else frame(columns, inputs)
            return getattr(model, method)(rows)

    classes = [] if booster else sklearn.classes_of(model)
    return Loaded(
        answer=lambda columns, inputs: asked("predict", columns, inputs),
        classes=classes,
        probabilities=(lambda columns, inputs: asked("predict_proba", columns, inputs)) if classes else None,
        graphs=lambda _, inputs: _booster(model, inputs) if booster else _estimator(model, inputs),
        width=len(names),
        names=None if generic else names,
        note="Numbers are rounded to single precision before the trees look at them.",
        versions={"lightgbm": library.__version__},
        kind="lightgbm" if booster else sklearn.kind_of(given),
        platform="lightgbm_text" if booster else f"lightgbm_{sklearn.format_of(given)}",
    )


def _booster(model: Any, inputs: Inputs) -> Iterator[bytes]:
    yield trained.to_onnx(model, len(inputs), trained.task(model))


def _estimator(model: Any, inputs: Inputs) -> Iterator[bytes]:
    if not hasattr(model, "classes_"):
        yield trained.to_onnx(model, len(inputs), "regression")
        return
    from onnxmltools import convert_lightgbm  # noqa: PLC0415 - slow: brings every converter
    from onnxmltools.convert.common.data_types import FloatTensorType  # noqa: PLC0415 - as above

    types = [(MATRIX, FloatTensorType([None, len(inputs)]))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the converters warn about themselves
        made = convert_lightgbm(model, initial_types=types, target_opset=graph.OPSET, zipmap=False)
    yield graph.first_output(made)
