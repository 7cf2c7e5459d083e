"""Faces of watching."""

from __future__ import annotations

from typing import Any

from ..ground.core.rights import Right
from ..ground.http import Call, Route
from . import actions


def signals(call: Call) -> dict[str, Any]:
    """List what monitors measured, newest window first."""
    return {"signals": actions.signals(call.ctx, limit=call.limit())}


def alerts(call: Call) -> dict[str, Any]:
    """List alerts, newest first."""
    return {"alerts": actions.alerts(call.ctx, limit=call.limit())}


ROUTES = (Route("GET", "/signals", signals, Right.READ), Route("GET", "/alerts", alerts, Right.READ))
