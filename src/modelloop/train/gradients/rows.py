"""The rows of a linear problem: checked, shifted, and, where the loss is a sum of squares, made few."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from ...ground.core.errors import InvalidInput
from ...ground.core.later import numpy as np
from .problem import Floats

if TYPE_CHECKING:
    import numpy.typing as npt

Given: TypeAlias = Sequence[Any]
"""(x, y) or (x, y, weight)."""
CHUNK = 20_000
"""Rows that are decomposed at once: a million rows need no second copy of themselves."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Features, targets and weights of rows."""

    x: Floats
    """[rows, features], with a column of ones at the end where there is an intercept."""
    y: Floats
    """[rows, outputs]."""
    weight: Floats
    group: npt.NDArray[np.intp]
    """Index of the group whose hyper-parameter multiplies the row's weight."""
    total: float
    """Sum of the weights of all rows that these stand for."""

    @property
    def features(self) -> int:
        """Return the number of columns, the intercept's included."""
        return int(self.x.shape[1])


def read(given: Given, what: str) -> Rows:
    """Return the rows as numbers; raises InvalidInput that says which column or row is wrong and what to do."""
    if not isinstance(given, tuple | list) or len(given) not in {2, 3}:
        raise InvalidInput(f"{what} is no pair of features and targets.", hint=f"{what}=(x, y) or (x, y, weight).")
    x, y = _numbers(given[0], f"{what}'s features"), _numbers(given[1], f"{what}'s targets")
    x = x[:, None] if x.ndim == 1 else x
    y = y[:, None] if y.ndim == 1 else y
    weight = _numbers(given[2], f"{what}'s weights") if len(given) == 3 else np.ones(len(x))
    if x.ndim != 2 or y.ndim != 2 or weight.ndim != 1 or not len(x) == len(y) == len(weight):
        shapes = f"features {x.shape}, targets {y.shape}, weights {weight.shape}"
        raise InvalidInput(f"{what} does not fit together: {shapes}.", hint="One row, one target and one weight each.")
    if not x.size or not y.size:
        raise InvalidInput(f"{what} is empty: {len(x)} rows of {x.shape[1]} features.", hint="It needs some of each.")
    if (weight < 0).any() or weight.sum() <= 0:
        raise InvalidInput(f"{what}'s weights go down to {weight.min()}.", hint="From 0 on, and some above 0.")
    return Rows(x, y, weight, np.zeros(len(x), dtype=np.intp), float(weight.sum()))


def alike(first: Rows, other: Rows, what: str) -> None:
    """Raise InvalidInput where `other` has not the columns of the training rows."""
    if first.x.shape[1] != other.x.shape[1] or first.y.shape[1] != other.y.shape[1]:
        raise InvalidInput(
            f"train has {first.x.shape[1]} features and {first.y.shape[1]} targets, "
            f"{what} has {other.x.shape[1]} and {other.y.shape[1]}.",
            hint="Prepare both with the same transform.",
        )


def shifted(rows: Rows, by: Floats) -> Rows:
    """Return the rows with `by` taken from the features, and a column of ones: an intercept makes up for the shift."""
    return replace(rows, x=np.column_stack([rows.x - by, np.ones(len(rows.x))]))


def compressed(rows: Rows) -> Rows:
    """Return at most features + targets rows a group that have the same weighted sum of squares for every model.

    The sum is the length of [x y] times (weights, -1), and a QR decomposition keeps lengths. Unlike sums of products
    it loses no digits where the fit is nearly perfect.
    """
    parts = [_shorter(rows, np.flatnonzero(rows.group == group)) for group in np.unique(rows.group)]
    x, y, weight, group = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Rows(x, y, weight, group, rows.total)


def _shorter(rows: Rows, own: npt.NDArray[np.intp]) -> tuple[Floats, Floats, Floats, npt.NDArray[np.intp]]:
    x, y, weight = rows.x[own], rows.y[own], rows.weight[own]
    width = x.shape[1] + y.shape[1]
    if len(own) > width:
        triangle = np.zeros((0, width))
        for begin in range(0, len(own), CHUNK):  # a triangle stands for all rows before it
            some = slice(begin, begin + CHUNK)
            scaled = np.column_stack([x[some], y[some]]) * np.sqrt(weight[some])[:, None]
            triangle = np.asarray(np.linalg.qr(np.concatenate([triangle, scaled]), mode="r"))
        x, y, weight = triangle[:, : x.shape[1]], triangle[:, x.shape[1] :], np.ones(len(triangle))
    return x, y, weight, np.full(len(x), rows.group[own[0]])


def _numbers(values: Any, what: str) -> Floats:
    try:
        found = np.ascontiguousarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"{what} are not all numbers: {error}.", hint="Encode them first.") from error
    bad = ~np.isfinite(found)
    if bad.any():
        where = ", ".join(str(index) for index in np.argwhere(bad)[0])
        raise InvalidInput(
            f"{what} hold {int(bad.sum())} values that are missing or infinite, the first at [{where}].",
            hint="Fill or drop them first.",
        )
    return found
