"""One call at the end of a training pipeline: a fitted model and its transform become a candidate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from ..ground.core.errors import InvalidInput
from ..ground.core.later import numpy as np
from ..ground.core.later import polars as pl
from ..prepare.columns import from_frame
from ..prepare.tensors import Tensors
from ..prepare.transform import FittedTransform
from .adapters import lightgbm, sklearn, torch, xgboost
from .graph_scorer import TensorScorer
from .records import Candidate, Study
from .replies import class_places
from .rows import SAMPLE_ROWS, check_rows, moment, sample_rows
from .scorer import Scorer

if TYPE_CHECKING:
    import numpy.typing as npt

ALONE = 4
"""Rows of the sample that are asked alone too."""
__all__ = ["SAMPLE_ROWS", "candidate"]


class _More(TypedDict, total=False):
    params: Mapping[str, Any] | None
    """JSON values for the card; left out, they are the best trial's of `study`."""
    study: Study | None
    """The search that found the parameters."""
    labels: Sequence[str] | Sequence[int]
    """Of more than two classes their names, in the order of the model's probabilities; left out, as the model knows
    them. The label column holds these names, or, where they are text, their places."""


def candidate(
    model: Any,
    transform: FittedTransform | Tensors,
    *,
    train: pl.DataFrame,
    holdout: pl.DataFrame,
    label: str,
    time: str,
    **more: Unpack[_More],
) -> Candidate:
    """Return what Modelloop judges, registers and serves.

    `model` is a fitted LightGBM or XGBoost booster or estimator, a scikit-learn estimator or pipeline, or a torch
    module; its task (binary, multiclass or regression) is asked of itself. It must have been trained on
    `transform.apply(...)` of `train`, which is float32. A torch module may take tensors instead (token ids, pictures):
    those of `transform.feeds(...)`, in their order.
    `train` and `holdout` hold raw columns, the label and the event time `time`; `holdout` also the columns to slice by.
    More may be said: `params` for the card, the `study` that found them, and `labels`, the names of more than two
    classes in the order of the model's probabilities.

        model = LGBMClassifier().fit(transform.apply(from_frame(train, names)), train["late"])
        return candidate(model, transform, train=train, holdout=holdout, label="late", time="at")
    """
    _check_said(set(more))
    names = [column.name for column in transform.inputs] or list(transform.tensors)
    check_rows(train, "train", [*names, label, time])
    check_rows(holdout, "holdout", [*names, label, time])
    adapter = _adapter(model, fed=bool(transform.tensors))
    sample = sample_rows(train.select(names), holdout.select(names), few=bool(transform.tensors))
    made = _answered(adapter, model, transform, sample, more.get("labels", ()))
    native, params, study = adapter.native(model), more.get("params"), more.get("study")
    return Candidate(
        transform=transform,
        onnx=made.onnx,
        native=native,
        native_format=adapter.FORMAT if native else "",
        holdout=holdout,
        label=label,
        time=time,
        sample=sample,
        expected=made.expected,
        trained_from=moment(train[time].min(), time),
        trained_until=moment(train[time].max(), time),
        rows=train.height,
        baseline=baseline_of(train, label, made.labels),
        params=dict(params if params is not None else study.params if study is not None else {}),
        study=study,
        importance=adapter.importance(model, transform.names),
        labels=made.labels,
    )


def _check_said(more: set[str]) -> None:
    known = tuple(_More.__annotations__)
    if unknown := sorted(more - set(known)):
        raise InvalidInput(f"candidate knows no `{unknown[0]}`.", hint=f"There are {', '.join(known)}.")


@dataclass(frozen=True, slots=True)
class _Answered:
    expected: npt.NDArray[np.float64]
    onnx: bytes
    labels: tuple[Any, ...]


