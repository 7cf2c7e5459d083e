"""Tail probabilities that tests need: chi-square, Kolmogorov, hypergeometric."""

from __future__ import annotations

import math

_STEPS = 100_000
"""Terms of a series; it takes about the root of its argument."""
_TINY = 1e-300
_EPSILON = 1e-16


def gamma_upper(a: float, x: float) -> float:
    """Return the regularised upper incomplete gamma function Q(a, x), for a > 0 and x >= 0.

    Below a + 1 by the series of the lower one, above by the continued fraction (modified Lentz), both from Abramowitz
    and Stegun 6.5.29 and 6.5.31.
    """
    if x <= 0:
        return 1.0
    if x < a * 1e-6:  # the first term of the series is all of it
        return max(0.0, 1.0 - math.exp(a * math.log(x) - x - math.lgamma(a + 1)) * (1 + x / (a + 1)))
    if math.isinf(x):
        return 0.0
    scale = _power(a, x)
    if scale == 0.0:
        return 1.0 if x < a else 0.0
    if x < a + 1:
        return min(1.0, max(0.0, 1.0 - scale * _series(a, x)))
    return min(1.0, scale * _fraction(a, x))


def chi2_tail(statistic: float, freedom: float) -> float:
    """Return the probability that a chi-square variable with `freedom` degrees is above `statistic`."""
    return gamma_upper(freedom / 2, statistic / 2) if freedom > 0 else 1.0


def kolmogorov_tail(x: float) -> float:
    """Return the probability that the supremum of a Brownian bridge's absolute value is above x (Kolmogorov 1933).

    For small x the series of the theta function's other side is used: it converges where the first does not.
    """
    if x <= 0.04:  # the rest is below what a float can hold
        return 1.0
    if x < 1:
        terms = (math.exp(-((2 * k - 1) ** 2) * math.pi**2 / (8 * x * x)) for k in range(1, 8))
        return 1.0 - math.sqrt(2 * math.pi) / x * sum(terms)
    return 2 * sum((1 if k % 2 else -1) * math.exp(-2 * k * k * x * x) for k in range(1, 12))


def fisher_tail(first: int, of_first: int, second: int, of_second: int) -> float:
    """Return the two-sided p-value of Fisher's exact test that two rates are equal (first of of_first, ...).

    The sum over all splits of the marked cases that are no likelier than the one seen. Takes as many steps as there are
    splits: meant for few marked cases, or one small sample.
    """
    marked, everyone = first + second, of_first + of_second
    low, high = max(0, marked - of_second), min(marked, of_first)
    total = _log_choose(everyone, marked)

    def chance(k: int) -> float:
        return math.exp(_log_choose(of_first, k) + _log_choose(of_second, marked - k) - total)

    seen = chance(first) * (1 + 1e-7)
    return min(1.0, sum(p for k in range(low, high + 1) if (p := chance(k)) <= seen))


def normal_tail(z: float) -> float:
    """Return the probability that a standard normal variable is farther from 0 than z, on either side."""
    return math.erfc(abs(z) / math.sqrt(2))


def _power(a: float, x: float) -> float:
    """Return x^a e^-x / Gamma(a). For large a by Stirling's series: the plain form loses digits there."""
    if a < 30:
        return math.exp(a * math.log(x) - x - math.lgamma(a))
    off = (x - a) / a
    stirling = 1 / (12 * a) - 1 / (360 * a**3) + 1 / (1260 * a**5) - 1 / (1680 * a**7)
    return math.sqrt(a / (2 * math.pi)) * math.exp(-a * (off - math.log1p(off)) - stirling)


def _series(a: float, x: float) -> float:
    term = total = 1 / a
    for k in range(1, _STEPS):
        term *= x / (a + k)
        total += term
        if term < total * _EPSILON:
            break
    return total


def _fraction(a: float, x: float) -> float:
    b = x + 1 - a
    c, d = 1 / _TINY, 1 / b
    value = d
    for k in range(1, _STEPS):
        weight = -k * (k - a)
        b += 2
        d = 1 / (weight * d + b or _TINY)
        c = b + weight / c or _TINY
        change = d * c
        value *= change
        if abs(change - 1) < _EPSILON * 2:
            break
    return value


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
