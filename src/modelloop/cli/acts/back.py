"""The work of rollback. It is to take no time: nothing is loaded that draws on the terminal, nor the project file."""

from __future__ import annotations

import sys
from datetime import timedelta

from ...deploy.actions import rollback as go_back
from ...deploy.actions import wait_for_gateways
from ..desk import Desk
from ..face import Answer

PATIENCE = timedelta(seconds=3)
"""For so long a rollback waits until gateways say that they answer by it; it is in force whether they do or not."""


def rollback(desk: Desk, *, endpoint: str, to: str | None, reason: str) -> Answer:
    """Go back, and say which gateways have."""
    answers = go_back(desk.ctx, endpoint, to=to, reason=reason or "by the command line")
    reached = wait_for_gateways(desk.ctx, PATIENCE)
    if not desk.face.json:
        sys.stdout.write(f"{answers or 'No version'} answers at {endpoint} ({reached.told()}).\n")
    gateways = {"alive": reached.alive, "reached": reached.reached, "behind": reached.behind, "done": reached.done}
    data = {"endpoint": endpoint, "answers": answers or None, "generation": reached.generation, "gateways": gateways}
    return Answer(data, lambda _console: None, told=not desk.face.json)
