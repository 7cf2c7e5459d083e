"""Inference that may be looked at any time: the stated error holds over all looks together, however often one looks.

A fixed-size interval is wrong some time with probability one if one looks often enough; these are not.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from ..core.errors import InvalidInput
from ..core.later import numpy as np
from .interval import Floats, Interval

_HALVINGS = 40
"""Of the search for a bound: 2^-40 of the range."""
_CAUTION = 0.75
"""Largest share of the capital put on one observation; Waudby-Smith and Ramdas suggest 1/2 or 3/4."""


def mean_sequence(values: Floats, *, lower: float, upper: float, alpha: float) -> Interval:
    """Return the interval for the mean of a stream of numbers between `lower` and `upper`, in the order they came.

    Over all lengths of the stream together, the probability that the mean is ever outside is at most `alpha`; bounds of
    earlier lengths are kept (they only tighten). Assumed: every value has the same mean, given those before it. If the
    mean moved so far that the bounds contradict each other, the span between them is returned.

    Waudby-Smith and Ramdas (2024), Estimating means of bounded random variables by betting, JRSS B 86, 1-27: the hedged
    capital process (Theorem 3), both sides with alpha / 2, with their predictable plug-in bets. Somebody bets against
    each candidate mean m; if m is true, the capital ever reaches 2 / alpha with probability at most alpha / 2 (Ville).
    """
    if not lower < upper or not 0 < alpha < 1:
        raise InvalidInput(f"The range is {lower} to {upper}, alpha is {alpha}.")
    if not len(values):
        return lower, upper
    values = np.asarray(values, dtype=np.float64)
    x = (values - lower) / (upper - lower)
    if not (x.min() >= -1e-12 and x.max() <= 1 + 1e-12):
        raise InvalidInput(f"The values go from {values.min()} to {values.max()}, beyond {lower} to {upper}.")
    x = np.clip(x, 0, 1)
    bets = _bets(x, alpha)
    goal = math.log(2 / alpha)
    low = _largest_refuted(x, bets, goal)
    high = 1 - _largest_refuted(1 - x, bets, goal)
    low, high = min(low, high), max(low, high)
    return lower + (upper - lower) * low, lower + (upper - lower) * high


def running_mean_sequence(values: Floats, *, alpha: float, tuned_for: int = 500) -> Interval:
    """Return bounds on the average of the values' conditional means, at this look and all others with chance 1 - alpha.

    The means may change with time and depend on the past: what is bounded is their average over the values seen so far,
    so a calm week followed by a stormy one is no contradiction. Nothing must be bounded. The price: the chance holds
    asymptotically (values with a finite variance, from about a hundred on), not for every sample size:
    decide on fewer, or on losses of which less than one in ten is large, with `mean_sequence`.

    Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas (2024), Time-uniform central limit theory and asymptotic confidence
    sequences, Annals of Statistics: the Gaussian-mixture sequence and its extension to means that change; rho makes it
    tightest after about `tuned_for` values. One value has no bounds.
    """
    count = len(values)
    if count < 2:
        return -math.inf, math.inf
    squared = (-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / tuned_for
    scaled = count * squared + 1
    half = float(np.std(values, ddof=1)) * math.sqrt(
        2 * scaled / (count**2 * squared) * math.log(math.sqrt(scaled) / alpha)
    )
    center = float(np.mean(values))
    return center - half, center + half


def rate_bound(successes: int, trials: int, alpha: float) -> Interval:
    """Return the interval for a rate after `trials` independent trials, valid at all numbers of trials together.

    Robbins (1970), Statistical methods related to the law of the iterated logarithm, Ann. Math. Stat. 41: the mixture
    likelihood ratio against rate p is a martingale if p is true; so it ever reaches 1 / alpha with probability
    at most alpha.
    Mixed over Beta(1/2, 1/2): B(s + 1/2, n - s + 1/2) / B(1/2, 1/2) / (p^s (1 - p)^(n - s)).
    """
    if not 0 <= successes <= trials or not 0 < alpha < 1:
        raise InvalidInput(f"{successes} of {trials} trials, alpha is {alpha}.")
    if trials == 0:
        return 0.0, 1.0
    misses = trials - successes
    mixture = _log_beta(successes + 0.5, misses + 0.5) - _log_beta(0.5, 0.5)

    def refuted(p: float) -> bool:
        chance = (successes * math.log(p) if successes else 0.0) + (misses * math.log1p(-p) if misses else 0.0)
        return mixture - chance >= -math.log(alpha)

    seen = successes / trials
    low = 0.0 if successes == 0 else _edge(refuted, 0.0, seen)
    high = 1.0 if misses == 0 else _edge(refuted, 1.0, seen)
    return low, high


def spend(alpha: float, k: int) -> float:
    """Return the error allowed to the k-th of endlessly many tests, k from 1: together they err with at most `alpha`.

    alpha * 6 / (pi^2 k^2), because the sum of 1 / k^2 is pi^2 / 6 (Euler).
    """
    if k < 1:
        raise InvalidInput(f"The {k}-th test.", hint="Tests are counted from 1.")
    return alpha * 6 / (math.pi**2 * k * k)


def _bets(x: Floats, alpha: float) -> Floats:
    """Return the predictable plug-in bets: the t-th knows only what came before x_t."""
    t = np.arange(1, len(x) + 1)
    means = (0.5 + np.cumsum(x)) / (t + 1)
    spread = (0.25 + np.cumsum((x - means) ** 2)) / (t + 1)
    before = np.concatenate(([0.25], spread[:-1]))
    bets: Floats = np.sqrt(2 * math.log(2 / alpha) / (before * t * np.log(t + 1)))
    return bets


def _largest_refuted(x: Floats, bets: Floats, goal: float) -> float:
    """Return the largest m below the mean that a bettor on `the mean is more than m` ever refuted; 0 if none.

    The capital falls in m (each factor does, also where the bet is capped at c / m), so halving finds the edge.
    """

    def refuted(m: float) -> bool:
        capital = np.cumsum(np.log1p(np.minimum(bets, _CAUTION / m) * (x - m)))
        return bool(capital.max() >= goal)

    return _edge(refuted, 0.0, 1.0)


def _edge(refuted: Callable[[float], bool], outside: float, inside: float) -> float:
    """Return the last refuted point on the way from `outside` to `inside`; `outside` itself is never asked."""
    for _ in range(_HALVINGS):
        middle = (outside + inside) / 2
        if refuted(middle):
            outside = middle
        else:
            inside = middle
    return outside


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
