"""The work of `modelloop page`."""

from __future__ import annotations

from typing import Any

from ... import app, supervise
from ...web.session import Doorkeeper
from ..desk import Desk
from ..face import Answer


def page(desk: Desk) -> Answer:
    """Make an address that opens once."""
    state = supervise.running(desk.settings.home)
    processes: Any = state["processes"] if state else []
    address = next((process["address"] for process in processes if process["kind"] == "control"), None)
    host = f"[{desk.settings.host}]" if ":" in desk.settings.host else desk.settings.host
    found = address_of(desk, address or f"http://{host}:{desk.settings.control_port}")
    return Answer({"page": found}, lambda _console: print(found))  # noqa: T201 - to be copied whole, never wrapped


def address_of(desk: Desk, base: str) -> str:
    """Return an address of the page that opens once."""
    door = Doorkeeper(app.secret_token(desk.settings), desk.settings.token_file.parent)
    reachable = base.replace("//0.0.0.0", "//127.0.0.1").replace("//[::]", "//[::1]")
    return f"{reachable}/?token={door.once(desk.ctx.now())}"
