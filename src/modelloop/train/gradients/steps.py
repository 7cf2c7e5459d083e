"""Two ways down in the unit cube for losses that are solved roughly: Adam, and HOAG's steps of adaptive length."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

from ...ground.core.later import numpy as np
from .problem import Floats

Loss: TypeAlias = Callable[[Floats], tuple[float, Floats]]
Loosen: TypeAlias = Callable[[float], None]
FIRST, LAST, TIGHTER = 1e-3, 1e-12, 0.5
"""Tolerances of the inner problem: the first, the last, and how each follows from the one before (HOAG)."""


def adam(loss: Loss, place: Floats, loosen: Loosen) -> str:
    """Follow Adam (Kingma and Ba 2015); when its steps no longer pay, begin again at the best with smaller ones."""
    best, at, rate = math.inf, place, 0.05
    mean, square, age, idle = np.zeros_like(place), np.zeros_like(place), 0, 0
    for step in range(1, 5000):
        loosen(_tolerance(step))
        value, slope = loss(place)
        pays = value < best - 1e-7 * abs(best) or best == math.inf
        if value < best:
            best, at = value, place
        idle = 0 if pays else idle + 1
        if idle >= 8 or not math.isfinite(value):
            rate, place, idle, age = rate * 0.4, at, 0, 0
            mean, square = np.zeros_like(place), np.zeros_like(place)
            if rate < 2e-4 or best == math.inf:
                return "smaller steps lowered the loss no more" if math.isfinite(best) else "the loss was not finite"
            continue
        age += 1
        mean = 0.9 * mean + 0.1 * slope
        square = 0.99 * square + 0.01 * slope**2
        way = mean / (1 - 0.9**age) / (np.sqrt(square / (1 - 0.99**age)) + 1e-12)
        place = np.clip(place - rate * way, 0.0, 1.0)
    return "5,000 steps"


def hoag(loss: Loss, place: Floats, loosen: Loosen) -> str:
    """Follow HOAG (Pedregosa 2016): projected gradient steps, the inner problem solved better with each.

    The step's length follows how the slope has changed, and is halved after a step that did not lower the loss by what
    the slope promised, give or take the tolerance; such a step is taken back.
    """
    loosen(_tolerance(1))
    value, slope = loss(place)
    if not math.isfinite(value):
        return "the loss was not finite"
    length, short = 0.25 / (float(np.abs(slope).max()) + 1e-300), 0
    for step in range(2, 5000):
        aim = np.clip(place - length * slope, 0.0, 1.0)
        move = aim - place
        promised = -float(slope @ move)
        if promised <= 1e-9 * abs(value) or float(np.abs(move).max()) < 1e-7:
            short += 1
            if short >= 3 or _tolerance(step) <= LAST:
                return "the projected gradient is nearly 0"
        tolerance = _tolerance(step)
        loosen(tolerance)
        new, steeper = loss(aim)
        if math.isfinite(new) and new <= value - 0.1 * promised + tolerance * abs(value):
            bend = float(move @ (steeper - slope))
            longer = float(move @ move) / bend if bend > 0 else math.inf  # Barzilai and Borwein 1988
            place, value, slope, length = aim, new, steeper, min(max(longer, length * 0.3), length * 4)
        else:
            length *= 0.5
            if length * float(np.abs(slope).max()) < 1e-9:
                return "no step lowers the loss"
    return "5,000 steps"


def _tolerance(step: int) -> float:
    return max(LAST, FIRST * TIGHTER ** (step - 1))
