"""What a linear model's scores cost: squared errors, or the log loss of two classes."""

from __future__ import annotations

from typing import Protocol

from ...ground.core.later import numpy as np
from .problem import Floats


class Loss(Protocol):
    """A loss of scores [rows, outputs] and targets: in training the sum over rows, in validation their mean."""

    @property
    def square(self) -> bool:
        """Say whether it is a sum of squares: then one step fits, and rows can be made few."""
        ...

    def fit(self, scores: Floats, y: Floats) -> tuple[Floats, Floats, Floats]:
        """Return what training adds up: each row's loss, its derivative [rows, outputs] and its curvature [rows]."""
        ...

    def judge(self, scores: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Return what validation averages: each row's loss, and its derivative [rows, outputs]."""
        ...


class Squares:
    """Half the squared error in training, its mean in validation; the penalty is `alpha` of scikit-learn's Ridge."""

    square = True

    def fit(self, scores: Floats, y: Floats) -> tuple[Floats, Floats, Floats]:
        """See Loss."""
        error = scores - y
        return 0.5 * (error**2).sum(axis=1), error, np.ones(len(error))

    def judge(self, scores: Floats, y: Floats) -> tuple[Floats, Floats]:
        """See Loss."""
        error = scores - y
        return np.asarray((error**2).mean(axis=1)), 2 * error / error.shape[1]


class Logits:
    """The log loss (as scikit-learn's LogisticRegression: the penalty is 1 / `C`)."""

    square = False

    def fit(self, scores: Floats, y: Floats) -> tuple[Floats, Floats, Floats]:
        """See Loss."""
        chance = _chance(scores)
        return self._rows(scores, y), chance - y, (chance * (1 - chance))[:, 0]

    def judge(self, scores: Floats, y: Floats) -> tuple[Floats, Floats]:
        """See Loss."""
        return self._rows(scores, y), _chance(scores) - y

    def _rows(self, scores: Floats, y: Floats) -> Floats:
        return np.asarray((np.logaddexp(0.0, scores) - y * scores)[:, 0])


def _chance(scores: Floats) -> Floats:
    """Return 1 / (1 + exp(-scores)) without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * scores)))
