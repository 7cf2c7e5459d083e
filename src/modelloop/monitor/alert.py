"""When a person hears, and in which words. Pure."""

from __future__ import annotations

from enum import StrEnum

from ..ground.core.records import Verdict
from .records import ABSENT, Alert, Signal
from .settings import AlertSettings, Severity, SignalKind

_LOUDNESS = {Severity.NOTE: 0, Severity.ALERT: 1}
_FELL = {
    SignalKind.QUALITY: "Quality fell",
    SignalKind.INPUT_DRIFT: "Inputs have moved",
    SignalKind.SCORE_DRIFT: "Scores have moved",
}


class Step(StrEnum):
    """What becomes of an alert."""

    RAISE = "raise"
    RESOLVE = "resolve"
    KEEP = "keep"


def step(firing: Alert | None, signal: Signal) -> Step:
    """Raise once while it lasts; resolve on a pass. Missing evidence changes nothing, nor does a window that passes
    and lacks whole classes: what fired may be about them.
    """
    if signal.verdict is Verdict.FAIL and firing is None:
        return Step.RAISE
    if signal.verdict is Verdict.PASS and firing is not None and not signal.detail.get(ABSENT):
        return Step.RESOLVE
    return Step.KEEP


def message(signal: Signal) -> str:
    """Say what changed, since when, how sure."""
    window = signal.window
    return (
        f"{_FELL[SignalKind(signal.kind)]} at {window.endpoint!r}, answered by {signal.version}, "
        f"from {window.start:%Y-%m-%d %H:%M} to {window.end:%Y-%m-%d %H:%M} UTC: {signal.reason}."
    )


def hears(settings: AlertSettings, severity: str) -> bool:
    """Say whether an alert of this severity goes to the channel."""
    return _LOUDNESS[Severity(severity)] >= _LOUDNESS[settings.minimum]
