"""Many tests at once: how many of those that speak up are false alarms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.later import numpy as np
from .interval import Floats

if TYPE_CHECKING:
    import numpy.typing as npt


def benjamini_hochberg(p_values: npt.ArrayLike) -> Floats:
    """Return adjusted p-values: calling all below q keeps the expected share of false ones at q or less.

    Benjamini and Hochberg (1995), JRSS B 57, 289-300; for tests that are independent or positively dependent.
    """
    return _stepped_up(np.asarray(p_values, dtype=np.float64), 1.0)


def benjamini_yekutieli(p_values: npt.ArrayLike) -> Floats:
    """Return adjusted p-values as above, whatever the tests have to do with each other.

    Benjamini and Yekutieli (2001), Annals of Statistics 29, 1165-1188: the price is the harmonic number of the tests.
    Where nothing is true, the chance of any false call is at most q.
    """
    p = np.asarray(p_values, dtype=np.float64)
    return _stepped_up(p, float((1 / np.arange(1, len(p) + 1)).sum()))


def _stepped_up(p: Floats, price: float) -> Floats:
    count = len(p)
    order = np.argsort(p, kind="stable")[::-1]
    scaled = p[order] * (count * price / np.arange(count, 0, -1))
    adjusted = np.empty(count)
    adjusted[order] = np.minimum(1.0, np.minimum.accumulate(scaled))
    return adjusted
