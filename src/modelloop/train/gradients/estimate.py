"""What a loss is on rows that chose nothing, and how sure that is."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ...ground.core.later import numpy as np
from ...ground.stats.interval import mean_interval
from .problem import Floats


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean loss with its 95 % interval."""

    value: float
    low: float
    high: float
    rows: int


def estimate(losses: Floats, weight: Floats) -> Estimate:
    """Return the weighted mean of rows' losses; the interval is that of a ratio of means (delta method)."""
    value = float(np.average(losses, weights=weight))
    if len(losses) < 2:
        return Estimate(value, -math.inf, math.inf, len(losses))
    low, high = mean_interval(np.asarray(value + (losses - value) * weight / weight.mean()))
    return Estimate(value, low, high, len(losses))
