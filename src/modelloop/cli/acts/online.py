"""The work of `modelloop online`."""

from __future__ import annotations

from ...deploy import actions
from ...deploy.actions import OnlineState
from ..desk import Desk
from ..face import Answer
from .tables import printed, table

_NONE = "the project file declares no online table"


def listing(desk: Desk) -> Answer:
    """List online tables."""
    found = actions.online_states(desk.ctx, desk.project)
    rows = [(one.name, one.dataset, _held(one), one.newest, _state(one)) for one in found]
    shown = table(("table", "dataset", "version looked up", "newest", ""), rows, empty=_NONE)
    return Answer({"online": found}, printed(shown))


def fill(desk: Desk, *, name: str | None) -> Answer:
    """Fill online tables."""
    filled = actions.fill_online(desk.ctx, desk.project, name)
    nothing = "everything was filled already" if desk.project.online else _NONE
    said = f"filled: {', '.join(filled)}" if filled else nothing
    return Answer({"filled": filled}, printed(said))


def _held(state: OnlineState) -> str:
    filled = state.filled
    return "" if filled is None else f"{filled.version} ({filled.keys:,} keys, {filled.rows:,} rows)"


def _state(state: OnlineState) -> str:
    if state.newest is None:
        return "the dataset has no version yet"
    return "is filled in the next turn" if state.stale else ""
