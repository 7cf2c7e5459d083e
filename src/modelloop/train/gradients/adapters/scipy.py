"""SciPy: factors of matrices, and the quasi-Newton method with bounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from ....ground.core.later import needed
from ....ground.core.later import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

Floats: TypeAlias = "npt.NDArray[np.float64]"


def factor(matrix: Floats) -> tuple[Callable[[Floats], Floats], float]:
    """Return what solves the positive definite system, and the smallest pivot of 1 (0: singular)."""
    linalg = needed("scipy.linalg", "ml")
    scale = np.sqrt(np.maximum(np.diagonal(matrix), 0.0))
    if not scale.all():
        return _nothing, 0.0
    even = matrix / np.outer(scale, scale)
    try:
        triangle = linalg.cho_factor(even, lower=True, check_finite=False)
    except np.linalg.LinAlgError:
        return _nothing, 0.0
    pivot = float(np.diagonal(triangle[0]).min()) ** 2

    def solve(right: Floats) -> Floats:
        found: Floats = linalg.cho_solve(triangle, right / scale[:, None], check_finite=False) / scale[:, None]
        return found

    return solve, pivot


def bounded_descent(
    loss: Callable[[Floats], tuple[float, Floats]], start: Floats, low: Floats, high: Floats
) -> tuple[Floats, str]:
    """Follow L-BFGS-B (Byrd, Lu, Nocedal and Zhu 1995) between `low` and `high`; return where and why it ended."""
    optimize = needed("scipy.optimize", "ml")
    done: Any = optimize.minimize(
        loss,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=list(zip(low, high, strict=True)),
        options={"maxfun": 15_000, "maxiter": 15_000, "ftol": 1e-8, "gtol": 1e-10, "maxcor": 20},
    )
    return done.x, str(done.message)


def _nothing(right: Floats) -> Floats:
    return np.full_like(right, np.nan)
