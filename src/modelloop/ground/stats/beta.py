"""The incomplete beta function: what intervals of shares and Student's t rest on. Standard library only."""

from __future__ import annotations

import math

_STEPS = 100_000
_TINY = 1e-300
_EPSILON = 1e-15
_HALVINGS = 80


def beta_lower(a: float, b: float, x: float, rest: float | None = None) -> float:
    """Return the regularised incomplete beta function I_x(a, b), for a, b > 0.

    The continued fraction of Abramowitz and Stegun 26.5.8 (modified Lentz), from the side where it converges fast.
    `rest` is 1 - x, where the caller knows it better than a subtraction would.
    """
    rest = 1 - x if rest is None else rest
    if x <= 0 or rest <= 0:
        return 0.0 if x <= 0 else 1.0
    scale = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log(rest))
    if x < (a + 1) / (a + b + 2):
        return min(1.0, scale * _fraction(a, b, x) / a)
    return max(0.0, 1.0 - scale * _fraction(b, a, rest) / b)


def beta_quantile(share: float, a: float, b: float) -> float:
    """Return the x at which I_x(a, b) is `share`, by halving."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if beta_lower(a, b, middle) < share:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _fraction(a: float, b: float, x: float) -> float:
    c, d = 1.0, 1 / ((1 - (a + b) * x / (a + 1)) or _TINY)
    value = d
    for k in range(1, _STEPS):
        for weight in (
            k * (b - k) * x / ((a + 2 * k - 1) * (a + 2 * k)),
            -(a + k) * (a + b + k) * x / ((a + 2 * k) * (a + 2 * k + 1)),
        ):
            d = 1 / ((1 + weight * d) or _TINY)
            c = (1 + weight / c) or _TINY
            change = c * d
            value *= change
        if abs(change - 1) < _EPSILON:
            break
    return value
