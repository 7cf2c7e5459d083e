"""What every op has in common: how it is fitted, applied and written down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from ...ground.core.errors import InvalidInput
from ..records import Columns, Datatype, InputColumn

Vector = npt.NDArray[np.float32]
Raw = npt.NDArray[Any]

_DATATYPES = {"O": Datatype.BYTES, "f": Datatype.FP64, "i": Datatype.INT64, "b": Datatype.BOOL}


class FittedOp(Protocol):
    """An op that knows all it needs: a frozen dataclass whose fields are JSON, to be written and read back."""

    kind: ClassVar[str]

    @property
    def input(self) -> InputColumn:
        """Return the raw column it reads."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the features it makes, one for each vector of `apply`."""
        ...

    def apply(self, column: Raw) -> list[Vector]:
        """Return the features of these values; raises InvalidInput where it cannot answer."""
        ...


class Op(Protocol):
    """A feature as it is declared; `fit` looks at training rows and returns the op that can be applied."""

    def fit(self, columns: Columns) -> FittedOp:
        """Learn from the columns (training rows only)."""
        ...


def input_of(columns: Columns, name: str, *, nullable: bool = True) -> InputColumn:
    """Describe the raw column `name` as a caller must send it; whole numbers and booleans cannot be missing."""
    column = columns.get(name)
    if column is None:
        raise InvalidInput(f"There is no column {name!r} to fit on.", hint=f"There are: {', '.join(sorted(columns))}.")
    datatype = _DATATYPES.get(column.dtype.kind)
    if datatype is None or column.ndim != 1:
        raise InvalidInput(
            f"The column {name!r} has {column.ndim} dimensions of {column.dtype}.",
            hint="A column is one dimension of float64, int64, bool, or object holding str and None.",
        )
    return InputColumn(name, datatype, nullable=nullable and datatype in (Datatype.FP64, Datatype.BYTES))


def need_numbers(column: InputColumn, kind: str) -> InputColumn:
    """Return the column if it holds numbers, else raise InvalidInput."""
    if column.datatype is Datatype.BYTES:
        raise InvalidInput(
            f"{kind}({column.name!r}) needs numbers; the column holds strings.", hint="Use category or one_hot."
        )
    return column


def need_strings(column: InputColumn, kind: str) -> InputColumn:
    """Return the column if it holds strings, else raise InvalidInput."""
    if column.datatype is not Datatype.BYTES:
        raise InvalidInput(f"{kind}({column.name!r}) needs strings; the column holds {column.datatype}.")
    return column


def input_json(column: InputColumn) -> dict[str, Any]:
    """Return the JSON form of an input column."""
    return {"name": column.name, "datatype": str(column.datatype), "nullable": column.nullable}


def input_from_json(body: Mapping[str, Any]) -> InputColumn:
    """Read the JSON form of an input column."""
    return InputColumn(str(body["name"]), Datatype(body["datatype"]), nullable=bool(body["nullable"]))
