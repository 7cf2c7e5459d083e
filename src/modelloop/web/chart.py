"""Pictures as numbers: where on the paper the stages, lines and marks go. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ..ground.core.records import Verdict
from ..monitor.records import Signal

LEFT, RIGHT, TOP, BOTTOM = 64.0, 1060.0, 36.0, 248.0
_UPPER, _LOWER = 112, 384
TRACK = f"M160,{_UPPER} H920 A136,136 0 0 1 920,{_LOWER} H160 A136,136 0 0 1 160,{_UPPER} Z"
_NODES = (*((x, _UPPER) for x in (160, 350, 540, 730, 920)), *((x, _LOWER) for x in (825, 635, 445, 255)))
_ARROWS = (
    *((x, _UPPER, 0) for x in (255, 445, 635, 825)),
    (1056, 248, 90),
    *((x, _LOWER, 180) for x in (730, 540, 350)),
    (24, 248, 270),
)


def ring(stages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return where the nine stages stand: five above from left to right, four below back again."""
    nodes = [
        {**stage, "x": x, "y": y, "label": 30 if y == _UPPER else 440}
        for stage, (x, y) in zip(stages, _NODES, strict=True)
    ]
    return {"track": TRACK, "nodes": nodes, "arrows": [{"x": x, "y": y, "turn": turn} for x, y, turn in _ARROWS]}


def chart(signals: Sequence[Signal], promotions: Sequence[tuple[datetime, str]]) -> dict[str, Any] | None:
    """Return lines, bands and marks of a metric over event time, or None where there are fewer than two values."""
    shown = sorted((s for s in signals if s.value is not None), key=lambda s: s.window.end)
    if len(shown) < 2:
        return None
    times = [middle(s) for s in shown] + [at for at, _ in promotions]
    x = _scale(min(times).timestamp(), max(times).timestamp(), LEFT, RIGHT)
    reach = [v for s in shown for v in (s.value, s.low, s.high) if v is not None]
    low, high, step = nice(min(reach), max(reach))
    y = _scale(low, high, BOTTOM, TOP)
    lines = [_line([s for s in shown if s.window.endpoint == name], x, y) for name in _endpoints(shown)]
    count = round((high - low) / step)
    rows = [{"y": y(low + n * step), "text": f"{low + n * step:.{_digits(step)}f}"} for n in range(count + 1)]
    return {
        "lines": lines,
        "rows": rows,
        "columns": [{"x": x(at.timestamp()), "text": text} for at, text in _calendar(min(times), max(times))],
        "promotions": [{"x": x(at.timestamp()), "text": text} for at, text in promotions],
    }


def middle(signal: Signal) -> datetime:
    """Return the time at which a window's value is drawn."""
    return signal.window.start + (signal.window.end - signal.window.start) / 2


def nice(low: float, high: float) -> tuple[float, float, float]:
    """Return round limits around [low, high] and a round step: 3 to 6 steps, never a range of zero."""
    spread = max(high - low, abs(high) * 1e-3, 1e-6)
    rough = spread / 4
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= rough * 0.999)
    return math.floor(low / step) * step, math.ceil((low + spread) / step) * step, step


def _line(signals: Sequence[Signal], x: _Scale, y: _Scale) -> dict[str, Any]:
    points = [(x(middle(s).timestamp()), y(s.value or 0.0)) for s in signals]
    upper = [(x(middle(s).timestamp()), y(s.high)) for s in signals if s.high is not None]
    lower = [(x(middle(s).timestamp()), y(s.low)) for s in signals if s.low is not None]
    dots = [
        {"x": px, "y": py, "state": _STATES[s.verdict], "text": f"{s.window.endpoint} {s.version}: {s.reason}"}
        for s, (px, py) in zip(signals, points, strict=True)
    ]
    return {"points": _written(points), "band": _written(upper + lower[::-1]), "dots": dots}


_STATES = {Verdict.PASS: "pass", Verdict.FAIL: "fail", Verdict.MISSING: "missing"}


def _written(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


class _Scale:
    """A straight line from values to places."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self._low, self._start = low, start
        self._rate = (end - start) / ((high - low) or 1.0)

    def __call__(self, value: float) -> float:
        return round(self._start + (value - self._low) * self._rate, 1)


def _scale(low: float, high: float, start: float, end: float) -> _Scale:
    return _Scale(low, high, start, end)


def _endpoints(signals: Sequence[Signal]) -> list[str]:
    return list(dict.fromkeys(s.window.endpoint for s in signals))


def _digits(step: float) -> int:
    """Return how many decimals write `step` exactly."""
    return next((n for n in range(8) if math.isclose(round(step, n), step, rel_tol=1e-6)), 8)


def _calendar(first: datetime, last: datetime) -> list[tuple[datetime, str]]:
    """Return at most ten ticks: month starts over a long span, else days."""
    span = last - first
    if span > timedelta(days=70):
        months = _months(first, last)
        return months[:: max(1, math.ceil(len(months) / 12))]
    every = max(1, math.ceil(span.days / 10))
    day = first.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    ticks = []
    while day <= last:
        ticks.append((day, f"{day:%b} {day.day}"))
        day += timedelta(days=every)
    return ticks or [(at, f"{at:%H:%M}") for at in dict.fromkeys((first, last))]


def _months(first: datetime, last: datetime) -> list[tuple[datetime, str]]:
    ticks: list[tuple[datetime, str]] = []
    month = first.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    while month <= last:
        if month >= first:
            ticks.append((month, f"{month:%b %Y}" if month.month == 1 or not ticks else f"{month:%b}"))
        month = (month + timedelta(days=32)).replace(day=1)
    return ticks
