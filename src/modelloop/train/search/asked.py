"""What a search was asked for: keywords in, one checked plan out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, TypeAlias, TypedDict

from ...ground.core.errors import InvalidInput
from ..adapters.optuna import PRUNERS, SAMPLERS
from ..domains import Domain, Space, When
from ..parallel.crew import Crew
from ..records import Study, Trial
from . import space as spaces
from .stopping import Rule, rules

METHODS = (*SAMPLERS, "grid", "cmaes", "gradient")
ONE_OBJECTIVE = ("gp", "cmaes", "gradient")
WEIGHTS = ("auto", "fanova", "ped-anova", "rank", "none")
Earlier: TypeAlias = "Study | str"
FOLDS = 100_000
"""From here on a repeat is a fold of `Confirm.judge`; below, a seed."""


@dataclass(frozen=True, slots=True)
class Confirm:
    """How to make sure of the winner: the `best` few are tried again `repeats` times with fresh seeds (`trying.seed`).

    With `judge`, a function that takes a Trying as the objective does, but scores on rows that the search did not see,
    that is called instead, with `trying.seed` = 0, 1, ... `repeats` - 1 for which fold. `test_share`: the share of rows
    that a fold judges on, where the folds' training rows overlap.
    """

    best: int = 3
    repeats: int = 5
    confidence: float = 0.95
    judge: Callable[[Any], Any] | None = None
    test_share: float = 0.0

    @property
    def first(self) -> int:
        """Return which number the repeats begin at: folds are other repeats than seeds."""
        return 1 if self.judge is None else FOLDS


class Options(TypedDict, total=False):
    """Keywords of `search` beyond what every search is given."""

    pruner: str | None
    """`hyperband`, `asha` or `median`: trials that report and do worse than others by then are ended early."""
    processes: int
    """Trials at once (default 1: this process)."""
    executor: str
    """`local`, `ray` or `ray://HOST:PORT`: where these processes are."""
    data: Mapping[str, Any]
    """What all trials read (`trying.data`), shared without copies."""
    crew: Crew
    """Who carries out the trials, if not a crew made from the three above. Whoever gives it closes it."""
    store: Any
    """A Context or a project's folder: the study is durable, and goes on where it was."""
    name: str
    """The study's name in the store."""
    start: Sequence[Mapping[str, Any]]
    """Parameters to be tried first; what they leave out is chosen for them."""
    warm_start: Earlier | Sequence[Earlier]
    """Earlier studies, themselves or by name: what fits into this space is taken over."""
    confirm: Confirm | int | None
    """How to make sure of the winner; a number: so many repeats of the best three."""
    stop: Rule | Sequence[Rule] | None
    """When to end early: worth(...), plateau(...), target(...)."""
    time_limit: float
    """Seconds this call may take; what is under way then is given back, to be done by the next call."""
    trial_limit: float
    """Seconds one trial may take; needs processes of its own, which are made."""
    weights: str
    """How to find out what mattered: `auto`, `fanova`, `ped-anova`, `rank`, `none`."""
    progress: bool | None
    """Whether to draw a bar; None: where standard error is a terminal."""
    watch: Callable[[Trial], None]
    """Is told of each trial as it ends, those of other processes included."""


class Whole(Options, total=False):
    """All keywords of `search`."""

    trials: int
    seed: int
    direction: Any
    metric: Any
    method: str


@dataclass(frozen=True, slots=True)
class Plan:
    """A search as it was asked for, checked."""

    space: Mapping[str, Domain | When]
    metrics: tuple[str, ...]
    directions: tuple[str, ...]
    method: str
    trials: int
    seed: int
    pruner: str
    confirm: Confirm | None
    rules: tuple[Rule, ...]
    time_limit: float | None
    trial_limit: float | None
    weights: str
    start: tuple[Mapping[str, Any], ...]
    warm: tuple[Earlier, ...]

    @property
    def signs(self) -> tuple[float, ...]:
        """Return what turns each metric into one that is the better the higher it is."""
        return tuple(1.0 if direction == "higher" else -1.0 for direction in self.directions)


