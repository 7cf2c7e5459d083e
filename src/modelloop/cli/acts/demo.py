"""The work of `modelloop demo`."""

from __future__ import annotations

import sys
import tempfile
from contextlib import nullcontext, redirect_stdout
from pathlib import Path

from ...demo import play
from ...monitor import actions as monitor
from ...retrain import actions as retrain
from ..desk import Desk
from ..face import Answer
from ..options import Face


def demo(desk: Desk, *, folder: Path | None, until: str, flights_a_day: int, stay: bool | None) -> Answer:
    """Play; with --json what the play prints goes to stderr, and the document is what came of it."""
    json = desk.face.json
    place = (folder or Path(tempfile.mkdtemp(prefix="modelloop-demo-"))).resolve()
    with redirect_stdout(sys.stderr) if json else nullcontext():
        played = play.demo(place, until=until, flights_a_day=flights_a_day, stay=False if json else stay)
    code = int(played.failed > 0)
    if not json:
        return Answer({}, lambda _console: None, code=code, told=True)
    with Desk(Face(project=place, json=True)) as kept:
        data = {
            "played": played,
            "episodes": retrain.episodes(kept.ctx),
            "alerts": monitor.alerts(kept.ctx, limit=1000),
        }
    return Answer(data, lambda _console: None, code=code)
