"""Pure: the inputs of a small good request, straight into arrays. None (or any exception) for whatever is unusual.

Each reader is made once per routing table. What it lets through is exactly what the careful way would let through with
the same arrays, which a test compares; what it does not, is the careful way's.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeAlias

from ...ground.core.later import numpy as np
from ...prepare.records import Datatype, InputColumn
from ...register.records import Signature, TensorSpec
from .rows import RowReader, no_words
from .tensors import TYPES

if TYPE_CHECKING:
    import numpy.typing as npt

Found: TypeAlias = "tuple[dict[str, npt.NDArray[Any]], int, dict[str, Any]]"
"""Columns or tensors by name, rows, and the same as they are logged."""
Reader: TypeAlias = "Callable[[list[Any], bytes, int], Found | None]"
"""From `inputs`, the body, and where its raw tensors begin (its end: there are none)."""

_NONE = type(None)
_NUMBERS = frozenset({float, int})
_TYPES: dict[str, frozenset[type]] = {
    "BOOL": frozenset({bool}),
    "BYTES": frozenset({str}),
    **dict.fromkeys(("FP32", "FP64"), _NUMBERS),
    **{name: frozenset({int}) for name in TYPES if "INT" in name},
}
_SHORT = 512
_SAFE_SQUARES = 1e76
"""Of numbers that FP32 holds."""


def reader_of(signature: Signature, max_rows: int, matrix: Sequence[str]) -> Reader:
    """Return what reads the inputs of a model."""
    if signature.tensors:
        return TensorReader({spec.name: _Tensor.of(spec) for spec in signature.tensors}, max_rows)
    columns = ColumnReader(signature.inputs, max_rows)
    if not matrix:
        return columns
    whole = MatrixReader(signature.inputs, max_rows)

    def read(inputs: list[Any], body: bytes, start: int) -> Found | None:
        return (whole if len(inputs) == 1 else columns)(inputs, body, start)

    return read


@dataclass(frozen=True, slots=True)
class _Tensor:
    datatype: str
    dtype: Any
    tail: list[int]
    width: int
    """Values a row."""
    types: frozenset[type]
    floats: bool
    row: RowReader | None = None
    """Of one short row of FP32."""

    @classmethod
    def of(cls, spec: TensorSpec) -> _Tensor | None:
        """Return what is checked of a tensor; None: its sizes vary, which is not for the fast way."""
        tail = list(spec.shape[1:])
        if -1 in tail or spec.shape[0] != -1 or spec.datatype == "FP16":
            return None
        floats = spec.datatype in ("FP32", "FP64")
        dtype = np.dtype(TYPES[spec.datatype])
        width = math.prod(tail)
        short = spec.datatype == "FP32" and 0 < width <= _SHORT and sys.byteorder == "little"
        row = RowReader(spec.name, [1, *tail], width) if short else None
        return cls(spec.datatype, dtype, tail, width, _TYPES[spec.datatype], floats, row)


class TensorReader:
    """Reads whole tensors."""

    __slots__ = ("_max", "_specs")

    def __init__(self, specs: dict[str, _Tensor | None], max_rows: int) -> None:
        self._specs = specs
        self._max = max_rows

    @property
    def row(self) -> RowReader | None:
        """Return what reads one row of a model that takes one tensor."""
        (spec, *others) = self._specs.values()
        return None if others or spec is None else spec.row

    def __call__(self, inputs: list[Any], body: bytes, start: int) -> Found | None:
        """Return the arrays."""
        if len(inputs) != len(self._specs):
            return None
        if len(inputs) == 1 and start == len(body):
            return self._one(inputs[0], body)
        arrays: dict[str, Any] = {}
        written: dict[str, Any] = {}
        rows = 0
        for tensor in inputs:
            name = tensor["name"]
            spec = self._specs[name]
            shape = tensor["shape"]
            if spec is None or tensor["datatype"] != spec.datatype or shape[1:] != spec.tail or len(tensor) != 4:
                return None
            if type(shape[0]) is not int or not 0 < shape[0] <= self._max or (rows and shape[0] != rows):
                return None
            rows = shape[0]
            data = tensor.get("data")
            if data is None:
                size = _raw_size(tensor)
                flat = _raw(spec, body, start, size, rows * spec.width)
                start += size
            else:
                flat = _listed(spec, data, rows)
            if flat is None:
                return None
            arrays[name] = flat.reshape(shape)
            written[name] = [spec.datatype, shape, flat.tolist() if spec.datatype == "BYTES" else flat.tobytes()]
        return (arrays, rows, written) if len(arrays) == len(self._specs) and start == len(body) else None

    def _one(self, tensor: dict[str, Any], body: bytes) -> Found | None:
        """Return the array of one tensor in JSON: nearly every request to such a model."""
        name, shape, data = tensor["name"], tensor["shape"], tensor["data"]
        spec = self._specs[name]
        if spec is None or tensor["datatype"] != spec.datatype or len(tensor) != 4:
            return None
        row = spec.row
        whole = row is not None and shape == row.shape and {*map(type, shape)} == {int}
        if row is not None and whole and len(data) == spec.width and no_words(body):
            row.learn(body)
            return row.made(data)
        rows = shape[0]
        if type(rows) is not int or not 0 < rows <= self._max or type(data) is not list or shape[1:] != spec.tail:
            return None
        flat = _listed(spec, data, rows)
        if flat is None:
            return None
        written = flat.tolist() if spec.datatype == "BYTES" else flat.tobytes()
        return {name: flat.reshape(shape)}, rows, {name: [spec.datatype, shape, written]}


class MatrixReader:
    """Reads all columns of a model as one matrix of another name."""

    __slots__ = ("_columns", "_max", "_names", "_specs")

    def __init__(self, columns: Sequence[InputColumn], max_rows: int) -> None:
        self._names = [column.name for column in columns]
        self._columns = columns
        self._max = max_rows
        width = len(columns)
        self._specs = {
            datatype: _Tensor(datatype, np.dtype(TYPES[datatype]), [width], width, _NUMBERS, True)
            for datatype in ("FP32", "FP64")
        }

    def __call__(self, inputs: list[Any], body: bytes, start: int) -> Found | None:
        """Return the columns."""
        (tensor,) = inputs
        spec, shape = self._specs[tensor["datatype"]], tensor["shape"]
        if shape[1:] != spec.tail or len(tensor) != 4 or tensor["name"] in self._names:
            return None
        rows = shape[0]
        if type(rows) is not int or not 0 < rows <= self._max:
            return None
        data = tensor.get("data")
        if data is None:
            size = _raw_size(tensor)
            flat = _raw(spec, body, start, size, rows * spec.width)
            if flat is None or start + size != len(body) or not math.isfinite(flat.dot(flat)):
                return None
            flat = flat.astype(np.float64)
        else:
            flat = _doubles(spec, data, rows)
            if flat is None or start != len(body):
                return None
        table = np.ascontiguousarray(flat.reshape(rows, spec.width).T)
        columns: dict[str, Any] = dict(zip(self._names, table, strict=True))
        written = dict(zip(self._names, table.tolist(), strict=True))
        for column in self._columns:
            if column.datatype is Datatype.INT64:
                whole = columns[column.name].astype(np.int64)
                if (whole != columns[column.name]).any():
                    return None
                columns[column.name] = whole
                written[column.name] = whole.tolist()
        return columns, rows, written


class ColumnReader:
    """Reads one tensor a column, in JSON."""

    __slots__ = ("_count", "_floats", "_kinds", "_max")

    def __init__(self, columns: Sequence[InputColumn], max_rows: int) -> None:
        self._count = len(columns)
        self._max = max_rows
        self._kinds = {column.name: _kind(column) for column in columns}
        self._floats = [column.name for column in columns if column.datatype is Datatype.FP64]

    def __call__(self, inputs: list[Any], body: bytes, start: int) -> Found | None:
        """Return the columns."""
        if len(inputs) != self._count or start != len(body):
            return None
        if len(inputs[0]["data"]) == 1:
            return self._one(inputs)
        return self._many(inputs)

    def _one(self, inputs: list[Any]) -> Found | None:  # noqa: C901 - the inner loop of all answers, written out
        kinds = self._kinds
        written: dict[str, Any] = {}
        for tensor in inputs:
            name = tensor["name"]
            datatype, types, _ = kinds[name]
            data = tensor["data"]
            if tensor["datatype"] != datatype or tensor["shape"] != [1] or len(tensor) != 4 or type(data) is not list:
                return None
            (value,) = data
            if type(value) not in types:
                return None
            written[name] = data
        if len(written) != self._count:
            return None
        columns: dict[str, Any] = {}
        block = np.array([written[name][0] for name in self._floats], dtype=np.float64)
        for at, name in enumerate(self._floats):
            columns[name] = block[at : at + 1]
        if len(columns) < self._count:
            for name, data in written.items():
                dtype = kinds[name][2]
                if dtype is not None:
                    columns[name] = np.array(data, dtype=dtype)
        for at, name in enumerate(self._floats):
            if type(written[name][0]) is int:
                written[name] = [float(block[at])]
        return columns, 1, written

    def _many(self, inputs: list[Any]) -> Found | None:
        rows = len(inputs[0]["data"])
        if not 0 < rows <= self._max:
            return None
        kinds, shape = self._kinds, [rows]
        written: dict[str, Any] = {}
        columns: dict[str, Any] = {}
        for tensor in inputs:
            name, data = tensor["name"], tensor["data"]
            datatype, types, dtype = kinds[name]
            if tensor["datatype"] != datatype or tensor["shape"] != shape or len(tensor) != 4 or len(data) != rows:
                return None
            found = {*map(type, data)}
            if not found <= types or type(data) is not list:
                return None
            columns[name] = np.array(data, dtype=dtype or np.float64)
            written[name] = data
            if dtype is None and int in found:
                written[name] = [None if value is None else float(value) for value in data]
        return (columns, rows, written) if len(written) == self._count else None


def _kind(column: InputColumn) -> tuple[str, frozenset[type], Any]:
    """Return the datatype, the types of values that are taken, and numpy's type (None: FP64)."""
    datatype = str(column.datatype)
    types: set[type] = set(_TYPES[datatype])
    nullable = column.nullable and column.datatype in (Datatype.FP64, Datatype.BYTES)
    types |= {_NONE} if nullable else set()
    return datatype, frozenset(types), None if column.datatype is Datatype.FP64 else np.dtype(TYPES[datatype])


