"""Go down the validation loss: L-BFGS-B, Adam or HOAG, within the space's bounds, from several places.

Numbers on a log scale are moved on it, and each range is stretched to [0, 1]: a penalty between 1e-6 and 1e6 and a
share between 0 and 1 then weigh the same.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ...ground.core.errors import EvidenceMissing, InvalidInput
from ...ground.core.later import numpy as np
from ..domains import Domain, Real, Space, When
from .adapters import scipy
from .estimate import Estimate
from .problem import Differentiable, Floats
from .steps import LAST as EXACT
from .steps import adam, hoag

METHODS = ("lbfgs", "adam", "hoag")
Tell: TypeAlias = Callable[[Mapping[str, float], float, float], None]
"""Is told each evaluation: the parameters, the loss (nan: it was not finite), the seconds."""


@dataclass(frozen=True, slots=True)
class Descent:
    """What came out, and how far to trust it."""

    method: str
    params: Mapping[str, float]
    value: float
    """Loss on the validation rows, which chose the parameters: it flatters them."""
    evaluations: int
    starts: tuple[float, ...]
    """The best loss from each start; where they agree, there is likely one valley only."""
    ended: str
    """Why the start that found the best ended."""
    at_bounds: tuple[str, ...]
    """Parameters at an end of their range: a wider one may do better, or they do not matter."""
    seconds: float
    held_out: Estimate | None
    """The loss on rows that chose nothing; None where the problem has none."""

    def says(self) -> str:
        """Return the result in plain words."""
        from_starts = f"{len(self.starts)} start{'s' if len(self.starts) > 1 else ''}"
        told = f"{self.value:.6g} on the validation rows after {self.evaluations} evaluations from {from_starts}."
        if self.held_out is None:
            return (
                f"{told} {len(self.params)} hyper-parameters were chosen on these rows, so the figure flatters them: "
                "give held_out rows, or use nested(...), for an honest one."
            )
        return (
            f"{told} On {self.held_out.rows} rows that chose nothing: {self.held_out.value:.6g} "
            f"(95 % interval {self.held_out.low:.6g} to {self.held_out.high:.6g}); this one is the honest figure."
        )


class Spent(Exception):
    """The evaluations are used up."""


class Cliff(Exception):
    """The loss is not finite at a place where L-BFGS-B must have one."""

    def __init__(self, place: Floats) -> None:
        super().__init__("the loss was not finite")
        self.place = place


def descend(
    problem: Differentiable,
    space: Space,
    *,
    trials: int,
    seed: int,
    tell: Tell | None = None,
    method: str = "lbfgs",
    start: Mapping[str, float] | None = None,
    restarts: int = 1,
) -> Descent:
    """Find the hyper-parameters with the least loss, in at most `trials` evaluations of value and gradient.

    Begins at `start`, or in the middle of the space, then at `restarts` random places while evaluations are left.
    `method` is `lbfgs` (curvature from the last gradients; the inner problem is solved exactly each time), `adam`, or
    `hoag` (the inner problem is solved roughly at first and better with each step: for problems whose fit is dear).

        problem = ridge((x, y), (x_valid, y_valid), held_out=(x_test, y_test), penalty="feature")
        best = descend(problem, per_feature("penalty", 200, real(1e-3, 1e4, log=True)), trials=60, seed=1)
    """
    if method not in METHODS:
        raise InvalidInput(f"There is no descent {method!r}.", hint=f"One of {', '.join(METHODS)}.")
    if trials < 1 or restarts < 0:
        raise InvalidInput(f"{trials} trials with {restarts} restarts.", hint="At least one trial; restarts from 0.")
    cube = _Cube(problem, space)
    watched = _Watched(problem, cube, trials, tell)
    begun, ends = time.perf_counter(), []
    try:
        for place in _places(cube, start, restarts, seed):
            watched.begin()
            ends.append(_go(method, watched, place, problem))
    except Spent:
        ends.append(f"the {trials} evaluations were used up")
    if watched.best is None:
        raise EvidenceMissing(
            f"None of {watched.count} evaluations gave a finite loss.",
            hint="Try it by hand with one set of parameters.",
        )
    return _told(problem, method, watched, ends, time.perf_counter() - begun)


def _told(problem: Differentiable, method: str, watched: _Watched, ends: Sequence[str], seconds: float) -> Descent:
    assert watched.best is not None
    if method != "lbfgs":
        getattr(problem, "loosen", _as_it_is)(EXACT)
    params = watched.cube.params(watched.best)
    judge = getattr(problem, "held_out", None)
    return Descent(
        method=method,
        params=params,
        value=watched.value,
        evaluations=watched.count,
        starts=tuple(value for value in watched.starts if math.isfinite(value)),
        ended=ends[watched.best_start],
        at_bounds=watched.cube.at_bounds(watched.best),
        seconds=seconds,
        held_out=judge(params) if judge is not None else None,
    )


class _Cube:
    """The space's parameters that can move, as numbers from 0 to 1."""

    def __init__(self, problem: Differentiable, space: Space) -> None:
        absent, strange = set(problem.names) - set(space), set(space) - set(problem.names)
        if absent or strange or not space:
            raise InvalidInput(
                "The space and the problem do not name the same parameters. "
                f"Without a range: {_first(absent)}; unknown to the problem: {_first(strange)}.",
                hint="per_feature(name, n, domain) names them as problems do.",
            )
        self._ranges = {name: _range(name, space[name]) for name in problem.names}
        self.names, own = problem.names, list(self._ranges.values())
        self._log = np.array([each.log for each in own])
        self._low = np.array([_on_scale(each, each.low) for each in own])
        self._wide = np.array([_on_scale(each, each.high) for each in own]) - self._low
        self._ends = np.array([(each.low, each.high) for each in own], dtype=np.float64)

    def params(self, place: Floats) -> dict[str, float]:
        return dict(zip(self.names, self._values(place).tolist(), strict=True))

    def place(self, params: Mapping[str, float]) -> Floats:
        """Return where given parameters are; what is not given stands in the middle."""
        place = np.full(len(self.names), 0.5)
        for index, name in enumerate(self.names):
            domain = self._ranges[name]
            if name in params and self._wide[index] > 0:
                if not domain.low <= params[name] <= domain.high:
                    raise InvalidInput(
                        f"The start {name} = {params[name]} lies outside {domain.low} to {domain.high}.",
                        hint="Start within the space.",
                    )
                place[index] = (_on_scale(domain, params[name]) - self._low[index]) / self._wide[index]
        return np.asarray(np.clip(place, 0.0, 1.0))

    def slope(self, place: Floats, gradient: Mapping[str, float]) -> Floats:
        """Return the gradient by the place, from that by the parameters."""
        by = np.array([gradient[name] for name in self.names], dtype=np.float64)
        return np.asarray(by * self._wide * np.where(self._log, self._values(place), 1.0))

    def at_bounds(self, place: Floats) -> tuple[str, ...]:
        ends = (self._wide > 0) & ((place <= 1e-9) | (place >= 1 - 1e-9))
        return tuple(name for name, end in zip(self.names, ends.tolist(), strict=True) if end)

    def _values(self, place: Floats) -> Floats:
        scaled = self._low + self._wide * place
        with np.errstate(over="ignore"):  # of the numbers that are on no log scale
            values = np.where(self._log, np.exp(np.where(self._log, scaled, 0.0)), scaled)
        return np.asarray(np.clip(values, self._ends[:, 0], self._ends[:, 1]))


