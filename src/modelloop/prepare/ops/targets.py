"""A category as the mean label of its training rows, without telling a training row its own label."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import repeat
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from ...ground.core.errors import InvalidInput
from ...ground.core.later import numpy as np
from ..records import Columns, InputColumn
from .categories import checked_values, learned_values
from .form import FittedOp, Floats, Op, Raw, finite, input_of, need_numbers

if TYPE_CHECKING:
    import numpy.typing as npt

Whole: TypeAlias = "npt.NDArray[np.int64]"


@dataclass(frozen=True, slots=True)
class Target(Op):
    """The mean of the numeric `label` over training rows with the same value, drawn towards the mean of all rows.

    (sum of labels + smoothing * mean of all) / (rows + smoothing): the m-estimate of Cestnik, "Estimating
    probabilities", 1990; Micci-Barreca, "A preprocessing scheme for high-cardinality categorical attributes", 2001,
    with n / (n + m) as its weight. Unseen and missing values get the mean of all rows.

    `Transform.fit_apply` gives training rows what the other of `folds` parts say (out of fold), so that a row's own
    label, and with `by` the labels of its whole group, never reach its feature. `fit(...).apply(train)` would.
    """

    column: str
    label: str
    smoothing: float = 20.0
    folds: int = 5
    seed: int = 0
    by: str = ""
    name: str = ""

    @property
    def reads(self) -> tuple[str, ...]:
        """Return the category, the label and the groups; only the first is asked for when serving."""
        return (self.column, self.label, *([self.by] if self.by else []))

    def learn(self, columns: Columns) -> FittedTarget:
        """Take the smoothed mean of every value, over the rows that have a label."""
        source = input_of(columns, self.column)
        self._check(columns)
        name = self.name or f"target({self.column})"
        values = learned_values(columns[self.column], source)
        codes, label = _coded(columns[self.column], values), columns[self.label].astype(np.float64)
        known = np.isfinite(label)
        prior, means = self._means(codes[known], label[known], len(values))
        return FittedTarget((source,), values, tuple(means.tolist()), prior, name)

    def training(self, fitted: FittedOp, columns: Columns) -> list[Raw]:
        """Return for each row the mean that rows of the other folds have."""
        assert isinstance(fitted, FittedTarget)
        codes, label = _coded(columns[self.column], fitted.values), columns[self.label].astype(np.float64)
        folds = self._folds(columns, len(label))
        known = np.isfinite(label)
        made = np.empty(len(label))
        for fold in range(self.folds):
            inside, others = folds == fold, (folds != fold) & known
            if not others.any():
                raise InvalidInput(f"{fitted.name}: all rows with a label are in one fold.", hint="Give fewer folds.")
            prior, means = self._means(codes[others], label[others], len(fitted.values))
            made[inside] = np.append(means, prior)[codes[inside]]
        return [made]

    def _check(self, columns: Columns) -> None:
        need_numbers(input_of(columns, self.label), "target's label")
        if self.by:
            input_of(columns, self.by)
        if self.column == self.label:
            raise InvalidInput(f"target({self.column!r}) cannot encode the label by itself.")
        if self.folds < 2 or not 0 <= self.smoothing < np.inf:
            raise InvalidInput(f"target({self.column!r}) needs 2 folds or more, and smoothing of 0 or more.")
        if not np.isfinite(columns[self.label].astype(np.float64)).any():
            raise InvalidInput(f"target({self.column!r}) cannot be learned: no row has a finite {self.label!r}.")

    def _means(self, codes: Whole, label: Floats, size: int) -> tuple[float, Floats]:
        """Return the mean of all and of each value; the code `size` is of no value."""
        prior = float(label.mean())
        rows = np.bincount(codes, minlength=size + 1)[:size]
        sums = np.bincount(codes, weights=label, minlength=size + 1)[:size]
        below = np.where(rows + self.smoothing > 0, rows + self.smoothing, 1.0)
        means = (sums + self.smoothing * prior) / below
        return prior, np.where(rows > 0, means, prior)

    def _folds(self, columns: Columns, rows: int) -> Whole:
        """Return each row's fold: drawn, or by the group's name."""
        if not self.by:
            return np.random.default_rng(self.seed).permutation(rows) % self.folds
        groups = (zlib.crc32(repr(group).encode(), self.seed) % self.folds for group in columns[self.by].tolist())
        return np.fromiter(groups, np.int64, rows)


@dataclass(frozen=True, slots=True)
class FittedTarget(FittedOp):
    """Values with their mean labels."""

    kind: ClassVar[str] = "target"
    inputs: tuple[InputColumn, ...]
    values: tuple[Any, ...]
    means: tuple[float, ...]
    prior: float
    name: str
    _means: Mapping[Any, float] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", checked_values(self.values, self.inputs[0]))
        object.__setattr__(self, "means", tuple(finite(mean, self.name) for mean in self.means))
        object.__setattr__(self, "prior", finite(self.prior, self.name))
        object.__setattr__(self, "_means", dict(zip(self.values, self.means, strict=True)))

    @property
    def names(self) -> tuple[str, ...]:
        """Return the name that was given, or target(column)."""
        return (self.name,)

    def apply(self, column: Raw) -> list[Raw]:
        """Look every value up."""
        return [np.fromiter(map(self._means.get, column.tolist(), repeat(self.prior)), np.float64, len(column))]


def _coded(column: Raw, values: tuple[Any, ...]) -> Whole:
    codes = {value: code for code, value in enumerate(values)}
    return np.fromiter(map(codes.get, column.tolist(), repeat(len(values))), np.int64, len(column))
