"""What a writer promised and what it wrote, in a page of memory that outlives its process.

`START.counts` stands beside the files of the writer that began at START. Its numbers are stored the moment they change,
so whoever looks after the writer was killed knows how many records went with it. The writer holds a lock on the file
as long as it lives.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import MutableSequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

SIZE = 4096
MAGIC = 0x3154_4E43_4F4C_4C4D
_MAGIC, _PROMISED, _SETTLED, _FAILED, _LOST = range(5)


@dataclass(frozen=True, slots=True)
class Told:
    """What a writer says of itself, or said before it ended."""

    promised: int
    """Records taken for later (durability `buffered`)."""
    settled: int
    """Of these, how many were written, or counted as failed."""
    failed: int
    """Records that the disk refused."""
    lost: int
    """Records that were turned away because too many waited."""
    alive: bool

    @property
    def killed(self) -> int:
        """Return how many records ended with the process."""
        return 0 if self.alive else max(0, self.promised - self.settled)


class Counts:
    """The numbers of one writer. Without room for the page (a full disk) they are kept in memory until there is."""

    __slots__ = ("_cells", "_descriptor", "_map", "path")

    def __init__(self, path: Path) -> None:
        self.path = path
        self._cells: MutableSequence[int] = [MAGIC, 0, 0, 0, 0]
        self._descriptor = -1
        self._map: mmap.mmap | None = None

    def settle(self) -> None:
        """Take the page, where it is not taken yet; raises OSError without room."""
        if self._descriptor >= 0:
            return
        draft = self.path.with_suffix(".new")
        descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            os.pwrite(descriptor, bytes(SIZE), 0)  # takes the room: a map of a hole on a full disk kills its process
            os.fdatasync(descriptor)
            self._map = mmap.mmap(descriptor, SIZE)
            draft.rename(self.path)  # whoever sees the page sees it locked
        except OSError:
            os.close(descriptor)
            draft.unlink(missing_ok=True)
            raise
        cells = memoryview(self._map).cast("Q")
        for place, number in enumerate(self._cells):
            cells[place] = number
        self._cells, self._descriptor = cast("MutableSequence[int]", cells), descriptor

    def promise(self, count: int) -> None:
        """Say how many records were taken for later in all."""
        self._cells[_PROMISED] = count

    def note(self, settled: int, failed: int, lost: int) -> None:
        """Say what became of them, and what was refused."""
        self._cells[_FAILED] = failed
        self._cells[_LOST] = lost
        self._cells[_SETTLED] = settled

    def close(self) -> None:
        """Let go of the page; remove it where there is nothing to tell."""
        if self._descriptor < 0 or self._map is None:
            return
        _, promised, settled, failed, lost = kept = list(self._cells[:5])
        cast("memoryview", self._cells).release()
        self._cells = kept
        self._map.close()
        if promised == settled and not failed and not lost:
            self.path.unlink(missing_ok=True)
        os.close(self._descriptor)
        self._map, self._descriptor = None, -1


def read_counts(path: Path) -> Told:
    """Read the numbers of a writer, and whether it lives. A page that is being made says nothing, alive."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        alive = _held(descriptor)
        data = os.pread(descriptor, 40, 0)
    finally:
        os.close(descriptor)
    cells = memoryview(data).cast("Q") if len(data) == 40 else None
    if cells is None or cells[_MAGIC] != MAGIC:
        return Told(0, 0, 0, 0, alive)
    return Told(cells[_PROMISED], cells[_SETTLED], cells[_FAILED], cells[_LOST], alive)


def _held(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False
