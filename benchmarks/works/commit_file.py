"""Commit a whole new file, of which 1 % differs: ours beside Delta's overwrite and DVC's add, push and commit."""

from __future__ import annotations

from ..commits import delta, dvc, notes, tables, whole_file
from ..measure import Measured, Work, versions


def _run() -> Measured:
    given = tables()
    ours, (_, overwrite), theirs = whole_file(given), delta(given), dvc(given)
    return Measured(ours.cpu, min(overwrite.cpu / 5, theirs.cpu / 20), "CPU s", notes(ours, overwrite, theirs))


WORK = Work(
    "commit of a whole new file, 1 % of it changed, no key",
    f"a fifth of Delta's overwrite or a twentieth of DVC's commit, whichever is less ({versions('polars')})",
    1.0,
    _run,
)