def _raw_size(tensor: dict[str, Any]) -> int:
    parameters = tensor["parameters"]
    size: int = parameters["binary_data_size"]
    if len(parameters) != 1 or type(size) is not int or size < 0:
        raise ValueError("not for the fast way")
    return size


def _raw(spec: _Tensor, body: bytes, start: int, size: int, count: int) -> npt.NDArray[Any] | None:
    dtype = spec.dtype
    if dtype.kind in "Ob" or size != count * dtype.itemsize or start + size > len(body):
        return None
    return np.frombuffer(body, dtype, count, start).copy()  # in line with memory, and free of the body


def _listed(spec: _Tensor, data: Any, rows: int) -> npt.NDArray[Any] | None:
    """Return the values of a list, flat or as rows."""
    flat = _flat(spec, data, rows)
    if flat is None or not {*map(type, flat)} <= spec.types:
        return None
    if spec.dtype.kind == "O":
        made = np.empty(len(flat), dtype=np.object_)
        made[:] = flat
        return made
    values: npt.NDArray[Any] = np.array(flat, dtype=spec.dtype)
    if spec.floats and not math.isfinite(values.dot(values)):
        return None
    return values


def _doubles(spec: _Tensor, data: Any, rows: int) -> npt.NDArray[Any] | None:
    """Return the numbers of a list in 64 bits; none that their datatype does not hold."""
    flat = _flat(spec, data, rows)
    if flat is None or not {*map(type, flat)} <= _NUMBERS:
        return None
    values: npt.NDArray[Any] = np.array(flat, dtype=np.float64)
    return values if float(values.dot(values)) < _SAFE_SQUARES else None


def _flat(spec: _Tensor, data: Any, rows: int) -> list[Any] | None:
    if type(data) is not list or not data:
        return None
    if type(data[0]) is list:
        if len(spec.tail) != 1 or len(data) != rows or {*map(len, data)} != {spec.width}:
            return None
        if {*map(type, data)} != {list}:
            return None
        data = data[0] if rows == 1 else list(chain.from_iterable(data))
    return data if len(data) == rows * spec.width else None
