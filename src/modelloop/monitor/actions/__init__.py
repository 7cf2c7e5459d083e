"""Verbs of watching: `measuring` (what is due), `telling` (alerts, and sending them until they arrive), `reading`."""

from .measuring import measure
from .reading import alerts, get_signal, signals
from .telling import resolve_renewed, send_alerts

__all__ = ["alerts", "get_signal", "measure", "resolve_renewed", "send_alerts", "signals"]
