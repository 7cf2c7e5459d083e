"""Find good hyper-parameters: grid, random, or TPE (Bergstra et al. 2011) through Optuna, repeatable by its seed."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ..ground.core.errors import EvidenceMissing, InvalidInput
from ..ground.core.later import numpy as np
from .records import Study, Trial

Plain = str | int | float | bool | None
"""What a choice may be, and what a trial's parameters are."""


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number between two bounds, both included."""

    low: int
    high: int
    log: bool = False


@dataclass(frozen=True, slots=True)
class Real:
    """A number between two bounds."""

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several values."""

    options: tuple[Plain, ...]


Domain = Integer | Real | Choice


def integer(low: int, high: int, *, log: bool = False) -> Integer:
    """Let a parameter be any whole number from `low` to `high`; `log`: small ones are tried as often as large ones."""
    _check_bounds(low, high, log=log)
    return Integer(low, high, log)


def real(low: float, high: float, *, log: bool = False) -> Real:
    """Let a parameter be any number from `low` to `high`; `log`: each power of ten gets the same attention."""
    _check_bounds(low, high, log=log)
    return Real(low, high, log)


def choice(*options: Plain) -> Choice:
    """Let a parameter be one of the values."""
    if not options:
        raise InvalidInput("A choice of nothing.", hint="Name at least one value: choice(15, 31, 63).")
    return Choice(options)


def search(
    objective: Callable[[Mapping[str, Any]], float],
    space: Mapping[str, Domain],
    *,
    trials: int,
    seed: int,
    direction: str,
    metric: str,
    method: str = "tpe",
) -> Study:
    """Call `objective` with parameters from `space` at most `trials` times and return all that was tried.

    `direction` is `higher` or `lower`, `method` is `tpe`, `random` or `grid` (which ends early when the grid is done).
    The same seed asks for the same parameters as long as the objective answers the same. An answer that is not finite
    counts as a failed trial; when all fail, EvidenceMissing is raised. What the objective raises is not caught.

        space = {"num_leaves": integer(7, 63, log=True), "learning_rate": real(0.02, 0.3, log=True)}
        study = search(fit, space, trials=12, seed=1, direction="higher", metric="auc")
        best = study.params
    """
    if trials < 1 or not space:
        raise InvalidInput(f"A search of {trials} trials over {len(space)} parameters.", hint="It needs one of each.")
    if direction not in {"higher", "lower"}:
        raise InvalidInput(
            f"The direction is {direction!r}.", hint="'higher' or 'lower': which way the metric is good."
        )
    import optuna  # noqa: PLC0415 - .6 s

    with _quiet(optuna):
        study = optuna.create_study(
            direction="maximize" if direction == "higher" else "minimize",
            sampler=_sampler(optuna, method, seed),
            storage=optuna.storages.InMemoryStorage(),
        )
        wanted = {name: _distribution(optuna, domain) for name, domain in space.items()}
        if method == "grid":
            trials = _queue_grid(study, space, trials=trials, seed=seed)
        done = [_one(study, wanted, objective, number) for number in range(trials)]
    usable = [(trial.value, -trial.number) for trial in done if trial.value is not None]
    if not usable:
        raise EvidenceMissing(
            f"None of {len(done)} trials gave a finite {metric}.", hint="Look at what the objective returns for one."
        )
    best = max(usable)[1] if direction == "higher" else max((-value, number) for value, number in usable)[1]
    return Study(method=method, metric=metric, direction=direction, trials=tuple(done), best=-best)


def _one(study: Any, wanted: Any, objective: Callable[[Mapping[str, Any]], float], number: int) -> Trial:
    asked = study.ask(wanted)
    value = float(objective(dict(asked.params)))
    # Optuna takes a value that is not a number for a failed trial
    told = study.tell(asked, value if math.isfinite(value) else math.nan)
    seconds = told.duration.total_seconds() if told.duration else 0.0
    return Trial(number, dict(asked.params), value if math.isfinite(value) else None, seconds)


def _queue_grid(study: Any, space: Mapping[str, Domain], *, trials: int, seed: int) -> int:
    """Line up at most `trials` points of the grid, in an order that does not favour one end of it."""
    points = list(itertools.product(*(_listed(name, domain) for name, domain in space.items())))
    order = np.random.default_rng(seed).permutation(len(points))[:trials]
    for index in order:
        study.enqueue_trial(dict(zip(space, points[index], strict=True)))
    return len(order)


def _sampler(optuna: Any, method: str, seed: int) -> Any:
    if method == "tpe":
        return optuna.samplers.TPESampler(seed=seed)
    if method in {"random", "grid"}:  # a grid is lined up beforehand
        return optuna.samplers.RandomSampler(seed=seed)
    raise InvalidInput(f"There is no search method {method!r}.", hint="tpe, random or grid.")


def _distribution(optuna: Any, domain: Domain) -> Any:
    if isinstance(domain, Choice):
        return optuna.distributions.CategoricalDistribution(domain.options)
    if isinstance(domain, Integer):
        return optuna.distributions.IntDistribution(domain.low, domain.high, log=domain.log)
    return optuna.distributions.FloatDistribution(domain.low, domain.high, log=domain.log)


def _listed(name: str, domain: Domain) -> list[Plain]:
    if isinstance(domain, Choice):
        return list(domain.options)
    if isinstance(domain, Integer):
        return list(range(domain.low, domain.high + 1))
    raise InvalidInput(f"A grid cannot list the numbers of {name!r}.", hint="Write choice(0.01, 0.1) for it.")


def _check_bounds(low: float, high: float, *, log: bool) -> None:
    if not low <= high or (log and low <= 0):
        raise InvalidInput(
            f"The bounds are {low} and {high}{' on a log scale' if log else ''}.",
            hint="The lower comes first; on a log scale it is above 0.",
        )


@contextmanager
def _quiet(optuna: Any) -> Iterator[None]:
    """Keep Optuna from talking, and leave its settings as they were."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="optuna")
            yield
    finally:
        optuna.logging.set_verbosity(before)
