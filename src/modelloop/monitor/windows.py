"""Cut an endpoint's prediction log into comparable pieces, by event time. Pure.

Windows follow each other from the moment the present champion went live. Stretches without a prediction have none, so a
jump of the clock (a quiet year, a request that forgot its event time) costs nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from .records import Window

_LAST = datetime.max.replace(tzinfo=UTC)
"""Where the calendar ends; a request may say that it is about that day."""


def window_of(endpoint: str, anchor: datetime, every: timedelta, moment: datetime) -> Window:
    """Return the window that holds `moment`, counted from `anchor`."""
    start = anchor + every * ((moment - anchor) // every)
    return Window(endpoint, start, start + every if _LAST - start >= every else _LAST)


def is_due(window: Window, delay: timedelta, watermark: datetime | None) -> bool:
    """Say whether the data's clock has passed the window's end by `delay`: what belongs to it has arrived."""
    return watermark is not None and watermark - window.end >= delay
