"""Pure: plain values (as JSON has them) to the columns a model is asked with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..ground.core.later import numpy as np
from ..prepare.records import Datatype, InputColumn

if TYPE_CHECKING:
    import numpy.typing as npt

_TYPES = {Datatype.FP64: "float64", Datatype.INT64: "int64", Datatype.BOOL: "bool", Datatype.BYTES: "object"}


def array(column: InputColumn, values: Sequence[Any]) -> npt.NDArray[Any]:
    """Return values as the array that a transform takes: a number column with None becomes float64 with NaN."""
    if column.datatype is Datatype.BYTES:
        return np.array(values, dtype=np.object_)
    if None in values:
        return np.array(values, dtype=np.float64)
    return np.array(values, dtype=_TYPES[column.datatype])


def describe(inputs: Sequence[InputColumn]) -> str:
    """Return the inputs as a sentence part: `month INT64, carrier BYTES or null`."""
    return ", ".join(f"{c.name} {c.datatype}{' or null' if c.nullable else ''}" for c in inputs)
