"""The scoring code: the gateway, evaluation and parity all answer through this class, and through nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as state

from ..ground.core.errors import InvalidInput
from ..ground.core.later import numpy as np
from ..prepare.records import FEATURES, Columns, InputColumn, Matrix
from .replies import Labels, headline_name, label_array, one_each, with_label

if TYPE_CHECKING:
    import numpy.typing as npt

PART = 32
"""Rows of texts or pictures that are prepared and answered at once."""
REFUSALS = (
    state.Fail,
    state.InvalidArgument,
    state.InvalidGraph,
    state.InvalidProtobuf,
    state.NotImplemented,
    state.RuntimeException,
)


class Prepares(Protocol):
    """What a scorer needs of a transform (`prepare.transform.FittedTransform` has it)."""

    @property
    def inputs(self) -> tuple[InputColumn, ...]:
        """Return the raw columns it takes."""
        ...

    @property
    def tensors(self) -> tuple[str, ...]:
        """Return the names of the tensors it makes beside the matrix (token ids, pictures)."""
        ...

    def apply(self, columns: Columns) -> Matrix:
        """Turn raw columns into the matrix the model was trained on."""
        ...

    def feeds(self, columns: Columns) -> Mapping[str, npt.NDArray[Any]]:
        """Turn raw columns into all that a graph is fed with, by the name of its input."""
        ...


class Scorer:
    """A transform and an ONNX graph that answer together. One thread; it may be asked from several.

    The graph has one float32 input [rows, features], or inputs named as the tensors that the transform makes (with
    `features`, where it makes features too). It has one output: [rows], or [rows, classes] where there are `labels`
    (`train.adapters` and `train.bring` make such graphs). A package that holds `transform.json` and `model.onnx` is
    answered by this class; `register.signature.labels_of` gives the labels.
    """

    __slots__ = ("_fed", "_feed", "_labels", "_output", "_session", "output", "transform")

    def __init__(self, transform: Prepares, onnx: bytes, labels: Labels = (), output: str = "") -> None:
        """`output`: name of the headline; `score`, or `probabilities` where there are labels."""
        self.transform = transform
        self.output = output or headline_name(labels)
        self._labels = label_array(labels)
        self._session = open_session(onnx)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        made = getattr(transform, "tensors", ())
        fits = _fed(inputs, transform, made) if made else len(inputs) == 1 and inputs[0].type == "tensor(float)"
        if not fits or len(outputs) != 1:
            takes = f"inputs named {', '.join(made)}" if made else "One float32 input [rows, features]"
            raise InvalidInput(
                f"The graph has inputs {[(i.name, i.type) for i in inputs]} and outputs {[o.name for o in outputs]}.",
                hint=f"{takes} and one output [rows] are expected.",
            )
        self._feed = "" if made else inputs[0].name
        self._fed = tuple(one.name for one in inputs)
        self._output = (outputs[0].name,)

    def outputs(self, columns: Columns) -> dict[str, npt.NDArray[Any]]:
        """Return all outputs by name, the headline first; the first size of each is the number of rows."""
        if self._feed:
            matrix = self.transform.apply(columns)
            rows = len(matrix)
            found = self._run({self._feed: matrix}) if rows else _nothing(self._labels)
        else:
            found = self._in_parts(columns)
            rows = len(found)
        if self._labels is not None:
            return with_label({self.output: found}, self.output, self._labels)
        return {self.output: found.reshape(rows)}

    def score(self, columns: Columns) -> npt.NDArray[np.float64]:
        """Return one answer per row: the probability of the positive class, the value, or the place of the class."""
        if self._feed and self._labels is None:
            return self.answer(self.transform.apply(columns))
        found = self.outputs(columns)[self.output]
        return one_each(found, 0 if self._labels is None else len(self._labels), len(found))

    def answer(self, matrix: Matrix) -> npt.NDArray[np.float64]:
        """Return the headline of each row of an already prepared matrix."""
        if not len(matrix):
            return np.empty(0, dtype=np.float64)
        found = self._run({self._feed: np.ascontiguousarray(matrix, dtype=np.float32)})
        answers: npt.NDArray[np.float64] = np.asarray(found, dtype=np.float64)
        return answers if self._labels is not None else answers.reshape(len(matrix))

    def _in_parts(self, columns: Columns) -> npt.NDArray[Any]:
        """Answer a few rows at a time: attention over ten thousand texts at once would need tens of gigabytes."""
        rows = len(columns[self.transform.inputs[0].name])
        found = []
        for at in range(0, rows, PART):
            made = self.transform.feeds({name: column[at : at + PART] for name, column in columns.items()})
            found.append(self._run({name: made[name] for name in self._fed}))
        return _nothing(self._labels) if not found else found[0] if len(found) == 1 else np.concatenate(found)

    def _run(self, feed: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[Any]:
        if self._feed:  # a prepared matrix is what it must be: whatever fails is no fault of the values
            found: npt.NDArray[Any] = self._session.run(self._output, feed)[0]
            return found
        try:
            found = self._session.run(self._output, feed)[0]
        except REFUSALS as error:
            raise InvalidInput(f"The model cannot answer these values: {error}.") from error
        return found


def _nothing(labels: npt.NDArray[Any] | None) -> npt.NDArray[Any]:
    return np.empty(0 if labels is None else (0, len(labels)), np.float32)


def _fed(inputs: Sequence[Any], transform: Prepares, made: Sequence[str]) -> bool:
    """Say whether the transform makes whatever the graph asks for."""
    there = {*made, *([FEATURES] if getattr(transform, "names", ()) else [])}
    return bool(inputs) and all(one.name in there for one in inputs)


def open_session(onnx: bytes) -> ort.InferenceSession:
    """Load a graph for one thread; raises InvalidInput for bytes that are no model."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1  # one process, one core: threads only add jitter at these sizes
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    # The arena keeps the memory of the largest batch for ever; a gateway that scored one big batch must not.
    options.enable_cpu_mem_arena = False
    try:
        return ort.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    except REFUSALS as error:
        raise InvalidInput(f"These bytes are not an ONNX model that can be loaded: {error}.") from error
