"""Which schema revisions this program knows, told by the names of their files."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(__file__).parent / "migrations"


def revisions() -> list[str]:
    """Return the revisions, oldest first: a revision is the number its file's name starts with."""
    names = os.listdir(FOLDER / "versions")  # noqa: PTH208 - each start of a process pays for this
    return sorted(name.partition("_")[0] for name in names if name[:1].isdigit() and name.endswith(".py"))
