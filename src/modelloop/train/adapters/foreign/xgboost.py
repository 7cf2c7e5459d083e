"""XGBoost's models as MLflow writes them: UBJSON or JSON, both safe."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

from ....ground.core.errors import InvalidInput
from ....ground.core.later import needed
from ....prepare.records import Columns
from .. import graph
from .. import xgboost as trained
from .form import MATRIX, Given, Inputs, Loaded, matrix

_CLASSES = ("XGBClassifier", "XGBRegressor", "XGBRFClassifier", "XGBRFRegressor", "XGBRanker")


def load(given: Given) -> Loaded:
    """Load a booster, or one of XGBoost's own estimators."""
    library = needed("xgboost", "xgboost")
    said = given.settings.get("model_class", "xgboost.core.Booster")
    kind = said.rpartition(".")[2]
    if kind not in ("Booster", *_CLASSES) or not said.startswith("xgboost."):
        raise InvalidInput(f"Its class {said[:80]!r} is none of XGBoost's: Booster, {', '.join(_CLASSES)}.")
    model = getattr(library, kind)()
    try:
        model.load_model(str(given.path))
    except library.core.XGBoostError as error:
        raise InvalidInput(f"{given.path.name} is no model of XGBoost: {str(error).splitlines()[0]}") from error
    booster = model if kind == "Booster" else model.get_booster()
    names = booster.feature_names

    def answer(columns: Columns, inputs: Inputs) -> Any:
        rows = matrix(columns, inputs)
        if kind == "Booster":
            return model.predict(library.DMatrix(rows, feature_names=names))
        return model.predict(rows, **({"validate_features": False} if names else {}))

    return Loaded(
        answer=answer,
        graphs=lambda _, inputs: _graphs(model, kind, inputs),
        width=booster.num_features(),
        names=tuple(names) if names else None,
        versions={"xgboost": library.__version__},
        kind="xgboost",
        platform="xgboost_json" if given.path.suffix == ".json" else "xgboost_ubj",
    )


def _graphs(model: Any, kind: str, inputs: Inputs) -> Iterator[bytes]:
    if kind in ("XGBClassifier", "XGBRFClassifier"):
        yield _labels(model, len(inputs))
    else:
        yield trained.to_onnx(model, len(inputs), trained.task(model))


def _labels(model: Any, width: int) -> bytes:
    from onnxmltools import convert_xgboost  # noqa: PLC0415 - slow: brings every converter
    from onnxmltools.convert.common.data_types import FloatTensorType  # noqa: PLC0415 - as above

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the converters warn about themselves
        booster = model.get_booster()
        booster.feature_names = None  # the converter wants f0, f1, ...
        types = [(MATRIX, FloatTensorType([None, width]))]
        made = convert_xgboost(model, initial_types=types, target_opset=graph.OPSET)
    return graph.first_output(made)
