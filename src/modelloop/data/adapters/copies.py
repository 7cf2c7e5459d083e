"""Where the bytes of an item are: in memory, in the source's own file, or in a copy that goes when nobody needs it."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from ...ground.core.errors import DataRefused
from ...ground.core.hashing import hash_bytes
from ...ground.core.later import polars as pl
from ..formats.blocks import BLOCK, blocks_of
from ..formats.parse import Written, cut, frames, parquet_frames, parse, refusing
from ..records import Taken
from ..settings import Format

IN_MEMORY = 2**28
"""Up to so many bytes a file is read once into memory: what is hashed is what is parsed."""
_RACY = 2 * 10**9
"""Nanoseconds in which a file may change twice and show the same time."""


class Folder:
    """A folder for copies, gone with the last item that uses it."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="modelloop-source-"))
        self._gone = weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)
        self._places = count()

    def place(self) -> Path:
        """Return where a further copy may go."""
        return self.path / f"{next(self._places):08}"


def frames_of_bytes(data: bytes, written: Written, name: str) -> Iterator[pl.DataFrame]:
    """Yield the rows of a file that is in memory."""
    if written.format in (Format.CSV, Format.JSONL):
        yield from frames(lambda: blocks_of(data), written, name, size=len(data))
    elif written.format is Format.PARQUET:
        yield from parquet_frames(data, name)
    else:
        yield from cut(parse(data, written, name))


@dataclass(frozen=True, slots=True)
class OnDisk:
    """A file as it was when it was hashed; it is read again for its rows, and what is read must have that hash."""

    path: Path
    taken: Taken
    written: Written
    stat: tuple[int, ...]
    seen: int
    """When it was looked at, in nanoseconds."""
    folder: Folder | None = None
    """Kept alive as long as the file is needed."""

    def frames(self) -> Iterator[pl.DataFrame]:
        """Yield its rows; raises DataRefused, also where its content is not what was hashed."""
        if self.written.format is Format.BINARY:
            yield pl.DataFrame([self.row()])
        elif self.taken.size <= IN_MEMORY:
            yield from frames_of_bytes(self.content(), self.written, self.taken.name)
        elif self.written.format is Format.PARQUET:
            yield from parquet_frames(self.path, self.taken.name)
        elif self.written.format in (Format.CSV, Format.JSONL):
            yield from frames(self._blocks, self.written, self.taken.name, size=self.taken.size)
        else:
            with refusing(self.written, self.taken.name, self.taken.size):
                raise ValueError(f"it is larger than {IN_MEMORY:,} bytes; save it as CSV or Parquet")

    def row(self) -> dict[str, object]:
        """Return the file as a row (format binary); raises DataRefused where it is too large for a value."""
        if self.taken.size > IN_MEMORY:
            raise DataRefused(
                f"{self.taken.name} has {self.taken.size:,} bytes; a value has at most {IN_MEMORY:,}.",
                hint="Keep such files elsewhere and bring their names in as a table.",
            )
        return row_of(self.taken, self.content())

    def content(self) -> bytes:
        """Return its bytes; raises DataRefused where they are not those that were hashed."""
        with refusing(self.written, self.taken.name, self.taken.size), self.path.open("rb") as file:
            data = file.read(self.taken.size + 1)
        if hash_bytes(data) != self.taken.content:
            raise changed(self.taken.name)
        return data

    def _blocks(self) -> Iterator[bytes]:
        digest = hashlib.sha256()
        for block in blocks_of_file(self.path):
            digest.update(block)
            yield block
        if digest.hexdigest() != self.taken.content:
            raise changed(self.taken.name)

    def unchanged(self) -> None:
        """Raise DataRefused if the file is not the one that was hashed; hash it again where its time cannot tell."""
        racy = abs(self.seen - self.taken.modified) < _RACY and self.taken.size > IN_MEMORY
        try:
            same = stat_of(self.path) == self.stat and (not racy or hash_file(self.path) == self.taken.content)
        except OSError:
            same = False
        if not same:
            raise changed(self.taken.name)


def row_of(taken: Taken, data: bytes) -> dict[str, object]:
    """Return a file as a row."""
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=taken.modified // 1000)
    return {"name": taken.name, "content": data, "size": taken.size, "modified": at}


def on_disk(path: Path, name: str, written: Written, folder: Folder | None = None) -> OnDisk:
    """Hash a file; raises DataRefused if it changes meanwhile, OSError if it cannot be read."""
    seen, stat = time.time_ns(), stat_of(path)
    content = hash_file(path)
    if stat_of(path) != stat:
        raise changed(name)
    return OnDisk(path, Taken(name, content, stat[0], stat[1]), written, stat, seen, folder)


def changed(name: str) -> DataRefused:
    """Return the error for a file that changed while it was read."""
    return DataRefused(
        f"{name} changed while it was being read, so nothing of it was taken in.",
        hint="Write under a name that begins with '.' or '_' and rename the file when it is complete.",
    )


def stat_of(path: Path) -> tuple[int, ...]:
    """Return what changes whenever a file does."""
    stat = path.stat()
    return (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, stat.st_dev)


def blocks_of_file(path: Path) -> Iterator[bytes]:
    """Yield a file's bytes in blocks."""
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            yield block


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file, whatever its size."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True, slots=True)
class Fetched:
    """Bytes that came from elsewhere, in memory or in a copy."""

    content: str
    size: int
    data: bytes | None
    path: Path | None
    folder: Folder | None

    def frames(self, taken: Taken, written: Written) -> Callable[[], Iterator[pl.DataFrame]]:
        """Return what yields their rows."""
        data, path = self.data, self.path
        if data is not None and written.format is Format.BINARY:
            return lambda: iter([pl.DataFrame([row_of(taken, data)])])
        if data is not None:
            return lambda: frames_of_bytes(data, written, taken.name)
        assert path is not None, "what is not in memory is in a copy"
        return OnDisk(path, taken, written, stat_of(path), 0, self.folder).frames


def fetched(pieces: Iterable[bytes], most: int, name: str, folder: Folder | None = None) -> Fetched:
    """Take in bytes from elsewhere, in memory while they are few and no folder is given; DataRefused beyond `most`."""
    digest, size, kept = hashlib.sha256(), 0, list[bytes]()
    path = None if folder is None else folder.place()
    for piece in pieces:
        digest.update(piece)
        size += len(piece)
        if size > most:
            raise too_large(name, most)
        kept.append(piece)
        if size > IN_MEMORY or folder is not None:
            folder = folder or Folder()
            path = path or folder.place()
            with path.open("ab") as file:
                file.writelines(kept)
            kept.clear()
    if path is not None:
        path.touch()
        return Fetched(digest.hexdigest(), size, None, path, folder)
    data = b"".join(kept)
    return Fetched(hash_bytes(data), size, data, None, None)


def too_large(name: str, most: int) -> DataRefused:
    """Return the error for more bytes than the source may send."""
    return DataRefused(f"{name} is larger than {most:,} bytes.", hint="Raise max_bytes of the source if it should be.")
