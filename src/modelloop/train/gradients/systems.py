"""Solving (X' S X + D) z = b: S the rows' curvatures, D the penalties, the last column perhaps an intercept.

Both the fit of a linear model and the derivative of what it predicts come to such systems. Three ways: a Cholesky
factor of the whole matrix; where rows are fewer than features, one as large as the rows (Woodbury); conjugate
gradients where both are many.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from ...ground.core.errors import InvalidInput
from ...ground.core.later import numpy as np
from .adapters import scipy
from .conjugate import conjugate
from .problem import Floats

Solve: TypeAlias = Callable[[Floats], Floats]
SMALLEST_PIVOT, REFINED = 1e-14, 1e-10


@dataclass(frozen=True, slots=True)
class Design:
    """The matrix of a system's rows, and whether its last column is the intercept."""

    x: Floats
    intercept: bool

    @property
    def features(self) -> Floats:
        """Return the columns that have a penalty."""
        return self.x[:, :-1] if self.intercept else self.x


def gram(x: Floats, curve: Floats) -> Floats:
    """Return X' S X."""
    return np.asarray(x.T @ (x * curve[:, None]), dtype=np.float64)


def dense(matrix: Floats, design: Design) -> Solve:
    """Return the solver by a Cholesky factor; raises InvalidInput for a matrix that is singular."""
    solve, pivot = scipy.factor(matrix)
    if pivot < SMALLEST_PIVOT:
        raise InvalidInput(_why_singular(design), hint="Raise the lower bound of the penalties, or drop such columns.")
    return solve


def dual(design: Design, curve: Floats, penalty: Floats) -> Solve:
    """Return the solver through a matrix of rows x rows. Every penalty but the intercept's must be above 0."""
    root, count = np.sqrt(curve), design.features.shape[1]
    f = design.features * root[:, None]
    d = penalty[:count, None]
    inner, _ = scipy.factor(np.eye(len(f)) + (f / d.T) @ f.T)

    def penalised(right: Floats) -> Floats:
        even = right / d
        return np.asarray(even - (f.T @ inner(f @ even)) / d, dtype=np.float64)

    if not design.intercept:
        return penalised
    ones = root[:, None]
    along = f.T @ inner(ones) / d  # what the features take of the intercept's column
    own = float((ones * inner(ones)).sum())

    def solve(right: Floats) -> Floats:
        free = (right[-1:] - along.T @ right[:-1]) / own
        return np.concatenate([penalised(right[:-1]) - along * free, free])

    return solve


def iterative(design: Design, curve: Floats, penalty: Floats, tolerance: float) -> Solve:
    """Return the solver by conjugate gradients: no matrix but the rows' is held."""
    x = design.x
    scale = np.einsum("ij,ij,i->j", x, x, curve) + penalty
    if not (scale > 0).all():
        raise InvalidInput(_why_singular(design), hint="Raise the lower bound of the penalties, or drop such columns.")

    def times(z: Floats) -> Floats:
        return np.asarray(x.T @ (curve[:, None] * (x @ z)) + penalty[:, None] * z, dtype=np.float64)

    def solve(right: Floats) -> Floats:
        z = conjugate(times, right, scale=scale, tolerance=tolerance)
        if tolerance > REFINED:
            return z
        # once more for what rounding left: the second solution is as good as the closed form's
        return z + conjugate(times, right - times(z), scale=scale, tolerance=1e-4)

    return solve


def _why_singular(design: Design) -> str:
    """Name what commonly makes it so."""
    features = design.features
    constant = np.flatnonzero(np.ptp(features, axis=0) == 0)
    told = "The model has no single best weights: the penalties are too small for features that tell the same"
    if len(constant):
        return f"{told} (constant: feature {', '.join(str(index) for index in constant[:5])})."
    if len(features) < features.shape[1]:
        return f"{told} ({features.shape[1]} features, {len(features)} rows)."
    return f"{told} (two of them are collinear, or, in a logistic model, they separate the classes)."
