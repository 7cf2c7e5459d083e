"""One row of numbers, in a body that begins as an earlier one did: only the numbers are read.

A caller's program writes the same JSON around other numbers each time. What stands before them was parsed once, and it
was proved then that any list in their place makes the same request. So the list alone is parsed.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import orjson

from ...ground.core.later import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

_DATA = b'"data":'
_END = b"}]}"
_LONGEST, _MOST = 512, 256


class RowReader:
    """Reads one row of FP32 for the tensor `name` of the shape `[1, ...]`."""

    __slots__ = ("_array", "_dtype", "_known", "_pack", "_tries", "name", "shape", "width")

    def __init__(self, name: str, shape: list[int], width: int) -> None:
        self.name, self.shape, self.width = name, shape, width
        self._pack = struct.Struct(f"<{width}f").pack
        self._dtype, self._array = np.dtype("<f4"), np.ndarray
        self._known: set[bytes] = set()
        self._tries = 0

    def read(self, body: bytes) -> tuple[dict[str, npt.NDArray[Any]], int, dict[str, Any]] | None:
        """Return the array, or None for a body that does not begin as a known one; raises for what are no numbers."""
        at = body.find(_DATA, 0, _LONGEST)
        if at < 0 or body[:at] not in self._known or not body.endswith(_END):
            return None
        data = orjson.loads(body[at + 7 : -3])
        if type(data) is not list or len(data) != self.width or b"true" in body or b"false" in body:
            return None
        raw = self._pack(*data)
        shape = self.shape
        return {self.name: self._array(shape, self._dtype, raw)}, 1, {self.name: ["FP32", shape, raw]}

    def made(self, data: list[Any]) -> tuple[dict[str, npt.NDArray[Any]], int, dict[str, Any]]:
        """Return the array of a row; raises for whatever is no number, or too large for the type."""
        raw = self._pack(*data)
        shape = self.shape
        return {self.name: self._array(shape, self._dtype, raw)}, 1, {self.name: ["FP32", shape, raw]}

    def learn(self, body: bytes) -> None:
        """Know how a body begins that was a right request for one row, if it is of the usual form."""
        at = body.find(_DATA, 0, _LONGEST)
        self._tries += 1
        if at < 0 or not body.endswith(_END) or self._tries > _MOST:  # of callers that never write the same
            return
        tensor = {"name": self.name, "datatype": "FP32", "shape": self.shape, "data": []}
        try:
            around = orjson.loads(body[: at + len(_DATA)] + b"[]" + _END)
        except orjson.JSONDecodeError:
            return
        if around == {"inputs": [tensor]}:
            self._known.add(body[:at])


def no_words(body: bytes) -> bool:
    """Say that no value of the body is true or false, which Python takes for numbers."""
    return b"true" not in body and b"false" not in body
