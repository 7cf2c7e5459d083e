"""Run the ONNX graph of a fitted transformer so that a row gets the same bytes alone and among others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as state

from ...ground.core.errors import InvalidInput
from ...ground.core.later import numpy as np

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
EXACT = frozenset({
    "Abs", "Add", "ArrayFeatureExtractor", "Cast", "Concat", "Div", "Equal", "Flatten", "Floor", "Gather",
    "Greater", "GreaterOrEqual", "Identity", "Imputer", "IsNaN", "LabelEncoder", "Less", "LessOrEqual", "Max",
    "Min", "Mul", "Neg", "Not", "OneHotEncoder", "Or", "And", "Reshape", "Round", "Scaler", "Shape", "Sign",
    "Slice", "Sqrt", "Squeeze", "Sub", "Unsqueeze", "Where", "Constant", "ConstantOfShape", "Binarizer", "Ceil",
})  # fmt: skip
"""Operators that look at one number at a time and round it exactly, so that no result depends on how many rows are
computed together. Sums (MatMul, Gemm, reductions) and functions (Exp, Log, Pow) may differ in their last bit between
the vector part of a loop and its rest; with one of them in a graph, rows are computed one by one (5 us each)."""


class Graph:
    """A loaded graph: one input [rows, columns], one output [rows, features]."""

    __slots__ = ("_by_row", "_feed", "_output", "_session", "_type")

    def __init__(self, data: bytes, *, by_row: bool) -> None:
        try:
            self._session = _session(data)
        except REFUSALS as error:
            raise InvalidInput(f"These bytes are not an ONNX graph that can be loaded: {error}.") from error
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        types = {"tensor(double)": np.float64, "tensor(float)": np.float32, "tensor(string)": np.object_}
        if len(inputs) != 1 or not outputs or inputs[0].type not in types:
            raise InvalidInput(f"The graph has inputs {[(one.name, one.type) for one in inputs]}; expected one.")
        self._feed, self._output = inputs[0].name, outputs[0].name
        self._type: Any = types[inputs[0].type]
        self._by_row = by_row

    def run(self, columns: tuple[npt.NDArray[Any], ...]) -> npt.NDArray[np.float64]:
        """Return the features; raises InvalidInput for values that the graph cannot answer."""
        rows = np.empty((len(columns[0]), len(columns)), self._type)
        with np.errstate(over="ignore"):  # beyond float32 is infinite
            for at, column in enumerate(columns):
                rows[:, at] = column
        if self._type is np.object_:
            rows[rows == None] = ""  # noqa: E711 - element by element
        if not len(rows):
            return np.empty((0, 0))
        try:
            return self._found(rows)
        except REFUSALS as error:
            raise InvalidInput(f"The transformer cannot answer these values: {error}.") from error

    def _found(self, rows: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        run, wanted, feed = self._session.run, (self._output,), self._feed
        if not self._by_row:
            return np.asarray(run(wanted, {feed: rows})[0], np.float64).reshape(len(rows), -1)
        found = [run(wanted, {feed: rows[at : at + 1]})[0] for at in range(len(rows))]
        return np.concatenate(found).astype(np.float64).reshape(len(rows), -1)


def _session(data: bytes) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.enable_cpu_mem_arena = False
    # Fusing operators would change roundings with the version of the runtime
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
