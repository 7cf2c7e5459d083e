"""Pure: plain values (as JSON has them) to the columns and tensors a model is asked with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..ground.core.later import numpy as np
from ..prepare.records import Datatype, InputColumn
from ..prepare.tensors import TYPES
from .records import Signature, TensorSpec

if TYPE_CHECKING:
    import numpy.typing as npt

LABEL = "label"
_TYPES = {Datatype.FP64: "float64", Datatype.INT64: "int64", Datatype.BOOL: "bool", Datatype.BYTES: "object"}


def array(column: InputColumn, values: Sequence[Any]) -> npt.NDArray[Any]:
    """Return values as the array that a transform takes: a number column with None becomes float64 with NaN."""
    if column.datatype is Datatype.BYTES:
        return np.array(values, dtype=np.object_)
    if None in values:
        return np.array(values, dtype=np.float64)
    return np.array(values, dtype=_TYPES[column.datatype])


def tensor_array(spec: TensorSpec, values: Sequence[Any]) -> npt.NDArray[Any]:
    """Return nested values as the tensor that a model takes."""
    return np.array(values, dtype=TYPES[spec.datatype])


def labels_of(signature: Signature) -> tuple[str, ...] | tuple[int, ...]:
    """Return the classes as the model answers them: whole numbers where its `label` is INT64, else text."""
    kind = next((one.datatype for one in signature.outputs if one.name == LABEL), "BYTES")
    return tuple(int(one) for one in signature.labels) if kind == "INT64" else signature.labels


def describe(inputs: Sequence[InputColumn]) -> str:
    """Return the inputs as a sentence part: `month INT64, carrier BYTES or null`."""
    return ", ".join(f"{c.name} {c.datatype}{' or null' if c.nullable else ''}" for c in inputs)
