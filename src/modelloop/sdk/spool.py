"""The spool: everything a run logs is in a file of its own first, and stays there until it has arrived.

One folder for each run and process, `spool/RUN.START/`:
  log       framed records, as the prediction log has them: length, CRC-32, MessagePack; a torn tail is passed over
  output    what the run printed
  files/    copies of logged files
  sent      how far the log has arrived, and under which ids
  lock      held (flock) by the process that writes, or by the one that sends what a dead process left

Where the disk is full records wait in memory, up to a bound, and are sent from there.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..deploy.log import frame, read_frames

CHUNK = 1024 * 1024
"""So many bytes of the log are read at a time."""
MOST_IN_MEMORY = 64 * 1024 * 1024
MOST_OUTPUT = 64 * 1024 * 1024
Record = Mapping[str, Any]

_APPENDING = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
_FROM_MEMORY = 1000
_COPIED_AT_ONCE = 1 << 30


@dataclass(frozen=True, slots=True)
class Sent:
    """How far a spool has arrived, and under which ids."""

    offset: int = 0
    run: str = ""
    experiment: str = ""
    memory: int = 0
    """The last record that was read from memory."""


class Spool:
    """One run's spool: one thread at a time writes, another reads."""

    def __init__(self, folder: Path, lock: int) -> None:
        self.folder = folder
        self.sent = _read_sent(folder / "sent")
        self.lost = 0
        """Records dropped because neither disk nor memory had room."""
        self._lock = lock
        self._log = os.open(folder / "log", _APPENDING, 0o600)
        self._output = os.open(folder / "output", _APPENDING, 0o600)
        self._size = os.fstat(self._log).st_size
        self.printed = os.fstat(self._output).st_size
        """Bytes of output that are kept."""
        self._memory: deque[tuple[int, Record, int]] = deque()
        self._in_memory, self._numbered, self._files = 0, 0, 0
        self._gone: list[str] = []
        self._mutex = threading.Lock()

    def append(self, records: Sequence[Record]) -> None:
        """Keep records: in the file, or in memory while the disk refuses. Never raises."""
        frames = [(record, frame(record)) for record in records]
        with self._mutex:
            self._settle()
            if not self._memory and self._write(b"".join(data for _, data in frames)):
                return
            for record, data in frames:
                self._remember(record, len(data))

    def print(self, text: str) -> bool:
        """Keep what was printed; return False where it was dropped."""
        data = text.encode(errors="replace")
        if self.printed + len(data) > MOST_OUTPUT:
            return False
        try:
            self.printed += os.write(self._output, data)
        except OSError:
            return False
        return True

    def keep(self, source: Path | bytes) -> str:
        """Copy a file, or bytes, into the spool and return its name there; raises OSError where there is no room."""
        with self._mutex:
            self._files += 1
            target = self.folder / "files" / f"{self._files:06d}"
        target.parent.mkdir(exist_ok=True, mode=0o700)
        try:
            if isinstance(source, bytes):
                target.write_bytes(source)
            else:
                copy(source, target)
        except OSError:
            target.unlink(missing_ok=True)
            raise
        return target.name

    def read(self) -> tuple[list[Record], Sent]:
        """Return the next records (none: all have arrived), and what to give to `arrived` once they are there."""
        with self._mutex:
            self._settle()
            size = self._size
            waiting = [(number, record) for number, record, _ in list(self._memory)[:_FROM_MEMORY]]
        if self.sent.offset < size:
            limit = min(CHUNK, size - self.sent.offset)
            records, offset = read_frames(self.folder / "log", self.sent.offset, limit=limit)
            if records:
                return list(records), replace(self.sent, offset=offset)
            self._cut()
        last = waiting[-1][0] if waiting else self.sent.memory
        return [record for _, record in waiting], replace(self.sent, memory=last)

    def arrived(self, sent: Sent, files: Sequence[str] = ()) -> None:
        """Note that what `read` returned is where it belongs; copies of files that came with it are removed."""
        self.sent = sent
        with self._mutex:
            while self._memory and self._memory[0][0] <= sent.memory:
                self._in_memory -= self._memory.popleft()[2]
        try:
            _write_sent(self.folder / "sent", sent)
        except OSError:  # it would be sent again: harmless, as long as its files are there
            return
        for name in files:
            (self.folder / "files" / name).unlink(missing_ok=True)

    def close(self, *, remove: bool) -> None:
        """Let go of it; with `remove` everything in it has arrived."""
        if remove:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.let_go()

    def let_go(self) -> None:
        """Close it here; in a forked child the process it came from still holds it."""
        for descriptor in (self._log, self._output, self._lock):
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def _write(self, data: bytes) -> bool:
        """Append whole frames, or nothing; the reader never looks behind `_size`."""
        written = 0
        try:
            while written < len(data):
                written += os.write(self._log, data[written:] if written else data)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._log, self._size)
            return False
        self._size += written
        return True

    def _remember(self, record: Record, size: int) -> None:
        if self._in_memory + size > MOST_IN_MEMORY:
            self.lost += len(record.get("rows", ())) or 1
            return
        self._numbered += 1
        self._memory.append((self._numbered, record, size))
        self._in_memory += size

    def _settle(self) -> None:
        """Move what waits in memory to the disk, if that has room again. What was sent meanwhile is sent twice."""
        while self._memory and self._write(frame(self._memory[0][1])):
            self._in_memory -= self._memory.popleft()[2]

    def _cut(self) -> None:
        """Give up a tail that a dead process left torn: nothing follows it."""
        with self._mutex:
            os.ftruncate(self._log, self.sent.offset)
            self._size = self.sent.offset


def create(root: Path, run: str, started_ns: int) -> Spool:
    """Return a new spool under `root`, held by this process from before it can be seen; raises OSError."""
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    if root.stat().st_uid != os.getuid():
        raise PermissionError(f"{root} belongs to somebody else")
    draft = root / f".{run}.{started_ns}.{os.getpid()}"
    draft.mkdir(mode=0o700)
    lock = os.open(draft / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    folder = root / f"{run}.{started_ns}.{os.getpid()}"
    draft.rename(folder)
    return Spool(folder, lock)


def adopt(folder: Path) -> Spool | None:
    """Return the spool that a dead process left in `folder`; None while somebody holds it, or if it is gone."""
    try:
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return Spool(folder, lock)
    except OSError:  # held, or removed by who held it a moment ago
        os.close(lock)
        return None


def left(root: Path) -> list[Path]:
    """Return the folders of all spools under `root`, oldest first by run."""
    try:
        return sorted(folder for folder in root.iterdir() if folder.is_dir() and not folder.name.startswith("."))
    except OSError:
        return []


def copy(source: Path, target: Path) -> None:
    """Copy a file's bytes, without reading them where the file system can share them."""
    with source.open("rb") as reading, target.open("wb") as writing:
        done = 0
        with contextlib.suppress(OSError, AttributeError):
            while moved := os.copy_file_range(reading.fileno(), writing.fileno(), _COPIED_AT_ONCE):
                done += moved
        reading.seek(done)
        writing.seek(done)
        shutil.copyfileobj(reading, writing, 1024 * 1024)


def _read_sent(path: Path) -> Sent:
    try:
        offset, run, experiment = path.read_text().split("\n")[:3]
        return Sent(int(offset), run, experiment)
    except (OSError, ValueError):
        return Sent()


def _write_sent(path: Path, sent: Sent) -> None:
    """Write it in one piece; a torn one reads as nothing sent, which is harmless."""
    draft = path.with_name(".sent")
    draft.write_text(f"{sent.offset}\n{sent.run}\n{sent.experiment}\n")
    draft.replace(path)
