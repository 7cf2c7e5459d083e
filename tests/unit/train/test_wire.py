"""Frames between a gateway and a model's process: what goes in comes out, and what is no frame is an error."""

from __future__ import annotations

import socket
import struct
import time
from contextlib import suppress
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from modelloop.ground.core.errors import InvalidInput
from modelloop.train.outside import wire

NUMBERS = st.sampled_from(["<f8", "<f4", "<f2", "<i8", "<i4", "<i2", "|i1", "<u8", "|u1", "|b1"])
SHAPES = arrays.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4)
WORDS = st.one_of(st.none(), st.text(max_size=5), st.binary(max_size=5), st.booleans(), st.integers(-(2**63), 2**63))


@st.composite
def tensors(draw: Any) -> Any:
    shape = draw(SHAPES)
    if draw(st.booleans()):
        return draw(arrays.arrays(draw(NUMBERS), shape))
    size = int(np.prod(shape))
    made = np.empty(size, dtype=object)
    made[:] = draw(st.lists(WORDS, min_size=size, max_size=size))
    return made.reshape(shape)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.text(max_size=8), tensors(), max_size=4))
def test_arrays_come_out_as_they_went_in(given: dict[str, Any]) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        wire.send(ours, "ask", given, said="x")
        head, found = wire.receive(theirs, time.monotonic() + 5)
    assert (head.kind, head.said) == ("ask", "x")
    assert list(found) == list(given)
    for name, array in given.items():
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape
        assert found[name].tobytes() == array.tobytes() if array.dtype != object else True
        assert array.dtype != object or found[name].tolist() == array.tolist()


def frame(head: dict[str, Any] | bytes, body: bytes = b"", *, magic: bytes = wire.MAGIC, lie: int = 0) -> bytes:
    data = head if isinstance(head, bytes) else msgspec.msgpack.encode(head)
    return struct.pack("<4sIQ", magic, len(data), len(body) + lie) + data + body


def received(data: bytes) -> Any:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(data)
        ours.shutdown(socket.SHUT_WR)
        return wire.receive(theirs, time.monotonic() + 5)


@pytest.mark.parametrize(
    "data",
    [
        frame({"kind": "answer"}, magic=b"HTTP"),
        frame(b"\xc1"),
        frame({"kind": 3}),
        frame({"kind": "answer", "arrays": [["a", "<f8", [2], 16]]}, b"x" * 8),
        frame({"kind": "answer", "arrays": [["a", "<f8", [3], 16]]}, b"x" * 16),
        frame({"kind": "answer", "arrays": [["a", "<f8", [-1], 16]]}, b"x" * 16),
        frame({"kind": "answer", "arrays": [["a", ">f8", [2], 16]]}, b"x" * 16),
        frame({"kind": "answer", "arrays": [["a", "|O8", [2], 16]]}, b"x" * 16),
        frame({"kind": "answer", "arrays": [["a", "O", [2], 1]]}, b"\xc1"),
        frame({"kind": "answer", "arrays": [["a", "O", [2], 2]]}, msgspec.msgpack.encode([1])),
        frame({"kind": "answer", "arrays": [["a", "O", [1], 3]]}, msgspec.msgpack.encode([[1]])),
        frame({"kind": "answer", "arrays": [["a", "<f8", [0], -8], ["b", "<f8", [1], 16]]}, b"x" * 8),
        frame({"kind": "answer"}, lie=1 << 40),
        struct.pack("<4sIQ", wire.MAGIC, 1 << 30, 0),
    ],
)
def test_what_is_no_frame_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        received(data)


@pytest.mark.parametrize("data", [b"", b"mlo1", frame({"kind": "answer"})[:-1], frame({"kind": "a"}, lie=5)])
def test_an_end_in_the_middle_is_an_end(data: bytes) -> None:
    with pytest.raises(EOFError):
        received(data)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60))
def test_whatever_comes_nothing_else_is_raised(data: bytes) -> None:
    with suppress(EOFError, InvalidInput):
        received(wire.MAGIC + data)


def test_silence_ends_at_its_time() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(b"mlo1")
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            wire.receive(theirs, began + 0.1)
        assert time.monotonic() - began < 2


def test_too_large_calls_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MOST_BODY", 100)
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(InvalidInput, match="more than one call may carry"):
        wire.send(ours, "ask", {"x": np.ones(100)})
