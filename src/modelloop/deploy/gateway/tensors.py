"""Pure: the values of one tensor, checked against what they are for. Nothing is rounded or guessed.

A column takes one value a row; a tensor specification takes an array of its own shape. Values come as a flat list (from
JSON) or as a flat array (from raw bytes).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from ...ground.core.errors import RequestInvalid
from ...ground.core.later import numpy as np
from ...prepare.records import Datatype, InputColumn
from ...register.records import TensorSpec
from ...register.signature import array
from .asked import Tensor

if TYPE_CHECKING:
    import numpy.typing as npt

WHOLE = tuple(f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64))
FLOATS = ("FP16", "FP32", "FP64")
DATATYPES = ("BOOL", *WHOLE, *FLOATS, "BYTES")
TYPES = {
    "BOOL": "bool",
    **{name: name.lower() for name in WHOLE},
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
    "BYTES": "object",
}
"""How numpy calls a datatype of the protocol."""
LARGEST_FP32 = 3.4028235677973366e38  # from here on rounding to FP32 gives infinity
_LARGEST = {"FP16": 65520.0, "FP32": LARGEST_FP32, "FP64": math.inf}
_EXACT = {"FP16": 2**11, "FP32": 2**24, "FP64": 2**53}
_TAKES: dict[Datatype, tuple[str, ...]] = {
    Datatype.BYTES: ("BYTES",),
    Datatype.BOOL: ("BOOL",),
    Datatype.FP64: ("FP64", "FP32", "FP16", *WHOLE),
    Datatype.INT64: (*WHOLE, *FLOATS),
}
_BOUNDS = {
    name: (0, 2 ** int(name[4:]) - 1) if name[0] == "U" else (-(2 ** (int(name[3:]) - 1)), 2 ** (int(name[3:]) - 1) - 1)
    for name in WHOLE
}


def flatten(name: str, data: Any, shape: Sequence[int]) -> list[Any]:
    """Return `data`, flat or nested as `shape` says, as one flat list in row-major order."""
    size = math.prod(shape)
    if not isinstance(data, list):
        raise RequestInvalid(f"The input {name!r} has no list of data.", hint=f"Expected `data` with {size} values.")
    if len(shape) > 1 and data and type(data[0]) is list:
        return _opened(name, data, shape)
    if len(data) != size:
        raise RequestInvalid(
            f"The input {name!r} has {len(data)} values and the shape {list(shape)}.", hint=f"Expected {size} values."
        )
    return data


def column_array(column: InputColumn, tensor: Tensor) -> npt.NDArray[Any]:
    """Return one value a row as the column has them; raises RequestInvalid."""
    if isinstance(tensor.values, list):
        return array(column, checked(column, tensor.datatype, tensor.values))
    return _raw_column(column, tensor.datatype, tensor.values)


def plain_values(column: InputColumn, values: npt.NDArray[Any]) -> list[Any]:
    """Return a column as plain values, a missing number as None: what is logged."""
    found: list[Any] = values.tolist()
    if values.dtype.kind != "f":
        return found
    if column.datatype is Datatype.INT64:
        return [None if value != value else int(value) for value in found]  # noqa: PLR0124 - NaN is not itself
    return [None if value != value else value for value in found]  # noqa: PLR0124 - as above


def tensor_array(spec: TensorSpec, tensor: Tensor) -> npt.NDArray[Any]:
    """Return the array that a model takes, of the specification's type; raises RequestInvalid."""
    if not fits(spec.shape, tensor.shape):
        raise RequestInvalid(
            f"The input {spec.name!r} has the shape {list(tensor.shape)}.",
            hint=f"Expected {list(spec.shape)} (-1: any size).",
        )
    if spec.datatype == tensor.datatype == "BYTES":
        return _texts(spec, tensor).reshape(tensor.shape)
    given = _typed(spec, tensor)
    wanted = np.dtype(TYPES[spec.datatype])
    if given.dtype != wanted:
        _require_exact(spec, tensor, given)
        with np.errstate(over="ignore"):
            given = given.astype(wanted)
    return given.reshape(tensor.shape)


