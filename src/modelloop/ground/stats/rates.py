"""Tests of rates that may be looked at any time: one rate against a limit, two rates against each other."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..core.errors import InvalidInput
from ..core.later import numpy as np
from .beta import beta_lower
from .interval import Floats

if TYPE_CHECKING:
    import numpy.typing as npt

_HALVINGS = 50
_PRIOR = 0.18
"""Of each arm's Beta: what Turner, Ly and Grunwald (2024, section 4) found to need the fewest values."""


def rate_evidence(successes: int, trials: int, limit: float) -> float:
    """Return the logarithm of the evidence that a rate is above `limit`; it needs the two counts only.

    Robbins (1970), Ann. Math. Stat. 41, 1397-1409: the likelihood ratio of rate q against the limit, mixed over q by
    Beta(1/2, 1/2) cut off below the limit. While the rate is at most the limit it ever reaches 1 / alpha with
    probability at most alpha. The rate may move and depend on the past if it is at most the limit on average: each
    ratio is a bettor with a fixed bet (q - limit) / (limit (1 - limit)), see `wagers`.
    """
    if not 0 <= successes <= trials:
        raise InvalidInput(f"{successes} of {trials} trials.")
    if limit <= 0 or limit >= 1 or trials == 0:
        return math.inf if limit <= 0 and successes else 0.0
    misses = trials - successes
    above = beta_lower(misses + 0.5, successes + 0.5, 1 - limit, limit)
    if above <= 0:
        return -math.inf
    mixture = _log_beta(successes + 0.5, misses + 0.5) + math.log(above)
    prior = _log_beta(0.5, 0.5) + math.log(beta_lower(0.5, 0.5, 1 - limit, limit))
    return mixture - prior - successes * math.log(limit) - misses * math.log1p(-limit)


def rate_above(successes: int, trials: int, alpha: float) -> float:
    """Return what a rate is at least, at all numbers of trials together, with probability 1 - alpha.

    The limits that `rate_evidence` refutes end here.
    """
    if not 0 < alpha < 1:
        raise InvalidInput(f"A chance of error of {alpha}.")
    if successes == 0:
        return 0.0
    outside, inside = 0.0, successes / trials
    for _ in range(_HALVINGS):
        middle = (outside + inside) / 2
        refuted = rate_evidence(successes, trials, middle) >= -math.log(alpha)
        outside, inside = (middle, inside) if refuted else (outside, middle)
    return outside


def rate_below(successes: int, trials: int, alpha: float) -> float:
    """Return what a rate is at most, at all numbers of trials together, with probability 1 - alpha."""
    return 1.0 - rate_above(trials - successes, trials, alpha)


def two_rates_evidence(first: Floats, second: Floats) -> float:
    """Return the logarithm of the evidence that two streams of yes (1) and no (0) have different rates.

    Turner, Ly and Grunwald (2024), Generic E-variables for exact sequential k-sample tests that allow for optional
    stopping, Journal of Statistical Planning and Inference 230, 106116: the e-variable of Theorem 1 for one value of
    each stream, p_a(x) p_b(y) / (p(x) p(y)) with p = (p_a + p_b) / 2, its rates learned from the blocks before. Exact
    whatever the common rate is, at every length; the streams are used as far as both reach.
    """
    count = min(len(first), len(second))
    x, y = (np.asarray(each, dtype=np.float64)[:count] > 0 for each in (first, second))
    a, b = _learned(x), _learned(y)
    common = (a + b) / 2
    ratios = np.where(x, a / common, (1 - a) / (1 - common)) * np.where(y, b / common, (1 - b) / (1 - common))
    return float(np.log(ratios).sum())


def _learned(yes: npt.NDArray[np.bool_]) -> Floats:
    """Return the rate to be expected before each value, from those that came earlier."""
    before = np.concatenate(([0], np.cumsum(yes)))[:-1]
    return np.asarray((before + _PRIOR) / (np.arange(len(yes)) + 2 * _PRIOR))


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
