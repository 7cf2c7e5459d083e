"""scikit-learn's models as MLflow writes them: skops (safe), or a pickle."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from ....ground.core.errors import InvalidInput
from ....ground.core.later import needed
from ....ground.core.later import numpy as np
from ....prepare.records import Columns, Datatype
from .. import graph
from .form import MATRIX, Given, Inputs, Loaded, frame, matrix, need_pickle

_CLASSES = re.compile(
    r"collections\.OrderedDict|(sklearn|lightgbm|xgboost)\.[\w.]*\.?[A-Z]\w*|numpy\.(dtype|ndarray|\w*int\d*|float\d+)"
)
"""Types that a skops file may hold beyond skops' own list: classes of the libraries that are asked anyway."""


def load(given: Given) -> Loaded:
    """Load a model; raises InvalidInput for a pickle that nobody allowed, and for types that skops does not trust."""
    model = read(given)
    wanted = given.settings.get("predict_fn", "predict")
    if not hasattr(model, wanted):
        raise InvalidInput(f"{type(model).__name__} has no {wanted}.")
    names = getattr(model, "feature_names_in_", None)
    version = needed("sklearn", "ml").__version__

    def asked(method: str, columns: Columns, inputs: Inputs) -> Any:
        strings = any(one.datatype is Datatype.BYTES for one in inputs)
        rows = frame(columns, inputs) if strings or names is not None else matrix(columns, inputs)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return getattr(model, method)(rows)

    knows = hasattr(model, "predict_proba")
    return Loaded(
        answer=lambda columns, inputs: asked(wanted, columns, inputs),
        classes=classes_of(model, wanted),
        probabilities=(lambda columns, inputs: asked("predict_proba", columns, inputs)) if knows else None,
        graphs=lambda _, inputs: _graphs(model, inputs, wanted),
        width=getattr(model, "n_features_in_", None),
        names=None if names is None else tuple(str(name) for name in names),
        versions={"scikit-learn": version},
        kind=kind_of(given),
        platform=f"sklearn_{format_of(given)}",
    )


def classes_of(model: Any, wanted: str = "predict") -> list[Any]:
    """Return a classifier's classes; as words where its probabilities are what it is asked for."""
    classes = np.asarray(getattr(model, "classes_", ()))
    if classes.ndim != 1:  # several questions at once
        return []
    return [str(one) if wanted == "predict_proba" else one for one in classes.tolist()]


def read(given: Given) -> Any:
    """Read an estimator from a skops file, or from a pickle where that is allowed."""
    if given.path.suffix != ".skops":
        need_pickle(given, given.path.name)
        needed("sklearn", "ml")
        return unpickled(given)
    skops = needed("skops.io", "ml")
    strange = _strange(skops, given)
    if strange and not given.pickle:
        raise InvalidInput(
            f"{given.path.name} holds types that are not trusted: {', '.join(strange[:5])}.",
            hint="Look where it comes from; then `modelloop models convert MODEL:NUMBER --allow-pickle`.",
        )
    return skops.load(given.path, trusted=skops.get_untrusted_types(file=given.path))


def kind_of(given: Given) -> str:
    """Return `skops` for a file whose types are all trusted, else `python`."""
    if given.path.suffix != ".skops":
        return "python"
    return "python" if _strange(needed("skops.io", "ml"), given) else "skops"


def format_of(given: Given) -> str:
    """Return `skops` or `pickle`."""
    return "skops" if given.path.suffix == ".skops" else "pickle"


def _strange(skops: Any, given: Given) -> list[str]:
    return [name for name in skops.get_untrusted_types(file=given.path) if not _CLASSES.fullmatch(name)]


def unpickled(given: Given) -> Any:
    """Unpickle: in a child process, after a person allowed it for this version."""
    with given.path.open("rb") as file:
        return needed("cloudpickle", "ml").load(file)


def _graphs(model: Any, inputs: Inputs, wanted: str) -> Iterator[bytes]:
    classes = np.asarray(getattr(model, "classes_", ()))
    ways: list[Callable[[Any], bytes]] = [graph.first_output]
    if (classes.ndim == 1 and classes.dtype.kind in "OUS") or wanted == "predict_proba":
        ways = [graph.last_output]
    elif classes.ndim == 1 and classes.size and classes.dtype.kind in "iufb":
        ways.append(lambda made: graph.likeliest(made, tuple(classes.astype(np.float64))))
    for typed in _types(inputs):
        for way in ways:
            yield way(_written(model, typed, wanted))


def _types(inputs: Inputs) -> Iterator[list[tuple[str, Any]]]:
    """Yield what the graph may be asked with: exact numbers first, one matrix before single columns."""
    from skl2onnx.common.data_types import (  # noqa: PLC0415 - slow: brings every converter
        DoubleTensorType,
        FloatTensorType,
        StringTensorType,
    )

    strings = [one.datatype is Datatype.BYTES for one in inputs]
    numbers = (DoubleTensorType, FloatTensorType)
    if not any(strings):
        yield from ([(MATRIX, kind([None, len(inputs)]))] for kind in numbers)
    if all(strings):
        yield [(MATRIX, StringTensorType([None, len(inputs)]))]
    for kind in numbers:
        made = [StringTensorType if text else kind for text in strings]
        yield [(one.name, each([None, 1])) for one, each in zip(inputs, made, strict=True)]


def _written(model: Any, types: list[tuple[str, Any]], wanted: str) -> Any:
    from skl2onnx import convert_sklearn  # noqa: PLC0415 - slow: brings every converter

    if wanted not in ("predict", "predict_proba"):
        raise InvalidInput(f"It answers {wanted}, which no graph does.")
    classifier = np.asarray(getattr(model, "classes_", ())).size > 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the converters warn about themselves
        return convert_sklearn(
            model,
            initial_types=types,
            target_opset={"": graph.OPSET, "ai.onnx.ml": graph.ML_OPSET},
            options={id(model): {"zipmap": False}} if classifier else None,
        )