def _answered(
    adapter: ModuleType, model: Any, transform: FittedTransform | Tensors, sample: pl.DataFrame, labels: Sequence[Any]
) -> _Answered:
    """Return the model's own answers to the sample, its graph, and its classes."""
    kind = adapter.task(model)
    if labels and kind != "multiclass":
        raise InvalidInput(f"There are labels, and the model's task is {kind}.", hint="Labels are of several classes.")
    columns = from_frame(sample)
    if transform.tensors:
        feeds = transform.feeds(columns)
        expected, onnx = adapter.predict_fed(model, feeds), adapter.to_onnx_fed(model, feeds, kind)
    else:
        matrix = transform.apply(columns)
        expected = np.asarray(adapter.predict(model, matrix), dtype=np.float64)
        onnx = adapter.to_onnx(model, len(transform.names), kind)
    classes = _classes(adapter, model, expected, labels) if kind == "multiclass" else ()
    if transform.tensors:
        check_alone(transform, onnx, classes, sample, expected)
    return _Answered(expected, onnx, classes)


def check_alone(
    transform: FittedTransform | Tensors, onnx: bytes, labels: Sequence[Any], sample: pl.DataFrame, expected: Any
) -> None:
    """Raise InvalidInput for a graph that answers a row otherwise alone than among others.

    Exported for one number of rows or tokens, a graph fails on others; without its mask it takes fillers for words.
    """
    names = [column.name for column in transform.inputs] or list(transform.tensors)
    scorer = TensorScorer(onnx, labels=labels) if isinstance(transform, Tensors) else Scorer(transform, onnx, labels)
    for row in range(min(ALONE, sample.height)):
        try:
            found = scorer.outputs(from_frame(sample[row : row + 1], names))[scorer.output]
        except InvalidInput as error:
            raise InvalidInput(
                f"The graph does not answer row {row} of the sample alone: {error.message}",
                hint='Export it for any number of rows and tokens, or take tokens(..., pad="max_length").',
            ) from error
        if not np.allclose(found[0], expected[row], rtol=1e-2, atol=1e-3):
            raise InvalidInput(
                f"The graph answers row {row} of the sample {found[0]} alone, {expected[row]} among others.",
                hint="Its mask must hide what rows are filled up with, and no layer may look at other rows.",
            )


def baseline_of(train: pl.DataFrame, label: str, classes: Sequence[Any]) -> float | tuple[float, ...]:
    """Return what a model that looks at nothing would answer: the mean of the labels, or the share of each class."""
    if not classes:
        return float(np.mean(train[label].cast(pl.Float64).to_numpy()))
    places = class_places(train[label].to_list(), classes).astype(np.int64)
    return tuple((np.bincount(places, minlength=len(classes)) / len(places)).tolist())


def _classes(adapter: ModuleType, model: Any, expected: Any, labels: Sequence[Any]) -> tuple[Any, ...]:
    """Return the classes' names: those given, or as the model knows them; raises InvalidInput unless they fit."""
    count = expected.shape[1]
    return class_names(labels or adapter.classes(model) or tuple(range(count)), count)


def class_names(labels: Sequence[Any], count: int) -> tuple[Any, ...]:
    """Return the names if there are as many as probabilities, each once, all text or all whole numbers."""
    plain = tuple(int(one) if isinstance(one, float) and one.is_integer() else one for one in labels)
    kinds = {type(one) for one in plain}
    if len(plain) != count or len(set(plain)) != count or kinds not in ({str}, {int}):
        raise InvalidInput(
            f"The labels are {', '.join(map(repr, plain[:20]))}; the model answers {count} probabilities.",
            hint="Name each class once, in their order, all by text or all by whole numbers.",
        )
    return plain


def _adapter(model: object, *, fed: bool) -> ModuleType:
    kind = type(model)
    for adapter in (lightgbm, xgboost, torch, sklearn):
        if adapter.knows(model):
            if fed and adapter is not torch:
                raise InvalidInput(
                    f"A {kind.__name__} takes a matrix; the transform makes tensors.",
                    hint="A torch module, or an ONNX graph (from_onnx), takes token ids and pictures.",
                )
            return adapter
    raise InvalidInput(
        f"A model of type {kind.__module__}.{kind.__qualname__} cannot be exported.",
        hint="LightGBM, XGBoost, scikit-learn and torch models can; a graph you have already: from_onnx.",
    )
