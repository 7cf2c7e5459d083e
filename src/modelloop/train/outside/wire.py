"""What goes between a gateway and a model's process: frames of a small msgpack header and the raw bytes of arrays.

Nothing on the wire is code, and neither side trusts the other's sizes: a frame that is not as it says is an error.
"""

from __future__ import annotations

import math
import socket
import struct
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from ...ground.core.errors import InvalidInput
from ...ground.core.later import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

MAGIC = b"mlo1"
MOST_HEAD, MOST_BODY = 1 << 20, 1 << 30
_HEAD = struct.Struct("<4sIQ")
_JOINED = 1 << 16
_PLAIN = (str, bytes, bool, int, float, type(None))


class Head(msgspec.Struct):
    """The header of a frame."""

    kind: str
    """Asked: ask, beat. Answered: ready, answer, failed."""
    arrays: tuple[tuple[str, str, tuple[int, ...], int], ...] = ()
    """Name, numpy's type, shape, bytes. `O`: text, bytes or nothing, as a msgpack list."""
    said: str = ""
    number: int = 0
    """Of the question; an answer repeats it, so that what came twice or late is not taken for another's answer."""


def send(
    link: socket.socket,
    kind: str,
    arrays: Mapping[str, npt.NDArray[Any]] | None = None,
    said: str = "",
    *,
    number: int = 0,
) -> None:
    """Send one frame; raises OSError where the other side is gone."""
    listed, parts = [], []
    for name, array in (arrays or {}).items():
        if array.dtype.kind in "OU":
            part: Any = msgspec.msgpack.encode(array.reshape(-1).tolist())
            code = "O"
        elif array.dtype.kind in "biuf":
            part = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data if array.size else b""
            code = array.dtype.str
        else:
            raise InvalidInput(f"{name} is an array of {array.dtype}; numbers and text can be sent.")
        listed.append((name, code, array.shape, len(part)))
        parts.append(part)
    head = msgspec.msgpack.encode(Head(kind, tuple(listed), said, number))
    size = sum(map(len, parts))
    if size > MOST_BODY or len(head) > MOST_HEAD:
        raise InvalidInput(f"{size} bytes are more than one call may carry ({MOST_BODY}).")
    first = _HEAD.pack(MAGIC, len(head), size) + head
    if size <= _JOINED:
        link.sendall(first + b"".join(parts))
        return
    for whole in (first, *parts):
        link.sendall(whole)


def receive(link: socket.socket, until: float | None = None) -> tuple[Head, dict[str, npt.NDArray[Any]]]:
    """Return the next frame.

    Raises EOFError at the end, TimeoutError at `until` (of the monotonic clock), InvalidInput for garbage.
    """
    magic, head_size, body_size = _HEAD.unpack(_read(link, _HEAD.size, until))
    if magic != MAGIC or head_size > MOST_HEAD or body_size > MOST_BODY:
        raise InvalidInput("What came is no frame.")
    try:
        head = msgspec.msgpack.decode(_read(link, head_size, until), type=Head)
    except msgspec.DecodeError as error:
        raise InvalidInput(f"What came is no frame: {error}.") from error
    body = memoryview(_read(link, body_size, until))
    if sum(size for *_, size in head.arrays) != body_size or any(size < 0 for *_, size in head.arrays):
        raise InvalidInput("The sizes of a frame do not fit together.")
    arrays, start = {}, 0
    for name, code, shape, size in head.arrays:
        arrays[name] = _array(body[start : start + size], code, shape)
        start += size
    return head, arrays


def _array(data: memoryview, code: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    if any(size < 0 for size in shape) or len(shape) > 32:
        raise InvalidInput(f"An array has the shape {shape}.")
    count = math.prod(shape)
    if code == "O":
        try:
            values = msgspec.msgpack.decode(data, type=list)
        except msgspec.DecodeError as error:
            raise InvalidInput(f"An array of text cannot be read: {error}.") from error
        if len(values) != count or not all(type(one) in _PLAIN for one in values):
            raise InvalidInput(f"An array of text has {len(values)} values and the shape {shape}.")
        made = np.empty(count, dtype=np.object_)
        made[:] = values
        return made.reshape(shape)
    if len(code) != 3 or code[0] not in "<|" or code[1] not in "biuf" or code[2] not in "1248":
        raise InvalidInput(f"An array has the type {code[:20]!r}.")
    kind = np.dtype(code)
    if count * kind.itemsize != len(data):
        raise InvalidInput(f"An array of the shape {shape} has {len(data)} bytes.")
    return np.frombuffer(data, dtype=kind).reshape(shape)


def _read(link: socket.socket, size: int, until: float | None) -> bytearray:
    made = bytearray(size)
    view = memoryview(made)
    got = 0
    while got < size:
        if until is not None:
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            link.settimeout(left)
        count = link.recv_into(view[got:])
        if not count:
            raise EOFError
        got += count
    return made