def fits(wanted: Sequence[int], shape: Sequence[int]) -> bool:
    """Say whether a shape is one of those that are wanted; -1 is any size."""
    return len(wanted) == len(shape) and all(a in (-1, b) for a, b in zip(wanted, shape, strict=True))


def checked(column: InputColumn, datatype: str, values: list[Any]) -> list[Any]:
    """Return the values as the column has them (int, float, bool, str, or None where it may be), else raise."""
    _require_taken(column, datatype)
    types = set(map(type, values))
    if type(None) in types:
        if not column.nullable:
            raise _wrong(column, values, values.index(None), "no null")
        types.discard(type(None))
    elements = _elements(datatype) | ({bytes} if column.raw else set())
    if not types <= elements:
        allowed = elements | {type(None)}
        position = next(i for i, value in enumerate(values) if type(value) not in allowed)
        raise _wrong(column, values, position, "BYTES (UTF-8 text)" if datatype == "BYTES" else f"{datatype} values")
    if datatype in _BOUNDS or datatype in FLOATS:
        return _numbers(column, datatype, values)
    return values


def _opened(name: str, data: list[Any], shape: Sequence[int]) -> list[Any]:
    level: list[Any] = [data]
    for size in shape:
        if not all(type(part) is list and len(part) == size for part in level):
            raise RequestInvalid(
                f"The nested data of the input {name!r} do not have the shape {list(shape)}.",
                hint="Expected lists within lists of those sizes, or one flat list.",
            )
        level = [value for part in level for value in part]
    return level


def _require_taken(column: InputColumn, datatype: str) -> None:
    if datatype not in _TAKES[column.datatype]:
        others = [one for one in _TAKES[column.datatype][:6] if one != column.datatype]
        exact = f" (or, where exact, {', '.join(others)})" if others else ""
        raise RequestInvalid(
            f"The input {column.name!r} is sent as {datatype}.", hint=f"Expected {column.datatype}{exact}."
        )


def _elements(datatype: str) -> set[type]:
    if datatype == "BYTES":
        return {str}
    if datatype == "BOOL":
        return {bool}
    return {int} if datatype in _BOUNDS else {int, float}


def _numbers(column: InputColumn, datatype: str, values: list[Any]) -> list[Any]:
    low, high = _BOUNDS.get(datatype, (-_LARGEST.get(datatype, 0.0), _LARGEST.get(datatype, 0.0)))
    whole = datatype in _BOUNDS
    for position, value in _given(values):
        inside = low <= value <= high if whole else low < value < high
        if not inside:
            raise _wrong(column, values, position, f"{datatype} values")
    if column.datatype is Datatype.INT64:
        return _as_whole(column, values)
    if whole:
        for position, value in _given(values):
            if abs(value) > _EXACT["FP64"]:
                raise _wrong(column, values, position, "whole numbers that FP64 holds exactly (up to 2^53)")
    return [None if value is None else float(value) for value in values]


def _as_whole(column: InputColumn, values: list[Any]) -> list[Any]:
    for position, value in _given(values):
        if value != int(value) or not -(2**63) <= value < 2**63:
            raise _wrong(column, values, position, "whole numbers within INT64")
    return [None if value is None else int(value) for value in values]


def _given(values: Sequence[Any]) -> Iterable[tuple[int, Any]]:
    return ((position, value) for position, value in enumerate(values) if value is not None)


