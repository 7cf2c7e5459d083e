"""The work of `modelloop online`."""

from __future__ import annotations

from ...deploy import actions
from ...deploy.actions import OnlineState
from ..desk import Desk
from ..face import Answer
from .tables import printed, table


def listing(desk: Desk) -> Answer:
    """List online tables."""
    found = actions.online_states(desk.ctx, desk.project)
    rows = [(one.name, one.dataset, _held(one), one.newest, _state(one)) for one in found]
    shown = table(
        ("table", "dataset", "version looked up", "newest", ""), rows, empty="the project declares no online table"
    )
    return Answer({"online": found}, printed(shown))


def fill(desk: Desk, *, name: str | None) -> Answer:
    """Fill online tables."""
    filled = actions.fill_online(desk.ctx, desk.project, name)
    said = f"filled: {', '.join(filled)}" if filled else "everything was filled already"
    return Answer({"filled": filled}, printed(said))


def _held(state: OnlineState) -> str:
    filled = state.filled
    return "" if filled is None else f"{filled.version} ({filled.keys:,} keys, {filled.rows:,} rows)"


def _state(state: OnlineState) -> str:
    if state.newest is None:
        return "the dataset has no version yet"
    return "is filled in the next turn" if state.stale else ""
