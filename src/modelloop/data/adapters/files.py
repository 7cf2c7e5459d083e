"""Files of a source: one file, or a folder that grows. Nothing outside the folder is ever read."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ...ground.core.errors import DataRefused, NotFound
from ...ground.core.later import polars as pl
from ..formats.parse import Written
from ..settings import Format
from .copies import OnDisk, on_disk
from .items import LONGEST_NAME, Asked, Item, Reading

ENDINGS: Mapping[Format, tuple[str, ...]] = {
    Format.PARQUET: (".parquet", ".pq"),
    Format.CSV: (".csv", ".csv.gz"),
    Format.JSONL: (".jsonl", ".ndjson", ".json", ".jsonl.gz", ".ndjson.gz", ".json.gz"),
    Format.EXCEL: (".xlsx", ".xlsm"),
    Format.BINARY: ("",),
}
_UNFINISHED = (".", "_", "~")
"""What such names say: still being written, or nobody's business."""
GROUP_FILES, GROUP_BYTES = 1_000, 2**27
"""Of binary files, each of which is a row: how many make an item."""


def read_files(asked: Asked) -> Reading:
    """Return the source's files that are not known by name and content, in name order; sub-folders belong to it.

    A file whose size and time of change are those of a known one is not read again. Raises NotFound, or DataRefused
    for a link that leads out of the folder.
    """
    place = asked.root / (asked.source.path or "")
    if not place.exists():
        raise NotFound(
            f"The source {asked.name!r} reads {place}, which is not there.",
            hint=f"Put it there, or mend [sources.{asked.name}].",
        )
    try:
        new = list(_new(asked, place))
    except OSError as error:
        raise DataRefused(
            f"The source {asked.name!r} cannot be read: {error.strerror} ({error.filename}).",
            hint="Let the user who runs Modelloop read the folder and its files.",
        ) from error
    if asked.source.format is Format.BINARY:
        return Reading([_group(files) for files in _grouped(new)])
    return Reading([Item(one.taken.name, one.taken, one.frames, one.unchanged) for one in new])


def _new(asked: Asked, place: Path) -> Iterator[OnDisk]:
    written = Written.of(asked.source)
    for name, path in _listed(asked.name, place, asked.source.format):
        stat = path.stat()
        if asked.looks_known(name, stat.st_size, stat.st_mtime_ns):
            continue
        file = on_disk(path, name, written)
        if not asked.knows(file.taken):
            yield file


def _listed(source: str, place: Path, form: Format) -> list[tuple[str, Path]]:
    """Return names and paths in name order, each checked."""
    if place.is_file():
        found = [(place.name, place)]
        _stay_inside(source, place.name, place, place.parent.resolve())
        return found
    if not place.is_dir():
        raise DataRefused(f"The source {source!r} reads {place}, which is neither a file nor a folder.")
    found = []
    folder = place.resolve()
    for name, path in _walked(source, folder):
        if name.lower().endswith(ENDINGS[form]):
            _stay_inside(source, name, path, folder)
            found.append((name, path))
    return sorted(found)


def _walked(source: str, folder: Path) -> Iterator[tuple[str, Path]]:
    for here, folders, files in os.walk(folder, onerror=_raise):
        within = Path(here)
        folders[:] = sorted(name for name in folders if not name.startswith(_UNFINISHED))
        for name in folders:
            if (within / name).is_symlink():
                raise DataRefused(
                    f"{name} in the source {source!r} is a link to a folder; such links are never followed.",
                    hint="Move the files into the folder, or make the other folder a source of its own.",
                )
        for name in files:
            path = within / name
            if not name.startswith(_UNFINISHED) and (path.is_symlink() or path.is_file()):
                yield path.relative_to(folder).as_posix(), path


def _raise(error: OSError) -> None:
    raise error


def _stay_inside(source: str, name: str, path: Path, folder: Path) -> None:
    if not name.isprintable():
        raise DataRefused(f"A file in the source {source!r} has an unprintable name: {name!a}. Rename it.")
    try:
        target = path.resolve()
    except (OSError, RuntimeError) as error:
        raise DataRefused(f"{name} in the source {source!r} is a link to itself.") from error
    if not target.is_relative_to(folder):
        raise DataRefused(
            f"{name} in the source {source!r} is a link that leads out of its folder, to {target}.",
            hint="Copy the file into the folder; links out of it are never followed.",
        )
    if not target.is_file():
        raise DataRefused(f"{name} in the source {source!r} is a link to nothing, or not a plain file.")


def _grouped(files: Iterable[OnDisk]) -> Iterator[list[OnDisk]]:
    group: list[OnDisk] = []
    size = 0
    for file in files:
        if group and (len(group) == GROUP_FILES or size + file.taken.size > GROUP_BYTES):
            yield group
            group, size = [], 0
        group.append(file)
        size += file.taken.size
    if group:
        yield group


def _group(files: Sequence[OnDisk]) -> Item:
    first, last = files[0].taken.name, files[-1].taken.name
    name = first if len(files) == 1 else f"{first} to {last} ({len(files)} files)"
    if len(name) > LONGEST_NAME:
        name = f"{len(files)} files of {files[0].taken.content[:12]}"

    def frames() -> Iterator[pl.DataFrame]:
        yield pl.DataFrame([file.row() for file in files])

    def unchanged() -> None:
        for file in files:
            file.unchanged()

    return Item(name, files[0].taken, frames, unchanged, tuple(file.taken for file in files[1:]))
