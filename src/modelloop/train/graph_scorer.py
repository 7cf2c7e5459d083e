"""A foreign model as one ONNX graph from raw columns to one number a row: what a package without a transform answers
with. `Scorer` is for models that Modelloop trained; this one takes graphs as converters make them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..ground.core.errors import InvalidInput
from ..ground.core.later import numpy as np
from ..prepare.records import Columns, InputColumn
from .scorer import REFUSALS, open_session

if TYPE_CHECKING:
    import numpy.typing as npt

TYPES = {
    "tensor(double)": "float64",
    "tensor(float)": "float32",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(bool)": "bool",
    "tensor(string)": "object",
}


class GraphScorer:
    """Answers raw columns: either all of them as one matrix [rows, columns], or one input [rows, 1] for each.

    Safe to call from several threads.
    """

    __slots__ = ("_feeds", "_inputs", "_matrix", "_output", "_session")

    def __init__(self, inputs: tuple[InputColumn, ...], onnx: bytes) -> None:
        self._inputs = inputs
        self._session = open_session(onnx)
        feeds, outputs = self._session.get_inputs(), self._session.get_outputs()
        unknown = [one.type for one in feeds if one.type not in TYPES]
        if not inputs or not feeds or len(outputs) != 1 or unknown:
            raise InvalidInput(
                f"The graph takes {[(one.name, one.type) for one in feeds]} and makes {[o.name for o in outputs]}.",
                hint="Columns of numbers or strings in, and one output, are expected.",
            )
        self._matrix = len(feeds) == 1 and (len(inputs) > 1 or feeds[0].name != inputs[0].name)
        if not self._matrix and sorted(one.name for one in feeds) != sorted(one.name for one in inputs):
            raise InvalidInput(
                f"The graph asks for {', '.join(one.name for one in feeds)}; the columns are "
                f"{', '.join(one.name for one in inputs)}."
            )
        self._feeds = {one.name: (np.dtype(TYPES[one.type]), len(one.shape or ())) for one in feeds}
        self._output = outputs[0].name

    def score(self, columns: Columns) -> npt.NDArray[np.float64]:
        """Return one answer per row; raises InvalidInput for values that the graph cannot answer."""
        rows = len(columns[self._inputs[0].name])
        if not rows:
            return np.empty(0, dtype=np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            feed = self._one(columns) if self._matrix else self._many(columns)
        try:
            found = self._session.run((self._output,), feed)[0]
        except REFUSALS as error:
            raise InvalidInput(f"The model cannot answer these values: {error}.") from error
        answer = np.asarray(found, dtype=np.float64)
        if answer.size != rows:
            raise InvalidInput(f"The model gave an answer of the shape {answer.shape} to {rows} rows.")
        return answer.reshape(rows)

    def _one(self, columns: Columns) -> dict[str, Any]:
        ((name, (kind, _)),) = self._feeds.items()
        return {name: np.stack([_typed(columns[one.name], kind) for one in self._inputs], axis=1)}

    def _many(self, columns: Columns) -> dict[str, Any]:
        made = {}
        for name, (kind, rank) in self._feeds.items():
            column = _typed(columns[name], kind)
            made[name] = column.reshape(-1, 1) if rank == 2 else column
        return made


def _typed(column: npt.NDArray[Any], kind: Any) -> npt.NDArray[Any]:
    if kind != np.object_:
        return column.astype(kind)
    made = np.empty(len(column), dtype=np.object_)
    made[:] = ["" if value is None else str(value) for value in column.tolist()]
    return made
