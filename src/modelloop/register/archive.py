"""Files of a folder or archive that somebody hands over, one after the other, none of them believed.

Links, devices and paths that lead elsewhere are refused before a byte is taken; nothing is unpacked onto a disk.
"""

from __future__ import annotations

import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from ..ground.core.errors import InvalidInput
from ..train.tracking.paths import check_path

MAX_FILES = 20_000
MAX_BYTES = 256 * 1024**3
RATIO = 1000
"""An archive that unpacks to more than this many times its size is no model."""
BLOCK = 1 << 20
Member = tuple[str, Iterator[bytes]]
"""Path within the folder, and the bytes: read them before the next member is asked for."""


def members(source: Path) -> Iterator[Member]:
    """Yield the files of a folder, or of a .zip, .tar, .tar.gz; raises InvalidInput for what is no honest one."""
    if source.is_symlink() or not source.exists():
        found = "a link" if source.is_symlink() else "not there"
        raise InvalidInput(f"{str(source)[:200]!r} is {found}.", hint="Name a folder, or a .zip or .tar.gz of one.")
    if source.is_dir():
        yield from _limited(_of_folder(source), MAX_BYTES)
        return
    most = min(MAX_BYTES, max(source.stat().st_size * RATIO, BLOCK))
    if zipfile.is_zipfile(source):
        yield from _limited(_of_zip(source), most)
    elif tarfile.is_tarfile(source):
        yield from _limited(_of_tar(source), most)
    else:
        raise InvalidInput(f"{source.name!r} is neither a folder nor an archive.", hint="Expected .zip or .tar.gz.")


def _limited(found: Iterator[Member], most: int) -> Iterator[Member]:
    left = [most]
    seen: set[str] = set()
    for path, data in found:
        check_path(path)
        if path in seen:
            raise InvalidInput(f"{path[:120]!r} is there twice.", hint="Which of the two is meant cannot be known.")
        seen.add(path)
        if len(seen) > MAX_FILES:
            raise InvalidInput(f"It holds more than {MAX_FILES} files.")
        yield path, _counted(path, data, left, most)


def _counted(path: str, data: Iterator[bytes], left: list[int], most: int) -> Iterator[bytes]:
    for block in data:
        left[0] -= len(block)
        if left[0] < 0:
            raise InvalidInput(f"With {path[:120]!r} it unpacks to more than {most} bytes.")
        yield block


def _of_folder(source: Path) -> Iterator[Member]:
    for here, folders, files in os.walk(source, followlinks=False):
        folders.sort()
        for name in (*folders, *sorted(files)):
            path = Path(here) / name
            kind = path.lstat().st_mode
            said = path.relative_to(source).as_posix()
            if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
                raise InvalidInput(f"{said[:120]!r} is a link or a device.", hint="Copy what it points to.")
            if stat.S_ISREG(kind):
                yield said, _of_file(path)


def _of_file(path: Path) -> Iterator[bytes]:
    # a link that takes the file's place after it was looked at is not followed
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        yield from _blocks(file)


def _of_zip(source: Path) -> Iterator[Member]:
    try:
        with zipfile.ZipFile(source) as archive:
            files = (one for one in map(_honest, archive.infolist()) if not one.is_dir())
            yield from ((one.filename, _of_zipped(archive, one)) for one in files)
    except (zipfile.BadZipFile, RuntimeError) as error:  # RuntimeError: a compression that is not known
        raise InvalidInput(f"{source.name!r} cannot be read as a zip: {error}.") from error


def _honest(one: zipfile.ZipInfo) -> zipfile.ZipInfo:
    if stat.S_ISLNK(one.external_attr >> 16):
        raise InvalidInput(f"{one.filename[:120]!r} is a link.", hint="Pack what it points to.")
    if one.flag_bits & 1:
        raise InvalidInput(f"{one.filename[:120]!r} is encrypted.")
    return one


def _of_zipped(archive: zipfile.ZipFile, one: zipfile.ZipInfo) -> Iterator[bytes]:
    try:
        with archive.open(one) as file:
            yield from _blocks(file)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise InvalidInput(f"{one.filename[:120]!r} is damaged: {error}.") from error


def _of_tar(source: Path) -> Iterator[Member]:
    try:
        with tarfile.open(source) as archive:
            for one in filter(tarfile.TarInfo.isfile, map(_plain, archive)):
                yield one.name.removeprefix("./"), _of_tarred(archive, one)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise InvalidInput(f"{source.name!r} cannot be read as a tar: {error}.") from error


def _of_tarred(archive: tarfile.TarFile, one: tarfile.TarInfo) -> Iterator[bytes]:
    file = archive.extractfile(one)
    if file is not None:
        with file:
            yield from _blocks(file)


def _plain(one: tarfile.TarInfo) -> tarfile.TarInfo:
    if not (one.isfile() or one.isdir()):
        raise InvalidInput(f"{one.name[:120]!r} is a link or a device.", hint="Pack what it points to.")
    return one


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    while block := file.read(BLOCK):
        yield block
