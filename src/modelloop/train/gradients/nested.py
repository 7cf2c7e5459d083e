"""An honest figure: tune on some rows, judge on others, in turn; each row is judged once, by what it did not choose."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from ...ground.core.errors import InvalidInput
from ...ground.core.later import numpy as np
from ...ground.stats.interval import z_value
from ..domains import Space
from .descent import Descent, descend
from .estimate import Estimate
from .problem import Differentiable, Floats

if TYPE_CHECKING:
    import numpy.typing as npt

Ints: TypeAlias = "npt.NDArray[np.intp]"
Make: TypeAlias = Callable[[Ints, Ints, Ints], Differentiable]
"""Makes a problem of row numbers: to train on, to tune on, to judge on (`held_out`)."""


@dataclass(frozen=True, slots=True)
class Nested:
    """What tuning gives on rows that took no part in it."""

    tuned: float
    """Mean loss on the rows that chose the hyper-parameters."""
    estimate: Estimate
    """Loss on the rows that did not."""
    folds: tuple[Descent, ...]

    @property
    def flattery(self) -> float:
        """Return by how much the tuned figure is too good."""
        return self.estimate.value - self.tuned


def nested(
    make: Make,
    rows: int,
    space: Space,
    *,
    trials: int,
    seed: int,
    folds: int = 5,
    method: str = "lbfgs",
) -> Nested:
    """Tune `folds` times, each time judged on another part of the rows; a quarter of the rest tunes, the others train.

        def make(train, valid, test):
            return ridge((x[train], y[train]), (x[valid], y[valid]), held_out=(x[test], y[test]), penalty="feature")

        nested(make, len(x), space, trials=50, seed=1).estimate

    Rows are dealt at random: rows of one person or one day belong together and need folds of your own. The interval
    takes the folds' models for one and the same: a little too narrow where rows are few (Bengio and Grandvalet 2004).
    """
    if folds < 2 or rows < 3 * folds:
        raise InvalidInput(f"{folds} folds of {rows} rows.", hint="At least 2 folds, of 3 rows or more.")
    order = np.random.default_rng(seed).permutation(rows)
    found = []
    for fold in range(folds):
        test = order[fold::folds]
        rest = np.concatenate([order[other::folds] for other in range(folds) if other != fold])
        cut = max(1, len(rest) // 4)
        problem = make(np.sort(rest[cut:]), np.sort(rest[:cut]), np.sort(test))
        found.append(descend(problem, space, trials=trials, seed=seed + fold, method=method))
    return Nested(float(np.mean([fold.value for fold in found])), _together(found), tuple(found))


def _together(found: Sequence[Descent]) -> Estimate:
    own = [fold.held_out for fold in found]
    judged = [each for each in own if each is not None]
    if len(judged) < len(own):
        raise InvalidInput("The problems have no held_out rows.", hint="Give make's third rows as held_out=.")
    rows = np.array([each.rows for each in judged], dtype=np.float64)
    share: Floats = rows / rows.sum()
    value = float(share @ np.array([each.value for each in judged]))
    z = z_value(0.95)
    errors = np.array([(each.high - each.low) / (2 * z) for each in judged])
    reach = z * float(np.sqrt(((share * errors) ** 2).sum()))
    return Estimate(value, value - reach, value + reach, int(rows.sum()))


class Mean:
    """Several problems' mean: what cross-validation minimises. `mean_of` makes it."""

    def __init__(self, problems: Sequence[Differentiable]) -> None:
        if not problems or any(set(each.names) != set(problems[0].names) for each in problems):
            raise InvalidInput("Problems of one mean need the same hyper-parameters, and one must be there.")
        self._problems = tuple(problems)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the hyper-parameters it needs."""
        return self._problems[0].names

    @property
    def size(self) -> int:
        """Return how many there are."""
        return len(self.names)

    def __call__(self, params: Mapping[str, Any]) -> float:
        """Return the mean loss."""
        return float(np.mean([problem(params) for problem in self._problems]))

    def value_and_gradient(self, params: Mapping[str, Any]) -> tuple[float, Mapping[str, float]]:
        """Return the mean loss and its derivatives."""
        pairs = [problem.value_and_gradient(params) for problem in self._problems]
        mean = {name: float(np.mean([gradient[name] for _, gradient in pairs])) for name in self.names}
        return float(np.mean([value for value, _ in pairs])), mean

    def loosen(self, tolerance: float) -> None:
        """Solve the inner problems to `tolerance` only, where they can."""
        for problem in self._problems:
            loosen = getattr(problem, "loosen", None)
            if loosen is not None:
                loosen(tolerance)


def mean_of(problems: Sequence[Differentiable]) -> Mean:
    """Return the mean of several problems, such as one for each fold of a cross-validation."""
    return Mean(problems)
