"""Fit the weights of a linear model, and say how the validation loss moves with what they were fitted under."""

from __future__ import annotations

from dataclasses import dataclass

from ...ground.core.errors import InvalidInput
from ...ground.core.later import numpy as np
from .elastic import least
from .losses import Loss
from .problem import Floats
from .rows import Rows
from .systems import Design, Solve, dense, dual, gram, iterative

STEPS = 100


@dataclass(frozen=True, slots=True)
class Setting:
    """Hyper-parameters by column and by group."""

    penalty: Floats
    lasso: Floats | None
    weight: Floats
    """What multiplies the weights of each group's rows."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """The weights [columns, outputs] under a setting."""

    setting: Setting
    w: Floats


@dataclass(frozen=True, slots=True)
class Derivatives:
    """Of the validation loss: by column, by column, by group."""

    penalty: Floats
    lasso: Floats
    weight: Floats


class Fitting:
    """The training rows. Remembers the last weights and begins there."""

    def __init__(self, loss: Loss, rows: Rows, *, intercept: bool, closed: bool) -> None:
        self.tolerance = 1e-12
        self._loss, self._rows, self._closed = loss, rows, closed
        self._design = Design(rows.x, intercept)
        self._grams: list[Floats] = []
        self._last = np.zeros((rows.features, rows.y.shape[1]))

    def fit(self, setting: Setting) -> Fitted:
        """Return the best weights: in one step where the loss is a square, else by Newton's method."""
        w = self._one_step(setting) if self._loss.square else self._newton(setting)
        if not np.isfinite(w).all():
            raise InvalidInput("The fit gave weights that are not finite.", hint="Scale the features.")
        self._last = w
        return Fitted(setting, w)

    def derivatives(self, fitted: Fitted, slope: Floats) -> Derivatives:
        """Return how a loss with this slope by the weights moves with the setting."""
        w, setting, rows = fitted.w, fitted.setting, self._rows
        _, error, curve = self._loss.fit(rows.x @ w, rows.y)
        z = self._adjoint(fitted, curve, slope)
        pulled = rows.weight * (error * (rows.x @ z)).sum(axis=1)
        return Derivatives(
            penalty=-(w * z).sum(axis=1),
            lasso=-(np.sign(w) * z).sum(axis=1),
            weight=-np.bincount(rows.group, pulled, len(setting.weight)).astype(np.float64),
        )

    def _adjoint(self, fitted: Fitted, curve: Floats, slope: Floats) -> Floats:
        if fitted.setting.lasso is None:
            return self._solver(fitted.setting, curve, self.tolerance)(slope)
        matrix, z = self._matrix(fitted.setting, curve), np.zeros_like(slope)
        free = fitted.setting.lasso == 0
        for output in range(slope.shape[1]):  # weights that the lasso holds at zero do not move
            own = np.flatnonzero((fitted.w[:, output] != 0) | free)
            if len(own):
                solve = dense(matrix[np.ix_(own, own)], self._design)
                z[own, output] = solve(slope[own, output][:, None])[:, 0]
        return z

    def _one_step(self, setting: Setting) -> Floats:
        rows = self._rows
        right = rows.x.T @ (rows.y * self._weights(setting)[:, None])
        curve = np.ones(len(rows.x))
        if setting.lasso is None:
            return self._solver(setting, curve, self.tolerance)(right)
        matrix = self._matrix(setting, curve)
        return _columns(matrix, right, setting.lasso, self._last)

    def _newton(self, setting: Setting) -> Floats:
        rows, weights, w = self._rows, self._weights(setting), self._last
        if self._total(setting, w, weights) > self._total(setting, np.zeros_like(w), weights):
            w = np.zeros_like(w)
        for _ in range(STEPS):
            _, error, curve = self._loss.fit(rows.x @ w, rows.y)
            slope = rows.x.T @ (error * weights[:, None]) + setting.penalty[:, None] * w
            move, gain = self._move(setting, curve, slope, w)
            total = self._total(setting, w, weights)
            if gain <= self.tolerance * max(total, 1e-3):
                return self._real(setting, w + move)
            w = w + self._length(setting, w, move, gain=gain) * move
        raise InvalidInput(
            f"The logistic fit did not settle in {STEPS} steps.", hint="Raise the lower bound of the penalties."
        )

    def _real(self, setting: Setting, w: Floats) -> Floats:
        """Return the weights, unless they run away, as they do without a penalty where classes can be separated."""
        free = setting.penalty[: self._design.features.shape[1]] == 0
        if free.any() and float(np.abs(self._rows.x @ w).max()) > 25:
            raise InvalidInput(
                "The features separate the classes, so without a penalty there are no best weights.",
                hint="Raise the lower bound of the penalties.",
            )
        return w

    def _move(self, setting: Setting, curve: Floats, slope: Floats, w: Floats) -> tuple[Floats, float]:
        """Return Newton's step, and how much it promises."""
        if setting.lasso is None:
            move = -self._solver(setting, curve, min(1e-6, self.tolerance**0.5))(slope)
            return move, -float((slope * move).sum())
        matrix = self._matrix(setting, curve)
        aim = _columns(matrix, matrix @ w - slope, setting.lasso, w)
        more = float((setting.lasso[:, None] * (np.abs(aim) - np.abs(w))).sum())
        return aim - w, -float((slope * (aim - w)).sum()) - more

    def _length(self, setting: Setting, w: Floats, move: Floats, *, gain: float) -> float:
        """Return how far to go: all the way, or half as far until it pays (Armijo)."""
        weights, length = self._weights(setting), 1.0
        before = self._total(setting, w, weights)
        while self._total(setting, w + length * move, weights) > before - 1e-4 * length * gain + 1e-14 * abs(before):
            length /= 2
            if length < 1e-10:
                raise InvalidInput("The logistic fit cannot go on.", hint="Scale the features; raise the penalties.")
        return length

    def _total(self, setting: Setting, w: Floats, weights: Floats) -> float:
        losses, _, _ = self._loss.fit(self._rows.x @ w, self._rows.y)
        held = 0.5 * float((setting.penalty[:, None] * w**2).sum())
        lasso = 0.0 if setting.lasso is None else float((setting.lasso[:, None] * np.abs(w)).sum())
        return float(losses @ weights) + held + lasso

    def _solver(self, setting: Setting, curve: Floats, tolerance: float) -> Solve:
        rows, penalised = self._rows, setting.penalty[:-1] if self._design.intercept else setting.penalty
        if not self._closed:
            return iterative(self._design, curve * self._weights(setting), setting.penalty, tolerance)
        if len(rows.x) < 0.7 * rows.features and (penalised > 0).all():
            return dual(self._design, curve * self._weights(setting), setting.penalty)
        return dense(self._matrix(setting, curve), self._design)

    def _matrix(self, setting: Setting, curve: Floats) -> Floats:
        """Return X' S X + D; where the loss is a square, from sums of products that are kept."""
        rows = self._rows
        if not self._loss.square:
            matrix = gram(rows.x, curve * self._weights(setting))
        else:
            if not self._grams:
                own = [rows.group == group for group in range(len(setting.weight))]
                self._grams = [gram(rows.x[some], rows.weight[some]) for some in own]
            matrix = sum(w * g for w, g in zip(setting.weight.tolist(), self._grams, strict=True)) + 0.0
        matrix[np.diag_indices_from(matrix)] += setting.penalty
        return np.asarray(matrix)

    def _weights(self, setting: Setting) -> Floats:
        return self._rows.weight * setting.weight[self._rows.group]


def _columns(matrix: Floats, right: Floats, lasso: Floats, start: Floats) -> Floats:
    """Return the weights under an elastic penalty, output by output."""
    found = [least(matrix, right[:, output], lasso, start[:, output]) for output in range(right.shape[1])]
    return np.stack(found, axis=1)
