"""Pictures of experiments as numbers: curves over steps, and parallel coordinates. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..evaluate.experiments.records import Board, Curve
from ..evaluate.records import Direction
from .chart import BOTTOM, LEFT, RIGHT, TOP, nice

COLOURS = 8
"""Lines that can be told apart; the stylesheet has as many."""
_LINES = 60
_AXES = 9
_LABELS = 8


def curves_of(curves: Sequence[Curve]) -> dict[str, Any] | None:
    """Return lines, ticks and a legend, or None where no curve has two points."""
    shown = [one for one in curves if len(one.points) > 1][:_LINES]
    if not shown:
        return None
    steps = [step for one in shown for step, _ in one.points]
    values = [value for one in shown for _, value in one.points]
    low, high, size = nice(min(values), max(values))
    first, last = min(steps), max(steps)

    def place(step: float, value: float) -> str:
        x = LEFT + (step - first) / ((last - first) or 1) * (RIGHT - LEFT)
        y = BOTTOM - (value - low) / (high - low) * (BOTTOM - TOP)
        return f"{x:.1f},{y:.1f}"

    lines = [
        {"points": " ".join(place(*point) for point in one.points), "name": one.name or one.run, "colour": n % COLOURS}
        for n, one in enumerate(shown)
    ]
    rows = [
        {"y": BOTTOM - n * size / (high - low) * (BOTTOM - TOP), "text": f"{low + n * size:.4g}"}
        for n in range(round((high - low) / size) + 1)
    ]
    return {"lines": lines, "rows": rows, "first": first, "last": last}


def parallel(board: Board) -> dict[str, Any] | None:
    """Return an axis for each parameter that differs and one for the headline metric, and a line for each entry.

    None where there is nothing to draw: no parameter differs, or fewer than two entries have a value.
    """
    lines = [line for line in board.lines if line.entry.estimate is not None][:_LINES]
    names = list(dict.fromkeys(name for line in lines for name in line.entry.params))[: _AXES - 1]
    if len(lines) < 2 or not names:
        return None
    axes = [_axis(name, [line.entry.params.get(name) for line in lines]) for name in names]
    values = [line.entry.estimate.value for line in lines if line.entry.estimate is not None]
    axes.append(_numbers(board.headline.metric, values))
    width = (RIGHT - LEFT) / (len(axes) - 1)
    for n, axis in enumerate(axes):
        axis["x"] = round(LEFT + n * width, 1)
    best = max(values) if board.headline.direction is Direction.HIGHER else min(values)
    reach = (max(values) - min(values)) or 1.0
    drawn = [
        {
            "points": " ".join(f"{axis['x']},{axis['places'][n]:.1f}" for axis in axes),
            "strength": round(1 - abs(values[n] - best) / reach, 2),
            "name": line.entry.name or line.entry.runs[0],
            "first": line.place == 1,
        }
        for n, line in enumerate(lines)
    ]
    return {"axes": axes, "lines": drawn[::-1]}


def _axis(name: str, values: Sequence[str | None]) -> dict[str, Any]:
    numbers = [_number(value) for value in values]
    if None not in numbers:
        return _numbers(name, [number for number in numbers if number is not None])
    return _words(name, ["–" if value is None else value for value in values])


def _numbers(name: str, values: Sequence[float]) -> dict[str, Any]:
    low, high = min(values), max(values)
    log = low > 0 and high / low >= 100
    scaled = [math.log(value) if log else value for value in values]
    start, reach = min(scaled), (max(scaled) - min(scaled)) or 1.0
    places = [BOTTOM - (value - start) / reach * (BOTTOM - TOP) for value in scaled]
    ticks = [{"y": BOTTOM, "text": f"{low:.4g}"}, {"y": TOP, "text": f"{high:.4g}"}]
    return {"name": name, "places": places, "ticks": ticks if high > low else ticks[:1], "log": log}


def _words(name: str, values: Sequence[str]) -> dict[str, Any]:
    known = sorted(set(values))
    reach = max(len(known) - 1, 1)
    at = {word: BOTTOM - n / reach * (BOTTOM - TOP) for n, word in enumerate(known)}
    ticks = [{"y": at[word], "text": word[:14]} for word in known[:_LABELS]]
    return {"name": name, "places": [at[value] for value in values], "ticks": ticks, "log": False}


def _number(text: str | None) -> float | None:
    try:
        found = float(text) if text is not None else None
    except ValueError:
        return None
    return found if found is not None and math.isfinite(found) else None