def _raw_column(column: InputColumn, datatype: str, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """As `checked`, for numbers that came as raw bytes; NaN is a missing one."""
    _require_taken(column, datatype)
    if column.datatype is Datatype.BOOL:
        return values
    kind = values.dtype.kind
    missing = np.isnan(values) if kind == "f" else np.zeros(len(values), dtype=bool)
    if not column.nullable:
        _none_of(column, values, missing, "no NaN")
    if kind == "f":
        _none_of(column, values, np.isinf(values), "finite numbers")
    if column.datatype is Datatype.FP64:
        if kind != "f" and values.dtype.itemsize == 8:
            outside = (values > _EXACT["FP64"]) | (values.astype(np.int64) < -_EXACT["FP64"])
            _none_of(column, values, outside, "whole numbers that FP64 holds exactly (up to 2^53)")
        return values.astype(np.float64)
    if kind == "f":
        wide = values.astype(np.float64)
        with np.errstate(invalid="ignore"):
            outside = ~missing & ((wide != np.floor(wide)) | (wide >= 2.0**63) | (wide < -(2.0**63)))
        _none_of(column, values, outside, "whole numbers within INT64")
        return wide if missing.any() else wide.astype(np.int64)
    if kind == "u" and values.dtype.itemsize == 8:
        _none_of(column, values, values >= 2**63, "whole numbers within INT64")
    return values.astype(np.int64)


def _none_of(column: InputColumn, values: npt.NDArray[Any], wrong: npt.NDArray[np.bool_], expected: str) -> None:
    if wrong.any():
        raise _wrong(column, values.tolist(), int(np.argmax(wrong)), expected)


def _texts(spec: TensorSpec, tensor: Tensor) -> npt.NDArray[Any]:
    values = tensor.values if isinstance(tensor.values, list) else tensor.values.tolist()
    for position, value in enumerate(values):
        if not isinstance(value, str | bytes):
            raise _misplaced(spec, value, position, "texts")
    made = np.empty(len(values), dtype=np.object_)
    made[:] = values
    return made


def _typed(spec: TensorSpec, tensor: Tensor) -> npt.NDArray[Any]:
    """Return the values as their own datatype says they are; JSON's numbers keep their 64 bits."""
    groups = (("BOOL",), ("BYTES",), (*WHOLE, *FLOATS))
    if not any(spec.datatype in group and tensor.datatype in group for group in groups):
        raise RequestInvalid(
            f"The input {spec.name!r} is sent as {tensor.datatype}.", hint=f"Expected {spec.datatype}."
        )
    values = tensor.values
    if not isinstance(values, list):
        return values
    elements = _elements(tensor.datatype)
    if not set(map(type, values)) <= elements:
        position = next(i for i, value in enumerate(values) if type(value) not in elements)
        raise _misplaced(spec, values[position], position, f"{tensor.datatype} values")
    if tensor.datatype in _BOUNDS:
        low, high = _BOUNDS[tensor.datatype]
        for position, value in enumerate(values):
            if not low <= value <= high:
                raise _misplaced(spec, value, position, f"{tensor.datatype} values")
        return np.array(values, dtype=TYPES[tensor.datatype])
    return np.array(values, dtype=bool if tensor.datatype == "BOOL" else np.float64)


def _require_exact(spec: TensorSpec, tensor: Tensor, given: npt.NDArray[Any]) -> None:
    """Raise where the wanted type cannot hold a value; a longer float is rounded to what the model computes with."""
    whole = spec.datatype in _BOUNDS
    if given.dtype.kind == "f" and not whole:
        wrong = (np.abs(given) >= min(_LARGEST[spec.datatype], _LARGEST[tensor.datatype])) & np.isfinite(given)
    elif not whole:
        limit = _EXACT[spec.datatype]
        wrong = (given > limit) | ((given < -limit) if given.dtype.kind == "i" else False)
    else:
        low, high = _BOUNDS[spec.datatype]
        wrong = np.array([not (low <= value <= high and value == int(value)) for value in given.tolist()])
    if wrong.any():
        position = int(np.argmax(wrong))
        raise _misplaced(spec, given[position].item(), position, f"{spec.datatype} values")


def _misplaced(spec: TensorSpec, value: Any, position: int, expected: str) -> RequestInvalid:
    return RequestInvalid(
        f"The input {spec.name!r} has {_shown(value)} at position {position}.", hint=f"Expected {expected}."
    )


def _wrong(column: InputColumn, values: Sequence[Any], position: int, expected: str) -> RequestInvalid:
    return RequestInvalid(
        f"The input {column.name!r} has {_shown(values[position])} at position {position}.",
        hint=f"Expected {expected}{', or null' if column.nullable else ''}.",
    )


def _shown(value: Any) -> str:
    """Return a value as the caller wrote it: null, true."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if value != value else "an infinite number"  # noqa: PLR0124 - NaN is not itself
    found = str(value) if type(value) is int else orjson.dumps(value, default=repr).decode()
    return found if len(found) <= 60 else found[:57] + "..."