class _Watched:
    """The problem on the cube: counts, tells, remembers the best of all and of this start (`here`)."""

    def __init__(self, problem: Differentiable, cube: _Cube, trials: int, tell: Tell | None) -> None:
        self.best: Floats | None = None
        self.value, self.best_start = math.inf, 0
        self.here: Floats | None = None
        self.starts: list[float] = []
        self.count = 0
        self.cube = cube
        self._problem, self._trials, self._tell = problem, trials, tell

    def begin(self) -> None:
        if self.count >= self._trials:
            raise Spent
        self.starts.append(math.inf)
        self.here = None

    def __call__(self, place: Floats) -> tuple[float, Floats]:
        if self.count >= self._trials:
            raise Spent
        place = np.clip(place, 0.0, 1.0)
        params, begun = self.cube.params(place), time.perf_counter()
        value, gradient = self._problem.value_and_gradient(params)
        slope = self.cube.slope(place, gradient)
        finite = math.isfinite(value) and bool(np.isfinite(slope).all())
        self.count += 1
        if self._tell is not None:
            self._tell(params, float(value) if finite else math.nan, time.perf_counter() - begun)
        if not finite:
            return math.inf, np.zeros_like(place)
        if value < self.starts[-1]:
            self.starts[-1], self.here = float(value), place.copy()
        if value < self.value:
            self.best, self.value, self.best_start = place.copy(), float(value), len(self.starts) - 1
        return float(value), slope


