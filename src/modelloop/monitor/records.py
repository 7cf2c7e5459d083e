"""Nouns of watching: a window, what was measured on it, what a person hears."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..ground.core.records import Verdict

ABSENT = "absent"
"""In a signal's detail: classes that the window should have and has not. It cannot say that they are found again."""


@dataclass(frozen=True, slots=True)
class Window:
    """A slice of an endpoint's prediction log by event time: start <= event time < end."""

    endpoint: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Signal:
    """What one monitor measured on one window. PASS: nothing to see; FAIL: beyond the bound; MISSING: too few rows."""

    id: str
    monitor: str
    kind: str
    window: Window
    version: str
    """The champion that answered most rows of the window."""
    verdict: Verdict
    value: float | None
    low: float | None
    high: float | None
    bound: float | None
    rows: int
    reason: str
    detail: Mapping[str, Any]
    """Per feature, where there are several."""
    measured_at: datetime


@dataclass(frozen=True, slots=True)
class Alert:
    """What a person hears: raised by a failing signal, resolved by a passing one of the same monitor."""

    id: str
    monitor: str
    endpoint: str
    severity: str
    signal: str
    event_time: datetime
    """End of the window that raised it."""
    raised_at: datetime
    resolved_at: datetime | None
    message: str
    """What changed, since when, how sure, in plain words."""
