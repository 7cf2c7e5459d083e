"""Pure: the values of one tensor, flattened and checked against their column. Nothing is rounded or guessed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from ...ground.core.errors import RequestInvalid
from ...prepare.records import Datatype, InputColumn

_WHOLE = {f"{sign}INT{bits}": (sign, bits) for sign in ("", "U") for bits in (8, 16, 32, 64)}
_FLOATS = ("FP32", "FP64")
DATATYPES = ("BOOL", *_WHOLE, *_FLOATS, "BYTES")
_LARGEST_FP32 = 3.4028235677973366e38  # from here on rounding to FP32 gives infinity
_EXACT = 2**53
_TAKES: dict[Datatype, tuple[str, ...]] = {
    Datatype.BYTES: ("BYTES",),
    Datatype.BOOL: ("BOOL",),
    Datatype.FP64: (*_FLOATS, *_WHOLE),
    Datatype.INT64: (*_WHOLE, *_FLOATS),
}
_BOUNDS = {
    name: (0, 2**bits - 1) if sign else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    for name, (sign, bits) in _WHOLE.items()
}


def flatten(name: str, data: Any, shape: Sequence[int]) -> list[Any]:
    """Return `data`, flat or nested as `shape` says, as one flat list in row-major order."""
    if not isinstance(data, list):
        raise RequestInvalid(
            f"The input {name!r} has no list of data.", hint=f"Expected `data` with {shape[0]} values."
        )
    nested = len(shape) == 2 and bool(data) and type(data[0]) is list
    if nested and not all(type(row) is list and len(row) == 1 for row in data):
        raise RequestInvalid(
            f"The nested data of the input {name!r} do not have the shape {list(shape)}.",
            hint="Expected one list of one value per row, or a flat list.",
        )
    if len(data) != shape[0]:
        raise RequestInvalid(
            f"The input {name!r} has {len(data)} values and the shape {list(shape)}.",
            hint=f"Expected {shape[0]} values.",
        )
    return [row[0] for row in data] if nested else data


def checked(column: InputColumn, datatype: str, values: list[Any]) -> list[Any]:
    """Return the values as the column has them (int, float, bool, str, or None where it may be), else raise."""
    if datatype not in _TAKES[column.datatype]:
        raise RequestInvalid(
            f"The input {column.name!r} is sent as {datatype}.",
            hint=f"Expected {column.datatype} (or, where exact, {', '.join(_TAKES[column.datatype][:6])}).",
        )
    types = set(map(type, values))
    if type(None) in types:
        if not column.nullable:
            raise _wrong(column, values, values.index(None), "no null")
        types.discard(type(None))
    if not types <= _elements(datatype):
        allowed = _elements(datatype) | {type(None)}
        position = next(i for i, value in enumerate(values) if type(value) not in allowed)
        raise _wrong(column, values, position, f"{datatype} values")
    if datatype in _BOUNDS or datatype in _FLOATS:
        return _numbers(column, datatype, values)
    return values


def _elements(datatype: str) -> set[type]:
    if datatype == "BYTES":
        return {str}
    if datatype == "BOOL":
        return {bool}
    return {int} if datatype in _BOUNDS else {int, float}


def _numbers(column: InputColumn, datatype: str, values: list[Any]) -> list[Any]:
    low, high = _BOUNDS.get(datatype, (-_LARGEST_FP32, _LARGEST_FP32) if datatype == "FP32" else (-math.inf, math.inf))
    whole = datatype in _BOUNDS
    for position, value in _given(values):
        inside = low <= value <= high if whole else low < value < high
        if not inside:
            raise _wrong(column, values, position, f"{datatype} values")
    if column.datatype is Datatype.INT64:
        return _as_whole(column, values)
    if whole:
        for position, value in _given(values):
            if abs(value) > _EXACT:
                raise _wrong(column, values, position, "whole numbers that FP64 holds exactly (up to 2^53)")
    return [None if value is None else float(value) for value in values]


def _as_whole(column: InputColumn, values: list[Any]) -> list[Any]:
    for position, value in _given(values):
        if value != int(value) or not -(2**63) <= value < 2**63:
            raise _wrong(column, values, position, "whole numbers within INT64")
    return [None if value is None else int(value) for value in values]


def _given(values: Sequence[Any]) -> Iterable[tuple[int, Any]]:
    return ((position, value) for position, value in enumerate(values) if value is not None)


def _wrong(column: InputColumn, values: Sequence[Any], position: int, expected: str) -> RequestInvalid:
    found = orjson.dumps(values[position], default=repr).decode()  # as the caller wrote it: null, true
    return RequestInvalid(
        f"The input {column.name!r} has {found if len(found) <= 60 else found[:57] + '...'} at position {position}.",
        hint=f"Expected {expected}{', or null' if column.nullable else ''}.",
    )
