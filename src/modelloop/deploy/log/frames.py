"""How a record stands in a file: length and CRC-32 of the payload (4 bytes each, little-endian), then MessagePack.

A reader may look while a writer writes, and after a writer was killed or the machine lost power: it stops before the
first frame that is not whole. Zeros stand where nothing was written yet.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

LARGEST_FRAME = 256 * 1024 * 1024
PIECE = 1 << 20

_HEAD = struct.Struct("<II")
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(dict[str, Any])


def frame(record: Mapping[str, Any]) -> bytes:
    """Return one record as it stands in the file."""
    payload = _ENCODER.encode(record)
    return _HEAD.pack(len(payload), zlib.crc32(payload)) + payload


def read_frames(path: Path, offset: int = 0, *, limit: int | None = None) -> tuple[list[dict[str, Any]], int]:
    """Return the whole records from `offset` on, and where the next reading begins.

    Stops before a frame that is incomplete or damaged: being written, or torn by a power loss. `limit`: read about so
    many bytes at most (at least one frame); call again until the offset stands still.
    """
    records: list[dict[str, Any]] = []
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        end = size if limit is None else min(size, offset + limit)
        file.seek(offset)
        while offset < end:
            payload = _next_payload(file.read(_HEAD.size), file)
            if payload is None:
                break
            records.append(_DECODER.decode(payload))
            offset += _HEAD.size + len(payload)
    return records, offset


def _next_payload(head: bytes, file: Any) -> bytes | None:
    if len(head) < _HEAD.size:
        return None
    length, checksum = _HEAD.unpack(head)
    if not 0 < length <= LARGEST_FRAME:
        return None
    payload: bytes = file.read(length)
    return payload if len(payload) == length and zlib.crc32(payload) == checksum else None


def walk(descriptor: int, offset: int) -> int:
    """Return where the whole frames end that follow one another from `offset` on."""
    while True:
        head = os.pread(descriptor, _HEAD.size, offset)
        length, checksum = _HEAD.unpack(head) if len(head) == _HEAD.size else (0, 0)
        if not 0 < length <= LARGEST_FRAME:
            return offset
        payload = os.pread(descriptor, length, offset + _HEAD.size)
        if len(payload) < length or zlib.crc32(payload) != checksum:
            return offset
        offset += _HEAD.size + length


def damaged(path: Path, offset: int) -> bool:
    """Say whether something stands behind the frame at which the reader stopped: more than a torn end."""
    with path.open("rb") as file:
        file.seek(offset)
        head = file.read(_HEAD.size)
        length = _HEAD.unpack(head)[0] if len(head) == _HEAD.size else LARGEST_FRAME
        file.seek(offset + _HEAD.size + min(length, LARGEST_FRAME))
        return any(any(piece) for piece in iter(lambda: file.read(PIECE), b""))
