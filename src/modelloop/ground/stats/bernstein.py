"""Empirical Bernstein confidence sequences: closed forms, wider than `wagers` and `sequential.mean_sequence`.

Verdicts rest on the bettors; these are a second opinion with another proof, and what the bettors are tested against.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..core.errors import InvalidInput
from ..core.later import numpy as np
from .interval import Floats, Interval

if TYPE_CHECKING:
    import numpy.typing as npt

_CAUTION = 0.5


def bernstein_sequence(values: npt.ArrayLike, *, lower: float, upper: float, alpha: float) -> Interval:
    """Return the interval for one constant mean of values in a range; of this length, not yet of the shorter ones.

    Waudby-Smith and Ramdas (2024), Estimating means of bounded random variables by betting, JRSS B 86, 1-27: the
    predictable plug-in empirical Bernstein sequence (Theorem 2), with its weights lambda_t, capped at 1/2.
    Where means move it bounds their average weighted by lambda_t, not the plain one.
    """
    if not lower < upper or not 0 < alpha < 1:
        raise InvalidInput(f"The range is {lower} to {upper}, alpha is {alpha}.")
    x = (np.asarray(values, dtype=np.float64) - lower) / (upper - lower)
    if not len(x):
        return lower, upper
    t = np.arange(1, len(x) + 1)
    means = (0.5 + np.cumsum(x)) / (t + 1)
    spread = (0.25 + np.cumsum((x - means) ** 2)) / (t + 1)
    before = np.concatenate(([0.25], spread[:-1]))
    guess = np.concatenate(([0.5], means[:-1]))
    bets = np.minimum(_CAUTION, np.sqrt(2 * math.log(2 / alpha) / (before * t * np.log(1 + t))))
    price = ((-np.log1p(-bets) - bets) * (x - guess) ** 2).sum()  # 4 (x - guess)^2 psi_E(bet), psi_E with its 1/4
    total = bets.sum()
    center, half = float((bets * x).sum() / total), float((math.log(2 / alpha) + price) / total)
    low, high = max(0.0, center - half), min(1.0, center + half)
    return lower + (upper - lower) * low, lower + (upper - lower) * high


def bernstein_running(values: npt.ArrayLike, *, lower: float, upper: float, alpha: float, tuned_for: float) -> Interval:
    """Return bounds on the average of the values' conditional means, which may move; exact at every length.

    Howard, Ramdas, McAuliffe and Sekhon (2021), Time-uniform, nonparametric, nonasymptotic confidence sequences, Annals
    of Statistics 49, 1055-1080: Theorem 4 (V is the sum of squared distances from predictions, here the mean so far;
    c is the range) with the polynomial stitched boundary of Theorem 1. `tuned_for`: the V from which on it is meant.
    """
    if not lower < upper or not 0 < alpha < 1:
        raise InvalidInput(f"The range is {lower} to {upper}, alpha is {alpha}.")
    x = np.asarray(values, dtype=np.float64)
    if not len(x):
        return lower, upper
    guess = np.concatenate(([(lower + upper) / 2], (np.cumsum(x) / np.arange(1, len(x) + 1))[:-1]))
    variance = float(((x - guess) ** 2).sum())
    half = stitched(variance, alpha=alpha / 2, least=tuned_for, scale=upper - lower) / len(x)
    mean = float(x.mean())
    return max(lower, mean - half), min(upper, mean + half)


def stitched(variance: float, *, alpha: float, least: float, scale: float) -> float:
    """Return what a sub-gamma sum with this variance process is ever above with probability at most alpha.

    Howard and others (2021), Theorem 1 and equation (10), with s = 1.4, eta = 2: u(v) = sqrt(k1^2 v l(v) + k2^2 c^2
    l(v)^2) + k2 c l(v), l(v) = s log log(eta v / m) + log(zeta(s) / (alpha log(eta)^s)), v at least m.
    """
    s, eta, zeta = 1.4, 2.0, 3.1055472779775815
    k1, k2 = (eta**0.25 + eta**-0.25) / math.sqrt(2), (math.sqrt(eta) + 1) / 2
    v = max(variance, least)
    length = s * math.log(math.log(eta * v / least)) + math.log(zeta / (alpha * math.log(eta) ** s))
    spread = k2 * scale * length
    return math.sqrt(k1 * k1 * v * length + spread * spread) + spread


def mixture_sprt(values: npt.ArrayLike, null: float, *, spread: float, least: int = 30) -> float:
    """Return the always-valid p-value that the mean is `null`, by the normal mixture; asymptotic.

    Robbins (1970); Johari, Koomen, Pekelis and Walsh (2022), Always valid inference: continuous monitoring of A/B
    tests, Operations Research 70, 1806-1821, section 5: with the mixture N(null, spread^2), variance V so far,
    L_n = sqrt(V / (V + n spread^2)) exp(n^2 spread^2 (mean - null)^2 / (2 V (V + n spread^2))), p_n the least 1 / L so
    far. V is estimated, so it promises nothing for few or skewed values: it is looked at from `least` values on.
    """
    x = np.asarray(values, dtype=np.float64)
    if len(x) < least or spread <= 0:
        return 1.0
    n = np.arange(1, len(x) + 1)[least - 1 :]
    means, squares = _so_far(x, least)
    variance = np.maximum(squares - means**2, 1e-12) * n / (n - 1)
    total = variance + n * spread**2
    logs = 0.5 * np.log(variance / total) + (n * spread * (means - null)) ** 2 / (2 * variance * total)
    return min(1.0, math.exp(-min(700.0, max(0.0, float(logs.max())))))


def _so_far(x: Floats, least: int) -> tuple[Floats, Floats]:
    n = np.arange(1, len(x) + 1)
    return (np.cumsum(x) / n)[least - 1 :], (np.cumsum(x * x) / n)[least - 1 :]
