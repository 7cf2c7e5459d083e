"""The work of `modelloop init`."""

from __future__ import annotations

import re
from difflib import get_close_matches
from pathlib import Path

from rich.text import Text

from ...evaluate.settings import Task
from ...ground.core.errors import InvalidInput
from ...scaffold import TASKS, scaffold
from ..desk import Desk
from ..face import Answer
from .tables import printed


def init(_desk: Desk, *, folder: Path, name: str | None, task: str) -> Answer:
    """Write the files."""
    if task not in TASKS:
        near = get_close_matches(task, list(TASKS), n=1)
        hint = f"Did you mean {near[0]}?" if near else f"There are {', '.join(TASKS)}."
        raise InvalidInput(f"{task[:40]!r} is no task.", hint=hint)
    place = folder.resolve()
    chosen = name or re.sub(r"[^a-z0-9_-]+", "-", place.name.lower()).strip("-_0123456789") or "project"
    files = scaffold(place, chosen, task=Task(task))
    lines = [f"{place} is a project now:", *(f"  {path.relative_to(place)}" for path in files)]
    lines += ["Next: read modelloop.toml, put a file into landing/, then `modelloop run` and `modelloop up`."]
    return Answer({"folder": place, "name": chosen, "files": files}, printed(Text("\n".join(lines))))