def planned(
    space: Space, *, trials: int, seed: int, direction: Any, metric: Any, method: str, options: Options
) -> Plan:
    """Return the plan; raises InvalidInput with what is wrong, what was found and what can be."""
    _check_words(options)
    ordered = spaces.checked(space)
    if isinstance(trials, bool) or not isinstance(trials, int) or trials < 1:
        raise InvalidInput(f"A search of {trials!r} trials.", hint="At least one: trials=50.")
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise InvalidInput(f"The seed is {seed!r}.", hint="A whole number: seed=1.")
    metrics, directions = goals(direction, metric)
    pruner = options.get("pruner") or ""
    _one_of("method", method, METHODS)
    if pruner:
        _one_of("pruner", pruner, PRUNERS)
    if len(metrics) > 1 and (pruner or method in ONE_OBJECTIVE):
        what = f"the pruner {pruner!r}" if pruner else f"method={method!r}"
        raise InvalidInput(
            f"{len(metrics)} objectives and {what}.", hint="Several: nsga2, tpe, random or grid, and no pruner."
        )
    weights = _one_of("weights", options.get("weights", "auto"), WEIGHTS)
    warm = options.get("warm_start", ())
    return Plan(
        space=ordered,
        metrics=metrics,
        directions=directions,
        method=method,
        trials=trials,
        seed=seed,
        pruner=pruner,
        confirm=_confirm(options.get("confirm"), len(metrics)),
        rules=rules(options.get("stop"), objectives=len(metrics)),
        time_limit=_seconds("time_limit", options.get("time_limit")),
        trial_limit=_seconds("trial_limit", options.get("trial_limit")),
        weights=weights,
        start=_start(ordered, options.get("start", ())),
        warm=(warm,) if isinstance(warm, Study | str) else tuple(warm),
    )


def goals(direction: Any, metric: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return names and directions of the objectives: one, tuples of the same length, or {metric: direction}."""
    if isinstance(direction, Mapping):
        metric = metric or tuple(direction)
        names = (metric,) if isinstance(metric, str) else tuple(metric)
        if set(names) != set(direction):
            raise InvalidInput(f"The metrics are {names}, the directions are for {tuple(direction)}.", hint="The same.")
        direction = tuple(direction[name] for name in names)
    names = (metric,) if isinstance(metric, str) else tuple(metric or ())
    ways = (direction,) * len(names) if isinstance(direction, str) else tuple(direction or ())
    if not names or len(ways) != len(names) or len(set(names)) < len(names):
        raise InvalidInput(
            f"The metrics are {names}, the directions {ways}.", hint="Each metric once, and a direction for each."
        )
    for name in names:
        spaces.check_name(name, "a metric")
    for way in ways:
        if way not in ("higher", "lower"):
            raise InvalidInput(f"The direction is {way!r}.", hint="'higher' or 'lower': which way the metric is good.")
    return names, ways


def _check_words(options: Mapping[str, Any]) -> None:
    known = Options.__annotations__
    for word in options:
        if word not in known:
            near = get_close_matches(word, known, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(known)}."
            raise InvalidInput(f"search() has no {word!r}.", hint=hint)


def _one_of(what: str, given: Any, allowed: Sequence[str]) -> str:
    if given not in allowed:
        raise InvalidInput(f"There is no search with {what}={given!r}.", hint=f"One of {', '.join(allowed)}.")
    return str(given)


def _seconds(what: str, given: Any) -> float | None:
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int | float) or not (math.isfinite(given) and given > 0):
        raise InvalidInput(f"{what}={given!r}.", hint="Seconds above 0, such as 3600.")
    return float(given)


def _confirm(given: Any, objectives: int) -> Confirm | None:
    if given is None or given is False:
        return None
    found = Confirm(repeats=given) if isinstance(given, int) and not isinstance(given, bool) else given
    hint = "confirm=5, or confirm=Confirm(best=3, repeats=5): at least two repeats, a confidence between 0 and 1."
    if not isinstance(found, Confirm):
        raise InvalidInput(f"confirm={given!r}.", hint=hint)
    whole = (
        isinstance(found.best, int)
        and isinstance(found.repeats, int)
        and found.best >= 1
        and 2 <= found.repeats < FOLDS
    )
    if not whole or not 0 < found.confidence < 1 or not 0 <= found.test_share < 1:
        raise InvalidInput(f"{found} makes nothing sure.", hint=hint)
    if objectives > 1:
        raise InvalidInput(
            "A winner of several objectives is a matter of choice, so none can be confirmed.",
            hint="Search one objective, or repeat the trials of the front that you choose from.",
        )
    return found


def _start(space: Mapping[str, Domain | When], given: Any) -> tuple[Mapping[str, Any], ...]:
    found = []
    for params in given:
        fitting = spaces.fitting(space, params)
        odd = [name for name in params if name not in fitting]
        if odd:
            raise InvalidInput(
                f"The start {dict(params)!r} has {', '.join(map(repr, odd))} that the space does not allow there.",
                hint="Names and values within the space; what is left out is chosen.",
            )
        found.append(fitting)
    return tuple(found)
