"""Files of a source: one file, or a folder that grows. Nothing outside the folder is ever read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ...ground.core.errors import DataRefused, NotFound
from ...ground.core.hashing import hash_bytes
from ..records import Taken
from ..settings import Format, SourceSettings

_ENDINGS: Mapping[Format, tuple[str, ...]] = {
    Format.PARQUET: (".parquet", ".pq"),
    Format.CSV: (".csv",),
    Format.JSONL: (".jsonl", ".ndjson", ".json"),
}


@dataclass(frozen=True, slots=True)
class Arrived:
    """A file as it was read, once: what is hashed is what is parsed."""

    name: str
    data: bytes
    taken: Taken


def new_files(name: str, source: SourceSettings, root: Path, known: Mapping[str, tuple[Taken, ...]]) -> list[Arrived]:
    """Return the source's files that are not known by name and content, in name order.

    `known` has, by file name, what was taken in before. A file whose size and time of change are those of a known
    one is not read again. Raises NotFound, or DataRefused for a link that leads out of the folder.
    """
    place = root / source.path
    if not place.exists():
        raise NotFound(
            f"The source {name!r} reads {place}, which is not there.", hint=f"Put it there, or mend [sources.{name}]."
        )
    try:
        return list(_arrived(name, [place] if place.is_file() else _listed(place, source.format), known))
    except OSError as error:
        raise DataRefused(
            f"The source {name!r} cannot be read: {error.strerror} ({error.filename}).",
            hint="Let the user who runs Modelloop read the folder and its files.",
        ) from error


def _arrived(name: str, paths: Iterable[Path], known: Mapping[str, tuple[Taken, ...]]) -> Iterator[Arrived]:
    for path in paths:
        _stay_inside(name, path, path.parent.resolve())
        stat = path.stat()
        before = known.get(path.name, ())
        if any((one.size, one.modified) == (stat.st_size, stat.st_mtime_ns) for one in before):
            continue
        data = path.read_bytes()
        taken = Taken(path.name, hash_bytes(data), stat.st_size, stat.st_mtime_ns)
        if all(one.content != taken.content for one in before):
            yield Arrived(path.name, data, taken)


def _listed(folder: Path, form: Format) -> list[Path]:
    """Return the folder's files of the format; hidden ones and those that begin with `_` are still being written."""
    endings = _ENDINGS[form]
    found = (path for path in folder.iterdir() if path.name.lower().endswith(endings) and path.name[0] not in "._")
    return sorted((path for path in found if path.is_symlink() or path.is_file()), key=lambda path: path.name)


def _stay_inside(name: str, path: Path, folder: Path) -> None:
    if not path.name.isprintable():
        raise DataRefused(f"A file in the source {name!r} has an unprintable name: {path.name!a}. Rename it.")
    target = path.resolve()
    if not target.is_relative_to(folder):
        raise DataRefused(
            f"{path.name} in the source {name!r} is a link that leads out of its folder, to {target}.",
            hint="Copy the file into the folder; links out of it are never followed.",
        )
    if not target.is_file():
        raise DataRefused(f"{path.name} in the source {name!r} is a link to nothing, or not a plain file.")
