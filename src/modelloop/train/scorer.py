"""The scoring code: the gateway, evaluation and parity all answer through this class, and through nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as state

from ..ground.core.errors import InvalidInput
from ..ground.core.later import numpy as np
from ..prepare.records import Columns, InputColumn, Matrix

if TYPE_CHECKING:
    import numpy.typing as npt

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

    def apply(self, columns: Columns) -> Matrix:
        """Turn raw columns into the matrix the model was trained on."""
        ...


class Scorer:
    """A transform and an ONNX graph that answer together. One thread; `score` may be called from several.

    The graph has one float32 input [rows, features] and one float32 output [rows] (`train.adapters` make such graphs).
    """

    __slots__ = ("_feed", "_output", "_session", "transform")

    def __init__(self, transform: Prepares, onnx: bytes) -> None:
        self.transform = transform
        self._session = open_session(onnx)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1 or inputs[0].type != "tensor(float)":
            raise InvalidInput(
                f"The graph has inputs {[(i.name, i.type) for i in inputs]} and outputs {[o.name for o in outputs]}.",
                hint="One float32 input [rows, features] and one output [rows] are expected.",
            )
        self._feed = inputs[0].name
        self._output = outputs[0].name

    def score(self, columns: Columns) -> npt.NDArray[np.float64]:
        """Return one answer per row: the probability of the positive class, or the value."""
        return self.answer(self.transform.apply(columns))

    def answer(self, matrix: Matrix) -> npt.NDArray[np.float64]:
        """Return one answer per row of an already prepared matrix."""
        if not len(matrix):
            return np.empty(0, dtype=np.float64)
        feed = np.ascontiguousarray(matrix, dtype=np.float32)
        found = self._session.run((self._output,), {self._feed: feed})[0]
        return np.asarray(found, dtype=np.float64).reshape(len(matrix))


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
