"""Artifacts in folders of this machine. Read only below a folder that is MLflow's own form for one run or model.

A store may come from anybody, and its rows name folders. So a folder counts only where it ends as MLflow's do
(`.../RUN/artifacts`, `.../models/MODEL/artifacts`): a row that says `/etc` leads nowhere. Links are followed to files
within that folder, and to nothing else.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ..records import ForeignFile

PIECE = 4 * 1024 * 1024
ARTIFACTS = "artifacts"


class Folder:
    """The files below one folder."""

    def __init__(self, root: Path | None, missing: str = "") -> None:
        self._root = root
        self._missing = missing
        self._left_out: list[str] = []

    @property
    def missing(self) -> str:
        """Why nothing can be read."""
        return self._missing

    def left_out(self) -> Sequence[str]:
        """Return what is not followed."""
        return tuple(self._left_out)

    def listed(self) -> Iterator[ForeignFile]:
        """Yield all files, by path."""
        self._left_out = []
        if self._root is not None:
            yield from self._below(self._root, "")

    def read(self, path: str) -> Iterator[bytes]:
        """Yield a file in pieces."""
        assert self._root is not None
        place = (self._root / path).resolve(strict=True)
        if not place.is_relative_to(self._root):
            raise PermissionError(f"{path!r} leads out of its folder")
        with place.open("rb") as file:
            while piece := file.read(PIECE):
                yield piece

    def _below(self, folder: Path, start: str) -> Iterator[ForeignFile]:
        try:
            entries = sorted(os.scandir(folder), key=lambda one: one.name)
        except OSError as error:
            self._left_out.append(f"{start or '.'}: {error.strerror or error}")
            return
        for entry in entries:
            path = start + entry.name
            if entry.is_dir(follow_symlinks=False):
                yield from self._below(Path(entry.path), f"{path}/")
            elif (size := self._size(Path(entry.path), path)) is not None:
                yield ForeignFile(path, size)

    def _size(self, place: Path, path: str) -> int | None:
        """Return the size of what may be read, else note why not."""
        assert self._root is not None
        try:
            real = place.resolve(strict=True)
            found = real.stat()
        except (OSError, RuntimeError) as error:
            self._left_out.append(f"{path}: {getattr(error, 'strerror', None) or error}")
            return None
        if not real.is_relative_to(self._root):
            self._left_out.append(f"{path}: a link that leads out of its folder")
        elif not stat.S_ISREG(found.st_mode):
            self._left_out.append(f"{path}: a link to a folder, or no plain file")
        else:
            return found.st_size
        return None


def folder_of(kind: str, owner: str, place: str, *, artifacts: Path | None, experiment: int) -> Folder:
    """Return the folder of somebody's artifacts: where its store says, or in the same form below `artifacts`."""
    tail = (owner, ARTIFACTS) if kind == "run" else ("models", owner, ARTIFACTS)
    named = local_path(place)
    if artifacts is not None:
        root = artifacts.resolve()
        for candidate in (named, *_moved(root, named, tail, experiment)):
            found = _real(candidate, tail)
            if found is not None and found.is_relative_to(root):
                return Folder(found)
        return Folder(None, f"not below {artifacts}")
    if named is None:
        scheme = urlsplit(place).scheme or "nowhere"
        return Folder(None, f"kept at {scheme}: (where is it? --artifacts)")
    found = _real(named, tail)
    return Folder(found, "" if found else f"not at {named}")


def local_path(place: str) -> Path | None:
    """Return the path of this machine that a place names, or None."""
    if not place or "\0" in place:
        return None
    split = urlsplit(place)
    if split.scheme == "file":
        return Path(unquote(split.path)) if split.netloc in ("", "localhost") else None
    if (split.scheme and "://" in place) or place.startswith("mlflow-artifacts:"):
        return None
    return Path(place)


def _moved(root: Path, named: Path | None, tail: tuple[str, ...], experiment: int) -> list[Path]:
    """Return where the folder lies if the whole artifact root was copied to `root`."""
    found = [root.joinpath(str(experiment), *tail), root.joinpath(*tail)]
    if named is not None and len(named.parts) > len(tail):
        found.append(root.joinpath(named.parts[-len(tail) - 1], *tail))
    return found


def _real(place: Path | None, tail: tuple[str, ...]) -> Path | None:
    """Return the folder without links, if it is there and its last names are as they must be."""
    if place is None:
        return None
    try:
        real = place.resolve(strict=True)
    except (OSError, RuntimeError):
        return None
    return real if real.is_dir() and real.parts[-len(tail) :] == tail else None
