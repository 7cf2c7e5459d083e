"""Counts of yes and no: exact and Wilson intervals of a share, and McNemar's test."""

from __future__ import annotations

import math

from .beta import beta_lower, beta_quantile
from .interval import Interval, z_value


def wilson(share: float, trials: float, confidence: float = 0.95) -> Interval:
    """Return Wilson's (1927) interval of a share; `trials` may be an effective number.

    Its average coverage is the stated one also for few trials and shares near 0 and 1 (Brown, Cai, DasGupta 2001).
    """
    if trials <= 0:
        return 0.0, 1.0
    z = z_value(confidence)
    centre = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    reach = z / (1 + z * z / trials) * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    return (0.0 if share <= 0 else max(0.0, centre - reach)), (1.0 if share >= 1 else min(1.0, centre + reach))


def clopper_pearson(successes: int, trials: int, confidence: float = 0.95) -> Interval:
    """Return the exact interval of Clopper and Pearson (1934): coverage is never below the stated one."""
    rest = (1 - confidence) / 2
    low = 0.0 if successes == 0 else beta_quantile(rest, successes, trials - successes + 1)
    high = 1.0 if successes == trials else beta_quantile(1 - rest, successes + 1, trials - successes)
    return low, high


def binomial_tail(most: int, trials: int, chance: float = 0.5) -> float:
    """Return the probability of at most `most` successes."""
    if most < 0 or most >= trials:
        return 0.0 if most < 0 else 1.0
    return beta_lower(trials - most, most + 1, 1 - chance)


def mcnemar(only_first: int, only_second: int) -> tuple[float, float]:
    """Return the exact and the mid-p two-sided p-value that two classifiers are right equally often.

    From the rows where one of them alone is right (McNemar 1947). The exact test is conservative; the mid-p one keeps
    its level in practice and sees more (Fagerland, Lydersen, Laake 2013).
    """
    marked, fewer = only_first + only_second, min(only_first, only_second)
    if not marked:
        return 1.0, 1.0
    at = (
        math.exp(math.lgamma(marked + 1) - math.lgamma(fewer + 1) - math.lgamma(marked - fewer + 1)) * 0.5**marked
        if marked < 1000
        else binomial_tail(fewer, marked) - binomial_tail(fewer - 1, marked)
    )
    exact = 2 * binomial_tail(fewer, marked)
    return min(1.0, exact), min(1.0, max(0.0, exact - at))


def paired_share_interval(only_first: int, only_second: int, rows: int, confidence: float = 0.95) -> Interval:
    """Return the interval of the difference of two shares on the same rows (Agresti and Min 2005).

    Wald's with half a row added to each kind of disagreement: rows without any are no proof of equality.
    """
    b, c, n = only_first + 0.5, only_second + 0.5, rows + 2.0
    centre = (b - c) / n
    reach = z_value(confidence) * math.sqrt(max(0.0, (b + c) / n - centre * centre) / n)
    return max(-1.0, centre - reach), min(1.0, centre + reach)
