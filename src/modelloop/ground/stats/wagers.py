"""Bounds on the running mean of bounded values, exact at every length, also where the mean moves.

Somebody bets on each value of a stream, always the same share of the capital: if the mean of what is still to be
expected never fell below (rose above) the limit on average, no bettor grows rich, however the days differ.

The promise: let mu_i be the mean of the i-th value given all before it. With probability 1 - alpha the average of
mu_1 ... mu_n lies within the bounds at every n at once. Nothing else is assumed: neither one constant mean, nor
independence, nor a variance, nor many values. Values must lie in the stated range; their order does not matter.

For a fixed bet s the products of 1 + s (x_i - m) and of 1 + s (mu_i - m) have a ratio that is a non-negative
martingale starting at 1. Since 1 + y <= e^y, the second product is at most exp(s times the sum of mu_i - m): at most 1
if the average of the mu_i is at most m. So the first, and a mixture of it over fixed bets, reaches 1 / alpha while
that is so with probability at most alpha (Ville 1939). Bets that change with time, as those of
`sequential.mean_sequence`, are a little sharper for one constant mean and promise nothing for the average of others.

The capital of mixed fixed bets is Cover's (1991) universal portfolio; as confidence sequence: Orabona and Jun (2024),
Tight concentrations and confidence sequences from the regret of universal portfolio, IEEE Transactions on Information
Theory 70, 436-455, section 4; Agrawal and Ramdas (2026), Cover meets Robbins while betting on bounded data,
arXiv 2604.20172, section 1 (W_n and its mixture).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..core.errors import InvalidInput
from ..core.later import numpy as np
from .interval import Floats, Interval

if TYPE_CHECKING:
    import numpy.typing as npt

SHARES = (0.01, 0.0191668, 0.0367365, 0.0704121, 0.134957, 0.258669, 0.495786, 0.95)
"""Of the capital, as far as the worst value can take it: small ones see small differences, .95 sees gross ones."""
WEIGHTS = tuple(share**0.4 / sum(each**0.4 for each in SHARES) for share in SHARES)
"""Of the capital to begin with: more for the larger bets, which decide where few values suffice."""
_CLOSE = 1e-7
"""Of the range: how far a bound may lie outside its exact place."""
_STEPS = 60
_RESERVE = 2
"""So 85 % of two equally fast streams find a partner, without it 67 %; a larger one would match values longer apart."""


def evidence_above(values: npt.ArrayLike, limit: float, *, lower: float, upper: float) -> float:
    """Return the logarithm of the capital won by betting that the running mean is above `limit`.

    At least log(1 / alpha) at some length has probability at most alpha while the running mean is at most `limit`.
    """
    x = _checked(values, lower, upper)
    if not len(x):
        return 0.0
    if limit <= lower:
        return math.inf if limit < lower or bool(x.max() > lower) else 0.0
    return _capital((x - limit) / (limit - lower))


def evidence_below(values: npt.ArrayLike, limit: float, *, lower: float, upper: float) -> float:
    """Return the logarithm of the capital won by betting that the running mean is below `limit`."""
    return evidence_above(-np.asarray(values, dtype=np.float64), -limit, lower=-upper, upper=-lower)


def running_mean_bounds(
    values: npt.ArrayLike, *, lower: float, upper: float, alpha_low: float, alpha_high: float
) -> Interval:
    """Return bounds on the running mean: it is ever below the first, above the second with at most these chances."""
    x = _checked(values, lower, upper)
    if not (0 < alpha_low < 1 and 0 < alpha_high < 1):
        raise InvalidInput(f"The chances of error are {alpha_low} and {alpha_high}.")
    if not len(x):
        return lower, upper
    return _lowest(x, lower, upper, alpha_low), -_lowest(-x, -upper, -lower, alpha_high)


def pace(values: npt.ArrayLike, limit: float, *, lower: float, upper: float) -> float:
    """Return by how much the logarithm of the best fixed bettor's capital grows a value, for `above`; 0 if it shrinks.

    What is still missing, divided by it, is about how many more values like these it takes.
    """
    x = _checked(values, lower, upper)
    if not len(x) or limit <= lower:
        return 0.0
    return max(0.0, float(_grown((x - limit) / (limit - lower)).max()) / len(x))


def matched_differences(first: Floats, second: Floats, first_at: Floats, second_at: Floats) -> Floats:
    """Return values of two streams that came one after the other as differences: first less second, oldest first.

    `first_at`, `second_at`: the values' places in one common order; empty: they came by turns. A value meets the mean
    of what waits of the other stream, all but `_RESERVE` of it. So both sides of a difference come from about the same
    moment at whatever rates the streams run: where one calm week of the first met a stormy one of the second, the weeks
    would be compared. Who meets whom is a matter of places alone, never of values, and longer streams only add
    differences.
    """
    at = (first_at, second_at) if len(first_at) or len(second_at) else (np.arange(len(first)), np.arange(len(second)))
    values = np.concatenate((first, second)).tolist()
    waiting: list[float] = []
    whose, found = True, []
    for place in np.argsort(np.concatenate(at), kind="stable").tolist():
        ours, value = place < len(first), values[place]
        if not waiting or whose == ours:
            whose = ours
            waiting.append(value)
            continue
        taken = max(1, len(waiting) - _RESERVE)
        mean = sum(waiting[:taken]) / taken
        del waiting[:taken]
        found.append(value - mean if ours else mean - value)
    return np.array(found)


def evidence_path(values: Floats, limit: float, *, lower: float, upper: float) -> Floats:
    """Return `evidence_above` after each value, along the last axis of streams that lie side by side (for studies)."""
    x = _checked(values, lower, upper)
    y = (x - limit) / (limit - lower)
    found = np.full(x.shape, -np.inf)
    for share, weight in zip(SHARES, WEIGHTS, strict=True):
        found = np.logaddexp(found, np.cumsum(np.log1p(share * y), axis=-1) + math.log(weight))
    return found


def _capital(y: Floats) -> float:
    """Return the logarithm of the mixed capital; y is a value's distance from the limit, at least -1."""
    grown = _grown(y) + np.log(WEIGHTS)
    top = float(grown.max())
    return top + math.log(float(np.exp(grown - top).sum()))


