"""A model that exists already, as ONNX: it becomes a candidate without being trained here.

made = from_onnx(Path("model.onnx").read_bytes(), Transform([tokens("text", Path("tokenizer.json"), 128)]).fit(rows),
    holdout=rows, label="mood", time="at", task="multiclass", labels=("bad", "fair", "good"), logits=True)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from ..ground.core.errors import InvalidInput
from ..ground.core.later import needed
from ..ground.core.later import numpy as np
from ..ground.core.later import polars as pl
from ..prepare.columns import from_frame
from ..prepare.records import FEATURES
from ..prepare.tensors import TYPES as NUMPY
from ..prepare.tensors import TensorInput, Tensors
from ..prepare.transform import FittedTransform
from .candidate import baseline_of, check_alone, class_names
from .graph_scorer import ANY_TYPES
from .records import Candidate
from .rows import check_rows, moment, sample_rows
from .scorer import REFUSALS, open_session

if TYPE_CHECKING:
    import numpy.typing as npt

Asks = Callable[[Mapping[str, "npt.NDArray[Any]"]], "npt.NDArray[Any]"]
TASKS = ("binary", "multiclass", "regression")


class _More(TypedDict, total=False):
    labels: Sequence[str] | Sequence[int]
    """Names of the classes in the order of the graph's columns; left out, their places."""
    output: str
    """The graph's output that answers; left out, the first."""
    logits: bool
    """It answers logits: they go through a softmax (one column: a sigmoid)."""
    answers: Asks
    """The model's own answers, as a function of the tensors, to compare with; left out, the graph's as it came."""
    train: pl.DataFrame
    """Rows it was trained on, for the baseline and the span; left out, `holdout` gives the baseline."""
    params: Mapping[str, Any]
    """Anything for the card."""
    notes: str


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which output answers, and how."""

    output: str
    task: str
    logits: bool
    columns: int
    """How many numbers a row it has."""


def from_onnx(
    onnx: bytes,
    transform: FittedTransform | Tensors,
    *,
    holdout: pl.DataFrame,
    label: str,
    time: str,
    task: str,
    **more: Unpack[_More],
) -> Candidate:
    """Return a candidate that answers with a graph that was made elsewhere.

    `transform` makes what the graph is fed with: its inputs are named as the transform's tensors, or `features` for the
    float32 matrix; an input of another name may take the matrix if it is the only one. `tensors_of(onnx)` hands whole
    tensors over as they are. `holdout` are labelled rows that the model has not seen: the gates judge it by them.
    `task`: binary, multiclass or regression. More may be said: `labels`, `output`, `logits`, `answers` (the model's
    own, as a function of the tensors, to compare with), `train`, `params`, `notes`.
    """
    _check_asked(task, set(more))
    train = more.get("train", holdout)
    names = [column.name for column in transform.inputs] or list(transform.tensors)
    check_rows(holdout, "holdout", [*names, label, time])
    check_rows(train, "train", [*names, label, time])
    sample = sample_rows(train.select(names), holdout.select(names), few=bool(transform.tensors))
    onnx = _renamed(onnx, transform)
    feeds = transform.feeds(from_frame(sample, names))
    answered = _ask(onnx, feeds, more.get("output", ""))
    wanted = _Wanted(answered.output, task, bool(more.get("logits", False)), answered.columns)
    expected = _expected(more.get("answers"), feeds, answered.values, wanted)
    labels = class_names(more.get("labels") or tuple(range(wanted.columns)), wanted.columns) if task == TASKS[1] else ()
    made = _one_output(onnx, wanted)
    check_alone(transform, made, labels, sample, expected)
    return Candidate(
        transform=transform,
        onnx=made,
        native=b"",
        native_format="",
        holdout=holdout,
        label=label,
        time=time,
        sample=sample,
        expected=expected,
        trained_from=moment(train[time].min(), time),
        trained_until=moment(train[time].max(), time) if "train" in more else moment(holdout[time].min(), time),
        rows=train.height if "train" in more else 0,
        baseline=baseline_of(train, label, labels),
        params=dict(more.get("params", {})),
        notes=str(more.get("notes", "")),
        labels=labels,
    )


def _check_asked(task: str, more: set[str]) -> None:
    known = tuple(_More.__annotations__)
    if unknown := sorted(more - set(known)):
        raise InvalidInput(f"from_onnx knows no `{unknown[0]}`.", hint=f"There are {', '.join(known)}.")
    if task not in TASKS:
        raise InvalidInput(f"from_onnx knows no task {task!r}.", hint=f"There are {', '.join(TASKS)}.")


def tensors_of(onnx: bytes) -> Tensors:
    """Return what a graph takes, as tensors that callers send as they are; raises InvalidInput for other inputs."""
    numpy_names = {name: datatype for datatype, name in NUMPY.items()}
    found = []
    for one in open_session(onnx).get_inputs():
        if one.type not in ANY_TYPES:
            raise InvalidInput(
                f"The graph takes {one.name} as {one.type}.", hint="Tensors of numbers or strings can be."
            )
        shape = tuple(size if isinstance(size, int) and size >= 0 else -1 for size in one.shape or ())
        if shape and shape[0] not in (-1, 1):
            raise InvalidInput(
                f"The graph takes {one.name} as {list(shape)}.", hint="Export it for any number of rows."
            )
        found.append(TensorInput(one.name, numpy_names[ANY_TYPES[one.type]], (-1, *shape[1:])))
    return Tensors(found)


@dataclass(frozen=True, slots=True)
class _Given:
    output: str
    columns: int
    values: npt.NDArray[np.float64]


def _ask(onnx: bytes, feeds: Mapping[str, npt.NDArray[Any]], output: str) -> _Given:
    """Return what the graph, as it came, answers to the sample."""
    session = open_session(onnx)
    outputs = [one.name for one in session.get_outputs()]
    if output and output not in outputs:
        raise InvalidInput(f"The graph has no output {output!r}.", hint=f"It has {', '.join(outputs)}.")
    asked = [one.name for one in session.get_inputs()]
    missing = [name for name in asked if name not in feeds]
    if missing:
        raise InvalidInput(
            f"The graph asks for {', '.join(asked)}; the transform makes {', '.join(feeds)}.",
            hint="Make them with tokens(..., wanted=...) or picture(..., name=...), or take tensors_of(onnx).",
        )
    name = output or outputs[0]
    try:
        found = session.run([name], {one: feeds[one] for one in asked})[0]
    except REFUSALS as error:
        raise InvalidInput(f"The graph cannot answer the sample: {error}.") from error
    rows = len(next(iter(feeds.values())))
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "fiub" or not rows or found.size % rows:
        raise InvalidInput(f"The output {name!r} is no row of numbers for each row.", hint=f"There are {outputs}.")
    values = found.astype(np.float64).reshape(rows, -1)
    return _Given(name, values.shape[1], values)


def _expected(
    answers: Asks | None, feeds: Mapping[str, npt.NDArray[Any]], found: npt.NDArray[np.float64], wanted: _Wanted
) -> npt.NDArray[np.float64]:
    """Return the answers to compare with: the model's own, or those of the graph as it came, with numpy's softmax."""
    if answers is not None:
        own = np.asarray(answers(feeds), dtype=np.float64)
        return own if wanted.task == "multiclass" else own.reshape(len(found))
    if wanted.logits and wanted.columns > 1:
        found = np.exp(found - found.max(axis=1, keepdims=True))
        found /= found.sum(axis=1, keepdims=True)
    elif wanted.logits:
        found = 1 / (1 + np.exp(-found))
    return found if wanted.task == "multiclass" else found[:, -1]


def _one_output(onnx: bytes, wanted: _Wanted) -> bytes:
    """Return the graph with the headline as its only output."""
    graph = needed("modelloop.train.adapters.graph", "ml")
    model = needed("onnx", "ml").load_from_string(onnx)
    columns = {"multiclass": range(2, 10_000), "binary": (1, 2), "regression": (1,)}[wanted.task]
    if wanted.columns not in columns:
        raise InvalidInput(
            f"The output {wanted.output!r} has {wanted.columns} numbers a row, which is no {wanted.task} answer.",
            hint="binary has one or two, multiclass two or more, regression one. Name another output=.",
        )
    if wanted.task == "multiclass":
        made: bytes = graph.probabilities(model, wanted.columns, output=wanted.output, logits=wanted.logits)
    else:
        made = graph.positive(model, output=wanted.output, logits=wanted.logits, columns=wanted.columns)
    return made


def _renamed(onnx: bytes, transform: FittedTransform | Tensors) -> bytes:
    """Call the graph's only input `features` where the transform makes a matrix only."""
    if transform.tensors:
        return onnx
    model = needed("onnx", "ml").load_from_string(onnx)
    held = {one.name for one in model.graph.initializer}
    inputs = [one for one in model.graph.input if one.name not in held]
    if len(inputs) != 1 or inputs[0].name == FEATURES:
        return onnx
    before = inputs[0].name
    inputs[0].name = FEATURES
    for node in model.graph.node:
        for at, name in enumerate(node.input):
            if name == before:
                node.input[at] = FEATURES
    renamed: bytes = model.SerializeToString(deterministic=True)
    return renamed
