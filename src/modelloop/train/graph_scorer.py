"""Graphs as others make them, answered as they are: what a package without a transform answers with.

`GraphScorer` takes raw columns, `TensorScorer` whole tensors. `Scorer` is for models that Modelloop trained or prepares
the inputs of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..ground.core.errors import InvalidInput
from ..ground.core.later import numpy as np
from ..prepare.records import Columns, InputColumn
from .replies import Labels, headline_name, label_array, one_each, with_label
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
ANY_TYPES = TYPES | {
    "tensor(float16)": "float16",
    **{f"tensor({kind})": kind for kind in ("int8", "int16", "uint8", "uint16", "uint32", "uint64")},
}
"""What whole tensors may hold."""


class _Graph:
    """A graph and the names of what it answers, the headline first."""

    __slots__ = ("_labels", "_names", "_session", "_wanted", "output")

    def __init__(self, onnx: bytes, output: str, labels: Labels, outputs: Sequence[str]) -> None:
        self.output = output or headline_name(labels)
        self._labels = label_array(labels)
        self._session = open_session(onnx)
        made = [one.name for one in self._session.get_outputs()]
        if len(made) == 1:  # whatever its converter calls it, it is the headline
            self._wanted, self._names = made, [self.output]
            return
        if self.output not in made:
            raise InvalidInput(
                f"The graph makes {', '.join(made)}; none of them is {self.output!r}.",
                hint="Name the headline output as one of them, or keep that output alone.",
            )
        asked = [name for name in (outputs or made) if name in made and name != self.output]
        self._wanted = self._names = [self.output, *asked]

    @property
    def inputs(self) -> list[Any]:
        """Return what the graph is fed with, as onnxruntime describes it."""
        found: list[Any] = self._session.get_inputs()
        return found

    @property
    def bare(self) -> tuple[Any, str] | None:
        """Return the session and its one output, where nothing is added to it."""
        return (self._session, self._wanted[0]) if len(self._wanted) == 1 and self._labels is None else None

    def run(self, feed: Mapping[str, Any], rows: int) -> dict[str, npt.NDArray[Any]]:
        """Return all outputs by name; raises InvalidInput for values that the graph cannot answer."""
        try:
            found = self._session.run(self._wanted, feed)
        except REFUSALS as error:
            raise InvalidInput(f"The model cannot answer these values: {error}.") from error
        outputs = dict(zip(self._names, (_array(one) for one in found), strict=True))
        for name, one in outputs.items():
            if one.shape == (rows, 1) and name == self.output and self._labels is None:
                outputs[name] = one.reshape(rows)
            elif not one.ndim or len(one) != rows:
                raise InvalidInput(f"The model gave an answer of the shape {one.shape} to {rows} rows.")
        return with_label(outputs, self.output, self._labels)

    def headline(self, outputs: Mapping[str, npt.NDArray[Any]], rows: int) -> npt.NDArray[np.float64]:
        """Return one number a row."""
        return one_each(outputs[self.output], 0 if self._labels is None else len(self._labels), rows)


class GraphScorer:
    """Answers raw columns: either all of them as one matrix [rows, columns], or one input [rows, 1] for each.

    `output` names the headline among several outputs; `outputs` those that are answered (all, if none are named).
    Safe to call from several threads.
    """

    __slots__ = ("_feeds", "_graph", "_inputs", "_matrix", "output")

    def __init__(
        self,
        inputs: tuple[InputColumn, ...],
        onnx: bytes,
        *,
        output: str = "",
        labels: Labels = (),
        outputs: Sequence[str] = (),
    ) -> None:
        self._inputs = inputs
        self._graph = _Graph(onnx, output, labels, outputs)
        self.output = self._graph.output
        feeds = self._graph.inputs
        unknown = [one.type for one in feeds if one.type not in TYPES]
        if not inputs or not feeds or unknown:
            raise InvalidInput(
                f"The graph takes {[(one.name, one.type) for one in feeds]}.",
                hint="Columns of numbers or strings are expected.",
            )
        self._matrix = len(feeds) == 1 and (len(inputs) > 1 or feeds[0].name != inputs[0].name)
        if not self._matrix and sorted(one.name for one in feeds) != sorted(one.name for one in inputs):
            raise InvalidInput(
                f"The graph asks for {', '.join(one.name for one in feeds)}; the columns are "
                f"{', '.join(one.name for one in inputs)}."
            )
        self._feeds = {one.name: (np.dtype(TYPES[one.type]), len(one.shape or ())) for one in feeds}

    def outputs(self, columns: Columns) -> dict[str, npt.NDArray[Any]]:
        """Return all outputs by name, the headline first; raises InvalidInput for values that cannot be answered."""
        with np.errstate(over="ignore", invalid="ignore"):
            feed = self._one(columns) if self._matrix else self._many(columns)
        return self._graph.run(feed, len(columns[self._inputs[0].name]))

    def score(self, columns: Columns) -> npt.NDArray[np.float64]:
        """Return one answer per row; raises InvalidInput for values that the graph cannot answer."""
        rows = len(columns[self._inputs[0].name])
        if not rows:
            return np.empty(0, dtype=np.float64)
        return self._graph.headline(self.outputs(columns), rows)

    def _one(self, columns: Columns) -> dict[str, Any]:
        ((name, (kind, _)),) = self._feeds.items()
        return {name: np.stack([_typed(columns[one.name], kind) for one in self._inputs], axis=1)}

    def _many(self, columns: Columns) -> dict[str, Any]:
        made = {}
        for name, (kind, rank) in self._feeds.items():
            column = _typed(columns[name], kind)
            made[name] = column.reshape(-1, 1) if rank == 2 else column
        return made


class TensorScorer:
    """Answers whole tensors, fed as they are by the graph's own input names. Safe to call from several threads.

    A package whose signature has `tensors` is answered by this class: `model.onnx` and no transform, or one that says
    `tensors`. All inputs have the rows first.
    """

    __slots__ = ("_feeds", "_graph", "output")

    def __init__(
        self, onnx: bytes, *, output: str = "", labels: Labels = (), outputs: Sequence[str] = (), names: Labels = ()
    ) -> None:
        """`names`: of the tensors that callers send; raises InvalidInput unless they are the graph's inputs."""
        self._graph = _Graph(onnx, output, labels, outputs)
        self.output = self._graph.output
        feeds = self._graph.inputs
        wrong = [(one.name, one.type) for one in feeds if one.type not in ANY_TYPES]
        if wrong or not feeds or (names and sorted(map(str, names)) != sorted(one.name for one in feeds)):
            given = ", ".join(map(str, names)) or "not named"
            raise InvalidInput(
                f"The graph takes {[(one.name, one.type) for one in feeds]}; the tensors are {given}.",
                hint="One tensor of numbers or strings for each input of the graph is expected.",
            )
        self._feeds = {one.name: np.dtype(ANY_TYPES[one.type]) for one in feeds}

    def outputs(self, columns: Columns) -> dict[str, npt.NDArray[Any]]:
        """Return all outputs by name, the headline first; raises InvalidInput for what cannot be answered."""
        feed = {}
        for name, kind in self._feeds.items():
            if name not in columns:
                raise InvalidInput(
                    f"The tensor {name!r} is missing.", hint=f"The model takes {', '.join(self._feeds)}."
                )
            given = columns[name]
            feed[name] = given if given.dtype == kind else _typed(given, kind)
        sizes = {len(one) if one.ndim else 0 for one in feed.values()}
        if len(sizes) != 1:
            raise InvalidInput(f"The tensors have {sorted(sizes)} rows.", hint="As many rows in each are expected.")
        return self._graph.run(feed, sizes.pop())

    @property
    def bare(self) -> tuple[Any, str] | None:
        """Return the session and its one output, where it is the headline as it is: for callers that check both sides.

        None: what the graph answers is not all there is to it.
        """
        return self._graph.bare

    def score(self, columns: Columns) -> npt.NDArray[np.float64]:
        """Return one number a row: the headline, or the place of the most probable class."""
        found = self.outputs(columns)
        return self._graph.headline(found, len(found[self.output]))


def _array(found: Any) -> npt.NDArray[Any]:
    """Return an output as an array in one piece; raises InvalidInput for a sequence or a map."""
    if not isinstance(found, np.ndarray):
        raise InvalidInput(f"The model answers a {type(found).__name__}; tensors can be served.")
    return np.ascontiguousarray(found) if found.ndim else found


def _typed(column: npt.NDArray[Any], kind: Any) -> npt.NDArray[Any]:
    if kind != np.object_:
        return column.astype(kind)
    made = np.empty(column.shape, dtype=np.object_)
    made[...] = np.reshape(["" if value is None else str(value) for value in column.reshape(-1).tolist()], column.shape)
    return made