def _grown(y: Floats) -> Floats:
    return np.array([float(np.log1p(share * y).sum()) for share in SHARES])


def _lowest(x: Floats, lower: float, upper: float, alpha: float) -> float:
    """Return the largest limit that the bettors on `above` refute; `lower` if there is none."""
    goal, mean = -math.log(alpha), float(x.mean())

    def excess(limit: float) -> float:
        return _capital((x - limit) / (limit - lower)) - goal

    near = _CLOSE * (upper - lower)
    if mean - lower <= near or excess(lower + near) < 0:
        return lower
    return _root(excess, lower + near, min(mean, upper), near)


def _root(excess: Callable[[float], float], outside: float, inside: float, near: float) -> float:
    """Return a place where a falling function is not below 0, at most `near` before it is.

    False position with halved ends (Illinois; Dowell and Jarratt 1971), halving where it crawls.
    """
    high, low, kept = excess(outside), excess(inside), 0
    if low >= 0:
        return inside
    for step in range(_STEPS):
        if inside - outside <= near:
            break
        share = 0.5 if step % 3 == 2 or not math.isfinite(high) else high / (high - low)
        place = outside + (inside - outside) * min(max(share, 0.01), 0.99)
        found = excess(place)
        if found >= 0:
            outside, high, low, kept = place, found, low / 2 if kept == 1 else low, 1
        else:
            inside, low, high, kept = place, found, high / 2 if kept == -1 else high, -1
    return outside


def _checked(values: npt.ArrayLike, lower: float, upper: float) -> Floats:
    if not lower < upper:
        raise InvalidInput(f"The range is {lower} to {upper}.")
    x = np.asarray(values, dtype=np.float64)
    slack = 1e-9 * (upper - lower)
    if len(x) and not (x.min() >= lower - slack and x.max() <= upper + slack):
        raise InvalidInput(f"The values go from {x.min()} to {x.max()}, beyond {lower} to {upper}.")
    return np.clip(x, lower, upper)
