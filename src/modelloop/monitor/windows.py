"""Cut an endpoint's prediction log into comparable pieces, by event time. Pure.

Windows follow each other from the moment the present champion went live. Stretches without a prediction have none, so a
jump of the clock (a quiet year, a request that forgot its event time) costs nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from .records import Window


def window_of(endpoint: str, anchor: datetime, every: timedelta, moment: datetime) -> Window:
    """Return the window that holds `moment`, counted from `anchor`."""
    start = anchor + every * ((moment - anchor) // every)
    return Window(endpoint, start, start + every)


def is_due(window: Window, delay: timedelta, watermark: datetime | None) -> bool:
    """Say whether the data's clock has passed the window's end by `delay`: what belongs to it has arrived."""
    return watermark is not None and watermark >= window.end + delay
