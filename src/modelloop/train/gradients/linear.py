"""Ridge and logistic regression as problems: fitted exactly, differentiated by the implicit function theorem.

At the fitted weights w the training loss has no slope: X' r(w) + D w = 0. Differentiating that by a penalty gives how
w moves, and the validation loss with it (Bengio 2000; Pedregosa 2016; Lorraine, Vicol and Duvenaud 2020). One adjoint
system, (X' S X + D) z = slope of the validation loss, serves all hyper-parameters at once: the gradient by 200
penalties costs as much as by one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...ground.core.errors import InvalidInput
from ...ground.core.later import numpy as np
from .estimate import Estimate, estimate
from .fitting import Fitted, Fitting, Setting
from .losses import Logits, Loss, Squares
from .problem import Floats, Knob, knob
from .rows import Given, Rows, alike, compressed, read, shifted

MANY = 3_000
"""Rows and features from which on systems are solved by conjugate gradients."""


@dataclass(frozen=True, slots=True)
class Coefficients:
    """A fitted linear model: x @ weights + intercept."""

    weights: Floats
    """[features, outputs]."""
    intercept: Floats
    """[outputs]."""


def ridge(
    train: Given,
    valid: Given,
    *,
    held_out: Given | None = None,
    penalty: str | Sequence[object] = "all",
    lasso: str | Sequence[object] | None = None,
    row_groups: Sequence[object] | None = None,
    intercept: bool = True,
    solver: str = "auto",
) -> Linear:
    """Return the validation error (mean square) of a ridge regression as a problem of its penalties.

    `train`, `valid`, `held_out` are (x, y) or (x, y, weight); y may have several columns. `penalty` is `all` (one
    hyper-parameter, `penalty`), `feature` (`penalty[0]`, ...) or a group's label for each feature (`penalty[label]`);
    `lasso` alike adds the sum of lasso |w|; `row_groups` names each training row's group, whose weight is a
    hyper-parameter (`weight[label]`). In scikit-learn's words `penalty` is Ridge's `alpha`. The intercept has none.
    `solver` is `closed`, `cg` (conjugate gradients) or `auto`.
    """
    given = _Given(read(train, "train"), read(valid, "valid"), _held(held_out), intercept, solver)
    return Linear(Squares(), given, _knobs(given.train, penalty, lasso, row_groups))


def logistic(
    train: Given,
    valid: Given,
    *,
    held_out: Given | None = None,
    penalty: str | Sequence[object] = "all",
    lasso: str | Sequence[object] | None = None,
    row_groups: Sequence[object] | None = None,
    intercept: bool = True,
    solver: str = "auto",
) -> Linear:
    """Return the validation log loss of a logistic regression as a problem of its penalties.

    Targets are 0 and 1. In scikit-learn's words `penalty` is 1 / `C`; the rest is as with `ridge`.
    """
    given = _Given(read(train, "train"), read(valid, "valid"), _held(held_out), intercept, solver)
    for what, rows in (("train", given.train), ("valid", given.valid), ("held_out", given.held_out)):
        if rows is not None:
            _two_classes(rows, what)
    if len(np.unique(given.train.y[given.train.weight > 0])) < 2:
        raise InvalidInput("train has rows of one class only.", hint="Split so that both classes are in it.")
    return Linear(Logits(), given, _knobs(given.train, penalty, lasso, row_groups))


class Linear:
    """A linear model's validation loss as a function of its hyper-parameters. `ridge` and `logistic` make them."""

    def __init__(self, loss: Loss, given: _Given, knobs: _Knobs) -> None:
        for rows, what in ((given.valid, "valid"), (given.held_out, "held_out")):
            if rows is not None:
                alike(given.train, rows, what)
        self._loss, self._knobs, self._intercept = loss, knobs, given.intercept
        train, self._valid, self._held_out = given.train, given.valid, given.held_out
        self._shift = np.zeros(train.features)
        if knobs.weight is not None:
            train = replace(train, group=np.array(knobs.weight.place, dtype=np.intp))
        if given.intercept:  # weights hold for shifted features too; far from zero they would cost digits
            self._shift = np.average(train.x, axis=0, weights=train.weight)
            train, self._valid = shifted(train, self._shift), shifted(self._valid, self._shift)
            self._held_out = shifted(self._held_out, self._shift) if self._held_out is not None else None
        closed = _is_closed(given.solver, train, lasso=knobs.lasso is not None)
        if loss.square and closed:
            train, self._valid = compressed(train), compressed(self._valid)
        self._fitting = Fitting(loss, train, intercept=given.intercept, closed=closed)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the hyper-parameters it needs."""
        return tuple(name for each in self._knobs.all for name in each.names)

    @property
    def size(self) -> int:
        """Return how many there are."""
        return len(self.names)

    @property
    def rows(self) -> float:
        """Return the weight of the validation rows: what the hyper-parameters are tuned on."""
        return self._valid.total

    def __call__(self, params: Mapping[str, Any]) -> float:
        """Return the loss on the validation rows of the model that these hyper-parameters give."""
        return self._judged(self._fitted(params))[0]

    def value_and_gradient(self, params: Mapping[str, Any]) -> tuple[float, Mapping[str, float]]:
        """Return the loss and its derivative by each hyper-parameter."""
        fitted = self._fitted(params)
        value, slope = self._judged(fitted)
        by = self._fitting.derivatives(fitted, slope)
        found: dict[str, float] = {}
        for each, places in ((self._knobs.penalty, by.penalty), (self._knobs.lasso, by.lasso)):
            if each is not None:
                found |= zip(each.names, each.collect(places[: len(each.place)]).tolist(), strict=True)
        if self._knobs.weight is not None:
            found |= zip(self._knobs.weight.names, by.weight.tolist(), strict=True)
        return value, found

    def loosen(self, tolerance: float) -> None:
        """From now on solve the inner problem to `tolerance` only, as HOAG does at first; 1e-12 is as good as exact."""
        self._fitting.tolerance = max(tolerance, 1e-13)

    def coefficients(self, params: Mapping[str, Any]) -> Coefficients:
        """Return the model that these hyper-parameters give."""
        w = self._fitted(params).w
        weights = w[:-1] if self._intercept else w
        intercept = w[-1] if self._intercept else np.zeros(w.shape[1])
        return Coefficients(weights, intercept - self._shift @ weights)

    def held_out(self, params: Mapping[str, Any]) -> Estimate | None:
        """Return the loss on the held-out rows, which chose nothing, with an interval; None where there are none."""
        if self._held_out is None:
            return None
        losses, _ = self._loss.judge(self._held_out.x @ self._fitted(params).w, self._held_out.y)
        return estimate(losses, self._held_out.weight)

    def _fitted(self, params: Mapping[str, Any]) -> Fitted:
        knobs, features = self._knobs, len(self._knobs.penalty.place)
        end = [0.0] if self._intercept else []
        penalty = np.concatenate([knobs.penalty.spread(knobs.penalty.read(params)), end])
        lasso = None if knobs.lasso is None else knobs.lasso.spread(knobs.lasso.read(params))
        weight = np.ones(1) if knobs.weight is None else knobs.weight.read(params)
        if not weight.any():
            raise InvalidInput("All weights of the row groups are 0.", hint="Raise the lower bound of one of them.")
        assert len(penalty) == features + len(end)
        lasso = None if lasso is None else np.concatenate([lasso, end])
        return self._fitting.fit(Setting(penalty, lasso, weight))

    def _judged(self, fitted: Fitted) -> tuple[float, Floats]:
        losses, slopes = self._loss.judge(self._valid.x @ fitted.w, self._valid.y)
        weight = self._valid.weight / self._valid.total
        return float(losses @ weight), np.asarray(self._valid.x.T @ (slopes * weight[:, None]))


@dataclass(frozen=True, slots=True)
class _Given:
    train: Rows
    valid: Rows
    held_out: Rows | None
    intercept: bool
    solver: str


@dataclass(frozen=True, slots=True)
class _Knobs:
    penalty: Knob
    lasso: Knob | None
    weight: Knob | None

    @property
    def all(self) -> list[Knob]:
        return [each for each in (self.penalty, self.lasso, self.weight) if each is not None]


def _knobs(
    train: Rows, penalty: str | Sequence[object], lasso: str | Sequence[object] | None, groups: Sequence[object] | None
) -> _Knobs:
    features = train.x.shape[1]
    return _Knobs(
        knob("penalty", penalty, features, "feature"),
        None if lasso is None else knob("lasso", lasso, features, "feature"),
        None if groups is None else knob("weight", groups, len(train.x), "row"),
    )


def _held(given: Given | None) -> Rows | None:
    return None if given is None else read(given, "held_out")


def _is_closed(solver: str, train: Rows, *, lasso: bool) -> bool:
    if solver not in {"auto", "closed", "cg"} or (solver == "cg" and lasso):
        raise InvalidInput(f"The solver is {solver!r}.", hint="'auto', 'closed', or 'cg' (without lasso).")
    return lasso or solver == "closed" or (solver == "auto" and min(train.x.shape) <= MANY)


def _two_classes(rows: Rows, what: str) -> None:
    if rows.y.shape[1] != 1 or not np.isin(rows.y, (0.0, 1.0)).all():
        found = np.unique(rows.y)[:5].tolist()
        raise InvalidInput(
            f"{what} has the targets {found} in {rows.y.shape[1]} columns.",
            hint="One column of 0 and 1; for more classes use torch_problem.",
        )
