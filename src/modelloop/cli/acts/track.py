"""The work of `modelloop sync`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ...sdk import leftover, where
from ..desk import Desk
from ..face import Answer
from .tables import printed, table


def sync(desk: Desk) -> Answer:
    """Send what waits, wherever it waits; fails where something has to go on waiting."""
    here = Path.cwd() if desk.face.project is None else Path(desk.face.project)
    roots = where.roots(where.nearest(here), os.environ)
    found = leftover.sync(roots, os.environ, here, lambda text: print(text, file=sys.stderr))  # noqa: T201 - told at once
    rows = [(left.run, left.target, left.state, left.reason) for left in found]
    waits = any(left.state == "waits" for left in found)
    return Answer(found, printed(table(("run", "to", "state", "why"), rows, empty="nothing waits")), code=int(waits))