def _go(method: str, watched: _Watched, place: Floats, problem: Differentiable) -> str:
    if method == "lbfgs":
        return _lbfgs(watched, place)
    return (adam if method == "adam" else hoag)(watched, place, getattr(problem, "loosen", _as_it_is))


def _lbfgs(watched: _Watched, place: Floats) -> str:
    """Follow L-BFGS-B; where the loss is not finite, go on from the best place within half the way to there."""

    scale = 0.0  # of the first loss: so that "hardly lower" means the same for losses of 1e-6 and of 1e6

    def loss(at: Floats) -> tuple[float, Floats]:
        nonlocal scale
        value, slope = watched(at)
        if not math.isfinite(value):
            raise Cliff(at.copy())
        scale = scale or abs(value) or 1.0
        return value / scale, slope / scale

    reach, why = math.inf, "the loss is not finite around it"
    for _ in range(30):
        low, high = np.maximum(place - reach, 0.0), np.minimum(place + reach, 1.0)
        try:
            ended, why = scipy.bounded_descent(loss, place, low, high)
        except Cliff as cliff:
            if watched.here is None:
                return "the loss was not finite where it began"
            place, reach = watched.here, 0.5 * float(np.abs(cliff.place - watched.here).max())
            continue
        held = ((ended <= low) & (low > 0)) | ((ended >= high) & (high < 1))
        if not held.any():
            break
        place = ended
    return why


def _places(cube: _Cube, start: Mapping[str, float] | None, restarts: int, seed: int) -> Iterator[Floats]:
    chance = np.random.default_rng(seed)
    yield cube.place(start or {})
    for _ in range(restarts):
        yield chance.random(len(cube.names))


def _range(name: str, domain: Domain | When) -> Real:
    if not isinstance(domain, Real):
        raise InvalidInput(
            f"{name!r} is {str(domain)[:80]}.",
            hint="Gradients find numbers without conditions: real(low, high). Search the others by another method.",
        )
    if not math.isfinite(domain.high - domain.low) or domain.low > domain.high or (domain.log and domain.low <= 0):
        raise InvalidInput(
            f"{name!r} goes from {domain.low} to {domain.high}.", hint="The lower first; on a log scale above 0."
        )
    return domain


def _as_it_is(tolerance: float) -> None:
    """Leave a problem alone that solves its inner problem always alike."""


def _on_scale(domain: Real, value: float) -> float:
    return math.log(value) if domain.log else float(value)


def _first(names: set[str]) -> str:
    ordered = sorted(names)
    return ", ".join(ordered[:3]) + (f" and {len(ordered) - 3} more" if len(ordered) > 3 else "") if ordered else "none"
