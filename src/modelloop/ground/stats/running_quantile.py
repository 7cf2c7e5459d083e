"""Bounds on a quantile of a stream that may be looked at any time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..core.errors import InvalidInput
from ..core.later import numpy as np
from .interval import Interval
from .rates import rate_evidence

if TYPE_CHECKING:
    import numpy.typing as npt


def quantile_bounds(values: npt.ArrayLike, quantile: float, *, alpha_low: float, alpha_high: float) -> Interval:
    """Return two of the values (or an infinity): the quantile is ever below, above them with at most these chances.

    Howard and Ramdas (2022), Sequential estimation of quantiles with applications to A/B testing and best-arm
    identification, Bernoulli 28, 1704-1728, section 3: how many values are at most the quantile is a sum of Bernoulli
    variables, so a confidence sequence for a rate bounds its place among the ordered values. Here the sequence is
    Robbins' mixture (`rates.rate_evidence`), their beta-binomial one with another prior. No shape of the distribution
    is assumed; ties do no harm.
    """
    if not 0 < quantile < 1:
        raise InvalidInput(f"A quantile of {quantile}.")
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    count = len(ordered)
    # The least number of values at or below the quantile that is not refuted as too few, and the most of those below it
    fewest = count - most_within(count, 1 - quantile, alpha_low)
    most = most_within(count, quantile, alpha_high)
    low = float(ordered[fewest - 1]) if fewest > 0 else -math.inf
    high = float(ordered[most]) if most < count else math.inf
    return low, high


def most_within(trials: int, rate: float, alpha: float) -> int:
    """Return the most successes that are no proof of a rate above `rate`: evidence grows with each."""
    low, high = math.floor(trials * rate), trials
    while low < high:
        middle = (low + high + 1) // 2
        if rate_evidence(middle, trials, rate) >= -math.log(alpha):
            high = middle - 1
        else:
            low = middle
    return low
