"""What scikit-learn does well: any of its transformers that has an ONNX form, computed by onnxruntime everywhere."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ...ground.core.errors import ExtraMissing, InvalidInput
from ...ground.core.later import numpy as np
from ..records import Columns, Datatype, InputColumn
from .form import FittedOp, Op, Raw, input_of, need_numbers


@dataclass(frozen=True, slots=True)
class Sklearn(Op):
    """A scikit-learn transformer (PCA, PowerTransformer, a pipeline of them) over these columns.

    A copy is fitted here and written as ONNX; training, batch and the gateway all run that graph, so they compute the
    same bytes, and nothing is unpickled. Fitting compares the graph with scikit-learn on training rows and refuses,
    naming the transformer, where they differ by more than `tolerance` (relative, for values above 1).

    Columns are all numbers, or all strings (missing strings are sent as ""). `label` is handed to a transformer that
    learns from one. Features are called name[0], name[1] ..., or as scikit-learn names them, behind `name`.
    """

    estimator: Any = field(hash=False)
    columns: Sequence[str]
    label: str = ""
    tolerance: float = 1e-4
    name: str = ""

    @property
    def reads(self) -> tuple[str, ...]:
        """Return the columns, and the label if there is one; that is not asked for when serving."""
        return (*self.columns, *([self.label] if self.label else []))

    def learn(self, columns: Columns) -> FittedSklearn:
        """Fit a copy, write it as ONNX, and compare the two."""
        try:
            from ..adapters import sklearn  # noqa: PLC0415 - slow: brings scikit-learn and every converter
        except ModuleNotFoundError as error:
            raise _missing(error, "ml") from error
        kind = type(self.estimator).__name__
        if isinstance(self.columns, str) or not self.columns:
            raise InvalidInput(f"sklearn({kind}) needs a list of columns.", hint="For example ['distance', 'seats'].")
        inputs = tuple(input_of(columns, name) for name in self.columns)
        strings = {one.datatype is Datatype.BYTES for one in inputs}
        if len(strings) > 1:
            raise InvalidInput(f"{kind} is given numbers and strings together.", hint="Use two ops, one for each.")
        label = None
        if self.label:
            need_numbers(input_of(columns, self.label), f"{kind}'s label")
            label = columns[self.label].astype(np.float64)
        if strings == {True}:
            rows = np.stack([_filled(columns[name]) for name in self.columns], axis=1)
        else:
            rows = np.stack([columns[name].astype(np.float64) for name in self.columns], axis=1)
        made = sklearn.export(self.estimator, rows, tuple(self.columns), label, self.tolerance)
        name = self.name or kind
        features = tuple(f"{name}[{feature}]" for feature in made.features)
        return FittedSklearn(inputs, base64.b64encode(made.onnx).decode(), features, made.by_row, made.written_by)


@dataclass(frozen=True, slots=True)
class FittedSklearn(FittedOp):
    """A transformer as an ONNX graph (base64). `written_by` is for readers; nothing is imported by its name."""

    kind: ClassVar[str] = "sklearn"
    inputs: tuple[InputColumn, ...]
    onnx: str = field(repr=False)
    features: tuple[str, ...]
    by_row: bool
    written_by: str
    _graph: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        try:
            from ..adapters.graph import Graph  # noqa: PLC0415 - slow: brings onnxruntime

            graph = Graph(base64.b64decode(self.onnx, validate=True), by_row=bool(self.by_row))
        except ModuleNotFoundError as error:
            raise _missing(error, "serve") from error
        except (binascii.Error, ValueError, TypeError) as error:
            raise InvalidInput(f"The graph of {self.written_by} is not base64: {error}.") from error
        object.__setattr__(self, "features", tuple(str(feature) for feature in self.features))
        object.__setattr__(self, "_graph", graph)

    @property
    def names(self) -> tuple[str, ...]:
        """Return name[feature] for each feature."""
        return self.features

    def apply(self, *columns: Raw) -> list[Raw]:
        """Run the graph; see `adapters.graph` for why a row gets the same bytes alone and among others."""
        if not len(columns[0]):
            return [np.empty(0) for _ in self.features]
        found = self._graph.run(columns)
        if found.shape[1] != len(self.features):
            raise InvalidInput(f"{self.written_by} made {found.shape[1]} features; expected {len(self.features)}.")
        return list(found.T)


def _missing(error: ModuleNotFoundError, extra: str) -> ExtraMissing:
    return ExtraMissing(f"The op sklearn needs {error.name}.", hint=f"Install it: pip install 'modelloop[{extra}]'.")


def _filled(column: Raw) -> Raw:
    made = np.empty(len(column), object)
    made[:] = ["" if value is None else value for value in column.tolist()]
    return made
