"""Verbs of watching: `measuring` (what is due), `telling` (alerts, and sending them until they arrive), `reading`."""

from .measuring import measure
from .reading import alerts, get_signal, signals
from .telling import send_alerts

__all__ = ["alerts", "get_signal", "measure", "send_alerts", "signals"]
