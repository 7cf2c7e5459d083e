"""Asking a writer to close a file: a mark beside it, `START-SEQ.close`, that the writer looks for a few times a second.

A mark names a file and no moment, so no clock matters; it outlives the process that set it and the one that is asked.
"""

from __future__ import annotations

from pathlib import Path

from .frames import _HEAD

MARK = ".close"


def mark(path: Path) -> None:
    """Ask whoever writes the file to close it, with all that was taken before; asking twice is the same as once."""
    path.with_suffix(MARK).touch(mode=0o600)


def marked(path: Path) -> bool:
    """Say whether somebody asked for the end of a file."""
    return path.with_suffix(MARK).exists()


def unmark(path: Path) -> None:
    """Forget the question: the file is gone, or it was never written to."""
    path.with_suffix(MARK).unlink(missing_ok=True)


def holds(path: Path) -> bool:
    """Say whether a file is there and has a record: the next one is made before anything is written to it."""
    try:
        with path.open("rb") as file:
            return any(file.read(_HEAD.size))
    except FileNotFoundError:
        return False
