"""Elastic penalties: the least of 1/2 w'Aw - b'w + sum of lasso |w|, exactly.

Coordinate descent (Friedman, Hastie and Tibshirani 2010) finds which weights are zero and the others' signs; with
these known the rest is a linear system, and so is its derivative, on the weights that are not zero (Bertrand 2020).
"""

from __future__ import annotations

import math

from ...ground.core.errors import InvalidInput
from ...ground.core.later import numpy as np
from .adapters import scipy
from .problem import Floats

SWEEPS = 20_000


def least(matrix: Floats, right: Floats, lasso: Floats, start: Floats) -> Floats:
    """Return the weights for one output; `start` is where to begin."""
    w = start.copy()
    slope = matrix @ w - right
    for sweep in range(SWEEPS):
        _sweep(matrix, lasso, w, slope)
        if sweep % 4 == 3 or sweep < 2:
            exact = _polished(matrix, right, lasso, w)
            if exact is not None:
                return exact
    raise InvalidInput(
        "The weights of the elastic penalty did not settle.", hint="Raise the lower bound of the penalties."
    )


def _sweep(matrix: Floats, lasso: Floats, w: Floats, slope: Floats) -> None:
    """Set each weight to its best, the others held; `slope` follows."""
    diagonal, thresholds = np.diagonal(matrix).tolist(), lasso.tolist()
    for j, (own, threshold) in enumerate(zip(diagonal, thresholds, strict=True)):
        before = float(w[j])
        pull = own * before - float(slope[j])
        after = math.copysign(max(abs(pull) - threshold, 0.0), pull) / own if own > 0 else 0.0
        if after != before:
            slope += matrix[:, j] * (after - before)
            w[j] = after


def _polished(matrix: Floats, right: Floats, lasso: Floats, w: Floats) -> Floats | None:
    """Return the exact weights with the zeros and signs of `w`, or None where these are not the right ones yet."""
    own = np.flatnonzero((w != 0) | (lasso == 0))
    exact = np.zeros_like(w)
    if len(own):
        solve, pivot = scipy.factor(matrix[np.ix_(own, own)])
        if pivot <= 0:
            return None
        signs = np.sign(w[own])
        exact[own] = solve((right[own] - lasso[own] * signs)[:, None])[:, 0]
        if ((np.sign(exact[own]) != signs) & (lasso[own] > 0)).any():
            return None
    outside = np.abs(matrix @ exact - right)
    outside[own] = 0
    return exact if (outside <= lasso * (1 + 1e-9) + 1e-12 * np.abs(right).max()).all() else None
