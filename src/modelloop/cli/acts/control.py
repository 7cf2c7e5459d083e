"""The work of `modelloop control`."""

from __future__ import annotations

from dataclasses import replace

from ...control import serve
from ..desk import Desk
from ..face import Answer


def control(desk: Desk, *, port: int | None) -> Answer:
    """Serve API and page."""
    settings = desk.settings if port is None else replace(desk.settings, control_port=port)
    serve(desk.project_dir, settings)
    return Answer({}, lambda _console: None, told=True)
