"""One row of one FP32 tensor, in JSON, answered with one FP32 number: nearly every request to a tensor model.

All that is the same in each such answer and record is made once per routing table; a request fills in the rest. Both
are, byte for byte or entry for entry, what `plans` makes of the same request.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import orjson

from ...ground.core.later import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

_ENCODE = msgspec.msgpack.Encoder().encode
_FRAME = struct.Struct("<II").pack
_NUMPY = orjson.OPT_SERIALIZE_NUMPY
_ONE = (1,)
_HEAD = b"content-type: application/json\r\nmodelloop-prediction-id: "
_END = b"}]}"
_ID = 31
_LONGEST = 64
"""Of one FP32 number as JSON, brackets included; it is 18 at most."""


class Feed:
    """What a session is fed with: one array, filled anew for each request, which saves making it.

    One thread asks, and a session is done with it when it has answered.
    """

    __slots__ = ("_bytes", "columns", "read")

    def __init__(self, name: str, shape: Sequence[int], read: Callable[[bytes], bytes | None]) -> None:
        """`read`: from a body to the numbers of its row, little-endian, or None."""
        cells: npt.NDArray[Any] = np.zeros(shape, dtype="<f4")
        self._bytes = cells.data.cast("B")
        self.read = read
        self.columns = {name: cells}

    def fill(self, raw: bytes) -> None:
        """Take the numbers of a row."""
        self._bytes[:] = raw


class Wording:
    """Puts answers together: `before` the id, `between` its two places in the body, `after` it up to the number."""

    __slots__ = ("_after", "_between", "_lengths")

    def __init__(self, before: bytes, between: bytes, after: bytes) -> None:
        self._between, self._after = between, after
        fixed = len(before + between + after + _END) + 2 * _ID
        self._lengths = [b"\r\ncontent-length: %d\r\n\r\n%b" % (fixed + more, before) for more in range(_LONGEST)]

    def answer(self, prediction: bytes, data: bytes) -> bytes:
        """Return a response behind its status line and the server's own headers."""
        return b"".join((
            _HEAD, prediction, self._lengths[len(data)], prediction, self._between, prediction, self._after, data, _END,
        ))  # fmt: skip


class Form:
    """Puts records together: their entries in one order, each of a size that is known."""

    __slots__ = ("_end", "_inputs", "_pack", "_start")

    def __init__(self, start: bytes, name: str, shape: Sequence[int], end: bytes) -> None:
        """`start`: the entries that do not vary; `end`: those behind the inputs."""
        size = 4 * int(np.prod(shape))
        inputs = _ENCODE("t") + _ENCODE({name: ["FP32", list(shape), bytes(size)]})[:-size]
        self._start, self._inputs, self._end = start + b"\xa2id\xbf", inputs, end
        sizes = (len(self._start), len(inputs), size, len(end))
        self._pack = struct.Struct(">{}s31s4sQ4sQ4sd5sd4sd{}s{}s{}s".format(*sizes)).pack

    def frame(  # noqa: PLR0917 - names cost time here
        self, prediction: bytes, at: int, milliseconds: float, whole: float, score: float, raw: bytes
    ) -> bytes:
        """Return the frame of an answered request."""
        payload = self._pack(
            self._start, prediction, b"\xa2at\xcf", at, b"\xa2et\xcf", at, b"\xa2ms\xcb", milliseconds,
            b"\xa3lat\xcb", whole, b"\xa1s\x91\xcb", score, self._inputs, raw, self._end,
        )  # fmt: skip
        return _FRAME(len(payload), zlib.crc32(payload)) + payload


class Single:
    """One version, asked with one row."""

    __slots__ = ("_outputs", "_run", "answer", "frame", "frame_shadowed")

    def __init__(self, run: Callable[..., Any], output: str, wording: Wording, form: Form, shadowed: Form) -> None:
        """`run`: of the session; `shadowed`: the form of what another version scores too."""
        self._run, self._outputs = run, [output]
        self.answer, self.frame, self.frame_shadowed = wording.answer, form.frame, shadowed.frame

    def score(self, columns: dict[str, Any]) -> tuple[bytes, float] | None:
        """Return the number as JSON and as it is; None: the version answered something else."""
        values = self._run(self._outputs, columns, None)[0]
        if values.shape != _ONE:
            if values.shape != (1, 1):
                return None
            values = values.reshape(1)
        if values.dtype.char != "f":
            return None
        score: float = values.item()
        return (orjson.dumps(values, option=_NUMPY), score) if score - score == 0.0 else None
