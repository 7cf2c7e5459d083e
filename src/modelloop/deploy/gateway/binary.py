"""Pure: the binary tensor extension. Raw little-endian values behind the JSON head, in both directions."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...ground.core.errors import RequestInvalid
from ...ground.core.later import numpy as np
from .tensors import TYPES

if TYPE_CHECKING:
    import numpy.typing as npt

_LENGTH = struct.Struct("<I")


def unpacked(name: str, datatype: str, shape: Sequence[int], raw: memoryview) -> list[Any] | npt.NDArray[Any]:
    """Return the values in `raw`, flat; BYTES as a list of str (bytes where it is no UTF-8)."""
    count = math.prod(shape)
    if datatype == "BYTES":
        return _texts(name, count, raw)
    kind = np.dtype(TYPES[datatype]).newbyteorder("<")
    if len(raw) != count * kind.itemsize:
        raise RequestInvalid(
            f"The input {name!r} has {len(raw)} raw bytes and the shape {list(shape)}.",
            hint=f"Expected {count} {datatype} values, {count * kind.itemsize} bytes.",
        )
    if datatype == "BOOL":  # any byte but 0 is true; numpy believes what it finds
        found: npt.NDArray[Any] = np.frombuffer(raw, dtype=np.uint8) != 0
        return found
    return np.frombuffer(raw, dtype=kind).astype(kind.newbyteorder("="), copy=False)


def packed(values: npt.NDArray[Any]) -> bytes:
    """Return the values as raw bytes; texts each behind their length."""
    if values.dtype.kind in "OUS":
        return b"".join(_LENGTH.pack(len(text)) + text for text in map(_bytes, values.reshape(-1).tolist()))
    return values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()


def _texts(name: str, count: int, raw: memoryview) -> list[Any]:
    found: list[Any] = []
    at = 0
    while at < len(raw):
        if at + _LENGTH.size > len(raw) or len(found) == count:
            break
        (size,) = _LENGTH.unpack_from(raw, at)
        at += _LENGTH.size
        if at + size > len(raw):
            raise RequestInvalid(
                f"Element {len(found)} of the input {name!r} says it has {size} bytes, {len(raw) - at} are there.",
                hint="Each element is its length (4 bytes, little-endian) and its bytes.",
            )
        found.append(_text(bytes(raw[at : at + size])))
        at += size
    if len(found) != count or at != len(raw):
        raise RequestInvalid(
            f"The raw bytes of the input {name!r} do not hold exactly {count} elements.",
            hint="Each element is its length (4 bytes, little-endian) and its bytes.",
        )
    return found


def _text(value: bytes) -> str | bytes:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def _bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    return b"" if value is None else str(value).encode("utf-8", "surrogateescape")
