"""Many tests at once where a single false alarm is one too many."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.later import numpy as np
from .interval import Floats

if TYPE_CHECKING:
    import numpy.typing as npt


def holm(p_values: npt.ArrayLike) -> Floats:
    """Return adjusted p-values: calling all below q keeps the chance of any false one at q or less.

    Holm (1979), Scandinavian Journal of Statistics 6, 65-70; whatever the tests have to do with each other.
    """
    p = np.asarray(p_values, dtype=np.float64)
    count = len(p)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(count)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(count, 0, -1)))
    return adjusted
