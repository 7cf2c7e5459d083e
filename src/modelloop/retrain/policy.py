"""When to turn the loop: triggers against what is known of an endpoint. Pure; on the data's clock, not the wall's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ..ground.core.clock import iso
from ..monitor.records import Signal
from .records import Episode
from .settings import TriggerOn, TriggerSettings


@dataclass(frozen=True, slots=True)
class Situation:
    """What triggers look at, for one endpoint."""

    now: datetime | None
    """Latest event time of a prediction; None: nothing was answered yet."""
    champion: str | None
    trained_until: datetime | None
    """Of the champion."""
    open: bool
    """An episode is under way."""
    last: Episode | None
    """The newest closed episode."""
    failing: Mapping[str, Signal] = field(default_factory=dict)
    """Monitor -> its newest signal, where it fails and its alert fires."""
    newest: Mapping[str, int] = field(default_factory=dict)
    """Dataset -> number of its newest version."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Why an episode begins."""

    reason: str
    signal: str | None = None
    """A signal's id, a dataset version, or None."""
    trigger: str = "person"


def cause(settings: TriggerSettings, situation: Situation) -> Cause | None:
    """Return why the trigger fires now, or None. One episode at a time; the same evidence never starts two."""
    if situation.open or _cooling(settings, situation):
        return None
    if settings.on is TriggerOn.ALERT:
        return _on_alert(settings, situation)
    if settings.on is TriggerOn.SCHEDULE:
        return _on_schedule(settings, situation)
    return _on_data(settings, situation) if settings.on is TriggerOn.DATA else None


def _cooling(settings: TriggerSettings, situation: Situation) -> bool:
    last, now = situation.last, situation.now
    since = None if last is None else last.closed_event_time
    return since is not None and now is not None and now < since + settings.cool_down


def _on_alert(settings: TriggerSettings, situation: Situation) -> Cause | None:
    signal = situation.failing.get(settings.monitor or "")
    tried = _clock(situation.last)
    if signal is None or (tried is not None and signal.window.end <= tried):
        return None
    return Cause(f"{signal.monitor}: {signal.reason}", signal.id)


def _on_schedule(settings: TriggerSettings, situation: Situation) -> Cause | None:
    now, every, until = situation.now, settings.every, situation.trained_until
    if now is None or every is None or until is None:
        return None
    since = max(until, _clock(situation.last) or until)
    if now < since + every:
        return None
    return Cause(f"{situation.champion} has seen data until {iso(until)}; {every.days} days or more have passed")


def _on_data(settings: TriggerSettings, situation: Situation) -> Cause | None:
    dataset = settings.dataset or ""
    number = situation.newest.get(dataset)
    if number is None or number <= _used(situation.last, dataset):
        return None
    return Cause(f"{dataset} has a new version, {number}", f"{dataset}:{number}")


def _clock(last: Episode | None) -> datetime | None:
    """Return where the data's clock stood when the episode opened; before the first answer it had none."""
    known = last is not None and (last.evidence or {}).get("as_of") is not None
    return last.event_time if last is not None and known else None


def _used(last: Episode | None, dataset: str) -> int:
    """Return the newest version that the last episode saw."""
    seen = (last.evidence or {}).get("data", {}) if last is not None else {}
    return int(seen.get(dataset, 0)) if isinstance(seen, Mapping) else 0
