"""Conjugate gradients (Hestenes and Stiefel 1952): solve a system that is known only by what it does to a vector."""

from __future__ import annotations

from collections.abc import Callable

from ...ground.core.errors import InvalidInput
from ...ground.core.later import numpy as np
from .problem import Floats


def conjugate(
    times: Callable[[Floats], Floats],
    right: Floats,
    *,
    scale: Floats,
    tolerance: float = 1e-10,
    limit: int | None = None,
) -> Floats:
    """Return z with A z = right for a symmetric positive definite A, given as `times`: z -> A z.

    `right` is [size, columns]; the columns are solved at once. `scale` is A's diagonal, by which the system is evened
    out. Ends when the residual is `tolerance` of `right`; raises InvalidInput where that cannot be reached.
    """
    z = np.zeros_like(right)
    left, wanted = right.copy(), tolerance * np.linalg.norm(right, axis=0)
    even = left / scale[:, None]
    way = even.copy()
    energy = np.einsum("ij,ij->j", left, even)
    for _ in range(limit or 20 * len(right) + 100):
        open_ = np.linalg.norm(left, axis=0) > wanted
        if not open_.any():
            return z
        ahead = times(way)
        curve = np.einsum("ij,ij->j", way, ahead)
        if (curve[open_] <= 0).any():
            break
        step = np.where(open_, energy / np.where(open_, curve, 1), 0)
        z += step * way
        left -= step * ahead
        even = left / scale[:, None]
        before, energy = energy, np.einsum("ij,ij->j", left, even)
        way = even + np.where(open_, energy / np.where(before > 0, before, 1), 0) * way
    if (np.linalg.norm(left, axis=0) <= np.maximum(wanted * 1e3, 1e-7 * np.linalg.norm(right, axis=0))).all():
        return z  # rounding keeps it from the last digits
    raise InvalidInput(
        "Conjugate gradients found no solution: the problem is nearly singular.",
        hint="Raise the lower bound of the penalties, or scale the features.",
    )
