"""The prediction log: what gateways append before they answer, and what the control side reads.

A file is a row of frames: length and CRC-32 of the payload (both 4 bytes, little-endian), then the payload in
MessagePack. A group of frames is written with one write(2), so a killed process loses at most answers it had not sent.
A machine that loses power may leave a torn last frame: the reader stops before it, and no writer ever appends behind
it, because a writer always begins a new file.
"""

from __future__ import annotations

import os
import struct
import threading
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from ..ground.core.ids import check_name

ROTATE_AT = 64 * 1024 * 1024
LARGEST_FRAME = 256 * 1024 * 1024

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


class LogWriter:
    """Appends frames to files `FOLDER/GATEWAY/START-SEQ.log`, whose names sort by age. Thread-safe.

    `started_ns` names this writer's files: with the clock's nanoseconds no two starts share a file.
    """

    def __init__(self, folder: Path, gateway: str, started_ns: int, *, rotate_at: int = ROTATE_AT) -> None:
        self.folder = folder / check_name(gateway, "gateway")
        self.failed = 0
        """Records that could not be written (a full disk); their answers were sent all the same."""
        self.failing = ""
        """Why the last write failed; empty when it did not."""
        self._started_ns = started_ns
        self._rotate_at = rotate_at
        self._sequence = 0
        self._descriptor = -1
        self._size = 0
        self._lock = threading.Lock()

    def write(self, frames: list[bytes]) -> bool:
        """Append frames with one write(2); return False, and count them, where the disk refuses."""
        data = b"".join(frames)
        with self._lock:
            try:
                self._append(data)
            except OSError as error:
                self.failed += len(frames)
                self.failing = f"{type(error).__name__}: {error}"
                return False
            self.failing = ""
            return True

    def close(self) -> None:
        """Close the file; a later write begins a new one."""
        with self._lock:
            self._close()

    def _append(self, data: bytes) -> None:
        if self._descriptor < 0 or (self._size > 0 and self._size + len(data) > self._rotate_at):
            self._open_next()
        written = 0
        try:
            while written < len(data):
                written += os.write(self._descriptor, data[written:] if written else data)
        finally:
            self._size += written
            if 0 < written < len(data):
                # Half a frame may stand at the end now, and a reader may have taken the whole ones before it: the file
                # can neither be cut back nor continued.
                self._close()

    def _open_next(self) -> None:
        self._close()
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{self._started_ns:020d}-{self._sequence:06d}.log"
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._sequence += 1
        self._descriptor = os.open(path, flags, 0o600)
        self._size = 0

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
