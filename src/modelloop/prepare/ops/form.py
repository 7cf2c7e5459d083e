"""What every op has in common: how it is fitted, applied alone or among others, and written down."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from ...ground.core.errors import InvalidInput
from ...ground.core.later import numpy as np
from ..columns import columns_of
from ..records import Columns, Datatype, InputColumn

if TYPE_CHECKING:
    import numpy.typing as npt
    import polars as pl

Vector: TypeAlias = "npt.NDArray[np.float32]"
Floats: TypeAlias = "npt.NDArray[np.float64]"
Raw: TypeAlias = "npt.NDArray[Any]"
_KINDS = {one: "O" if one is Datatype.BYTES else "fiub" for one in Datatype}
_DATATYPES = {"O": Datatype.BYTES, "f": Datatype.FP64, "i": Datatype.INT64, "b": Datatype.BOOL}


class FittedOp(ABC):
    """An op that knows all it needs: a frozen dataclass whose fields are JSON, to be written and read back.

    `kind` and `version` stand in the JSON. A version is raised when the fields change; `ops.OLDER` reads older ones.
    """

    __slots__ = ()
    kind: ClassVar[str]
    version: ClassVar[int] = 1
    takes: ClassVar[str] = "numbers or strings"
    tensors: ClassVar[bool] = False
    """Whether what it makes are tensors with the rows first, each fed to a graph by its name."""
    inputs: tuple[InputColumn, ...]
    """The columns it reads, in the order of `apply`: raw ones, or made by an earlier op."""

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """Return the names of the columns it makes, one for each that `apply` returns."""

    @property
    def makes(self) -> Datatype:
        """Return FP64, or BYTES for an op that makes strings: those are for later ops, never features."""
        return Datatype.FP64

    @abstractmethod
    def apply(self, *columns: Any, **nothing: Any) -> list[Raw]:
        """Return the columns made of these; each row by itself. Raises InvalidInput where it cannot answer."""

    def __call__(self, columns: Columns) -> dict[str, Raw]:
        """Check the columns and return what this op alone makes of them, by name."""
        check_columns(columns, self.inputs)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            made = self.apply(*(columns[one.name] for one in self.inputs))
        return dict(zip(self.names, made, strict=True))


class Op(ABC):
    """A column that is wanted, before anything was learned."""

    __slots__ = ()
    takes_times: ClassVar[bool] = False
    """Whether a column of dates or times may be handed over as it is."""
    takes_bytes: ClassVar[bool] = False
    """Whether a column of raw bytes may be handed over."""

    @property
    def reads(self) -> tuple[str, ...]:
        """Return the columns that fitting reads."""
        column: str = self.column  # type: ignore[attr-defined]  # of nearly every op
        return (column,)

    @abstractmethod
    def learn(self, columns: Columns) -> FittedOp:
        """Learn from the columns (training rows only)."""

    def training(self, fitted: FittedOp, columns: Columns) -> list[Raw]:
        """Return what the training rows get. Differs from `apply` only where a row's own label was learned from."""
        return fitted.apply(*(columns[one.name] for one in fitted.inputs))

    def fit(self, given: Columns | pl.DataFrame | pl.LazyFrame) -> FittedOp:
        """Learn from training rows; of a frame, only the columns that are read are collected."""
        return self.learn(columns_of(given, dict.fromkeys(self.reads, self.takes_times)))


def check_columns(columns: Columns, inputs: tuple[InputColumn, ...]) -> int:
    """Return the number of rows; raises InvalidInput for columns that are missing, uneven or of the wrong kind."""
    rows = -1
    for one in inputs:
        column = columns.get(one.name)
        if column is None:
            raise InvalidInput(
                f"The column {one.name!r} is missing.", hint=f"Needed: {', '.join(each.name for each in inputs)}."
            )
        if rows < 0:
            rows = len(column)
        if column.shape != (rows,):
            raise InvalidInput(f"The column {one.name!r} has the shape {column.shape}; the first one has {rows} rows.")
        if column.dtype.kind not in _KINDS[one.datatype]:
            expected = "strings (object)" if one.datatype is Datatype.BYTES else "numbers"
            raise InvalidInput(f"The column {one.name!r} holds {column.dtype}; expected {expected}.")
    return rows


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


def finite_values(column: Raw, what: str) -> Floats:
    """Return the finite values to learn from; raises InvalidInput if there is none."""
    values = column.astype(np.float64)
    values = values[np.isfinite(values)]
    if not len(values):
        raise InvalidInput(
            f"{what} cannot be learned: none of {len(column)} rows has a finite value.",
            hint="Give the numbers yourself, or leave the column out.",
        )
    return values


def finite(value: Any, what: str) -> float:
    """Return a finite number, else raise InvalidInput."""
    number = float(value)
    if not math.isfinite(number):
        raise InvalidInput(f"{what} is {value}; it must be a finite number.")
    return number


def one_of(value: str, allowed: tuple[str, ...], what: str) -> str:
    """Return a word that is allowed, else raise InvalidInput."""
    if value not in allowed:
        raise InvalidInput(f"{what} is {value!r}.", hint=f"There are: {', '.join(allowed)}.")
    return value


def input_json(column: InputColumn) -> dict[str, Any]:
    """Return the JSON form of an input column."""
    body = {"name": column.name, "datatype": str(column.datatype), "nullable": column.nullable}
    return body | {"raw": True} if column.raw else body


def input_from_json(body: Mapping[str, Any]) -> InputColumn:
    """Read the JSON form of an input column."""
    raw = bool(body.get("raw", False))
    return InputColumn(str(body["name"]), Datatype(body["datatype"]), nullable=bool(body["nullable"]), raw=raw)
