"""Student's t: how far a mean of few values may lie from the truth. Standard library only.

The t distribution by the incomplete beta function (Abramowitz & Stegun 26.7.1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from .beta import beta_lower


def t_tail(t: float, freedom: float) -> float:
    """Return the chance that |T| is at least |t| (both sides)."""
    if freedom <= 0:
        raise ValueError(f"{freedom} degrees of freedom")
    if math.isinf(t):
        return 0.0
    return beta_lower(freedom / 2, 0.5, freedom / (freedom + t * t), t * t / (freedom + t * t))


def t_value(confidence: float, freedom: float) -> float:
    """Return the t with which mean -+ t * standard error covers with this confidence."""
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence of {confidence}")
    low, high = 0.0, 1.0
    while t_tail(high, freedom) > 1 - confidence:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if t_tail(middle, freedom) > 1 - confidence else (low, middle)
        if high - low <= 1e-13 * high:
            break
    return (low + high) / 2


def t_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Return the interval of the mean of at least two values."""
    mean = math.fsum(values) / len(values)
    half = t_value(confidence, len(values) - 1) * spread(values) / math.sqrt(len(values))
    return mean - half, mean + half


def spread(values: Sequence[float]) -> float:
    """Return the standard deviation of at least two values (n - 1)."""
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def welch(first: Sequence[float], second: Sequence[float]) -> tuple[float, float]:
    """Return standard error and degrees of freedom of the difference of two means (Welch 1947, equation 28)."""
    parts = [spread(values) ** 2 / len(values) for values in (first, second)]
    total = sum(parts)
    if total == 0:
        return 0.0, float(len(first) + len(second) - 2)
    below = sum(part**2 / (len(values) - 1) for part, values in zip(parts, (first, second), strict=True))
    return math.sqrt(total), total**2 / below
