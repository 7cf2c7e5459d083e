"""Commit 10,000 changed rows of a million, by key: ours beside Delta's merge and DVC's add, push and commit."""

from __future__ import annotations

from ..commits import delta, dvc, keyed, notes, tables
from ..measure import Measured, Work, versions


def _run() -> Measured:
    given = tables()
    ours, (merge, _), theirs = keyed(given), delta(given), dvc(given)
    return Measured(ours.cpu, min(merge.cpu / 5, theirs.cpu / 20), "CPU s", notes(ours, merge, theirs))


WORK = Work(
    "commit of a 1 % change, by key",
    f"a fifth of Delta's merge or a twentieth of DVC's commit, whichever is less ({versions('polars')})",
    1.0,
    _run,
)
