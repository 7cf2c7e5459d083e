"""The work of `modelloop triggers`."""

from __future__ import annotations

from difflib import get_close_matches

from ...ground.core.errors import NotFound
from ...retrain import actions
from ...retrain.records import TriggerState
from ..desk import Desk
from ..face import Answer
from .tables import printed, table


def listing(desk: Desk) -> Answer:
    """List triggers."""
    found = actions.triggers(desk.ctx, desk.project)
    rows = [(one.name, one.on, one.pipeline, one.endpoint or "a plain run", one.upcoming, _last(one)) for one in found]
    shown = table(("trigger", "on", "pipeline", "for", "next", "last"), rows, empty="the project declares no trigger")
    return Answer({"triggers": found}, printed(shown))


def show(desk: Desk, *, name: str) -> Answer:
    """Show one trigger's history."""
    found = {one.name: one for one in actions.triggers(desk.ctx, desk.project)}
    if name not in found:
        near = get_close_matches(name, found, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"It declares: {', '.join(found) or 'none'}."
        raise NotFound(f"The project declares no trigger {name[:60]!r}.", hint=hint)
    rows = [(one.mark, one.what, one.run or one.episode, one.reason, one.decided_at) for one in found[name].fires]
    return Answer(found[name], printed(table(("cause", "", "made", "why", "decided"), rows, empty="nothing yet")))


def _last(state: TriggerState) -> str:
    return f"{state.fires[0].what} {state.fires[0].mark}" if state.fires else ""
