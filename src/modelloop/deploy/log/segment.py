"""One file of the log while it is written: mapped into memory where its room can be reserved, else by write(2).

A mapped file that runs out of disk kills its process (SIGBUS). So the room is taken when the file is opened, and a full
disk is an OSError there. A file that is closed is cut to what was written and loses its write permission: by that a
reader knows that nothing will follow.
"""

from __future__ import annotations

import errno
import mmap
import os
import stat
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from .frames import walk

LEAST = 16 * 1024
PIECE = 1 << 20
_UNSUPPORTED = {errno.EOPNOTSUPP, errno.EINVAL, errno.ENODEV, errno.ENOSYS}


class Segment(Protocol):
    """A file that is written."""

    path: Path
    put: Callable[[bytes], object]
    """Append; ValueError: no room left, or closed. Any thread may call it, also while another one closes."""

    def used(self) -> int:
        """Return how many bytes are taken."""

    def sync(self) -> None:
        """Bring everything to the disk, the name of the file included."""

    def close(self, *, sync: bool) -> None:
        """Cut to length, so that nothing can follow; `sync`: and bring it to the disk."""


def open_segment(path: Path, size: int, need: int, *, ahead: bool = False) -> Segment:
    """Make the file with room for `size` bytes, or less on a disk that has less (but `need`); raises OSError.

    `ahead`: nobody waits for the file. Its pages are made here too, in large pieces that the kernel maps as a whole;
    else each page is made when it is first written to, which costs an append 5 times what the copy does.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        room = _reserve(descriptor, max(size, need), max(need, min(size, LEAST)))
        if ahead:
            _fill(descriptor, room)
        return MappedSegment(path, descriptor, room) if room else PlainSegment(path, descriptor, max(size, need))
    except OSError:
        os.close(descriptor)
        path.unlink(missing_ok=True)
        raise


def _reserve(descriptor: int, size: int, least: int) -> int:
    """Take room; return how much, 0 where the file system cannot promise any."""
    if not hasattr(os, "posix_fallocate"):
        return 0
    while True:
        try:
            os.posix_fallocate(descriptor, 0, size)
            break
        except OSError as error:
            os.ftruncate(descriptor, 0)
            if error.errno in _UNSUPPORTED:
                return 0
            if size == least:
                raise
            size = max(size // 4, least)
    if os.fstat(descriptor).st_blocks * 512 < size:  # a file system that keeps zeros as holes promises nothing
        os.ftruncate(descriptor, 0)
        return 0
    return size


def _fill(descriptor: int, size: int) -> None:
    """Write zeros over reserved room; other threads run on meanwhile."""
    zeros = bytes(min(PIECE, size))
    for start in range(0, size, PIECE):
        os.pwrite(descriptor, zeros[: size - start], start)


class MappedSegment:
    """Appends by copying into memory: nothing waits, and what was copied outlives the process."""

    __slots__ = ("_descriptor", "_map", "_named", "path", "put")

    def __init__(self, path: Path, descriptor: int, size: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self._map = mmap.mmap(descriptor, size)
        self._named = False
        # One call in C under the interpreter's lock: checks the room, copies, moves on. No lock of ours is needed.
        self.put: Callable[[bytes], object] = self._map.write

    def used(self) -> int:
        """Return how many bytes are taken."""
        return self._map.tell()

    def sync(self) -> None:
        """Bring everything to the disk."""
        os.fdatasync(self._descriptor)
        if not self._named:
            _sync_folder(self.path)
            self._named = True

    def close(self, *, sync: bool) -> None:
        """Cut to length."""
        known = self._map.tell()
        self._map.close()  # from here on nobody can append; somebody may just have
        try:
            os.ftruncate(self._descriptor, walk(self._descriptor, known))
            _finish(self._descriptor)
            if sync:
                self.sync()
        finally:
            os.close(self._descriptor)


class PlainSegment:
    """Appends by write(2)."""

    __slots__ = ("_descriptor", "_lock", "_named", "_size", "_used", "path", "put")

    def __init__(self, path: Path, descriptor: int, size: int) -> None:
        self.path = path
        self.put: Callable[[bytes], object] = self._append
        self._descriptor = descriptor
        self._size = size
        self._used = 0
        self._named = False
        self._lock = threading.Lock()

    def used(self) -> int:
        """Return how many bytes are taken."""
        return self._used

    def _append(self, data: bytes) -> None:
        with self._lock:
            if self._descriptor < 0 or self._used + len(data) > self._size:
                raise ValueError("no room")
            self._write(data)

    def _write(self, data: bytes) -> None:
        done = 0
        try:
            while done < len(data):
                done += os.write(self._descriptor, data[done:] if done else data)
        finally:
            self._used += done
            if 0 < done < len(data):
                # Half a frame may stand at the end now, and a reader may have taken the whole ones before it: the file
                # can neither be cut back nor continued. Whoever waits for the disk finds it closed.
                with suppress(OSError):
                    os.fdatasync(self._descriptor)
                self._end()

    def sync(self) -> None:
        """Bring everything to the disk."""
        with self._lock:
            if self._descriptor < 0:
                return
            os.fdatasync(self._descriptor)
            if not self._named:
                _sync_folder(self.path)
                self._named = True

    def close(self, *, sync: bool) -> None:
        """End the file."""
        if sync:
            self.sync()
        with self._lock:
            self._end()

    def _end(self) -> None:
        if self._descriptor >= 0:
            _finish(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1


def finished(path: Path) -> bool:
    """Say whether a file was closed by its writer."""
    return not path.stat().st_mode & stat.S_IWUSR


def _finish(descriptor: int) -> None:
    os.fchmod(descriptor, 0o400)


def _sync_folder(path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
