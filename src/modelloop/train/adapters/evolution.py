"""CMA-ES (Hansen 2016) by the package that Optuna uses for it, too; its state is worked out from the trials each time.

Optuna keeps the optimiser's state as a pickle in the trials. Here a trial keeps its place in the unit cube and the
number of its generation; telling the generations again gives the same optimiser, in any process.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ...ground.core.errors import InvalidInput
from ...ground.core.later import needed
from ...ground.core.later import numpy as np
from ..domains import Choice, Domain, Integer, Space, When
from ..studies.records import derived

_SIGMA = 1 / 6
_LEAST_DIMENSIONS = 2
"""The package's own bound; a search over one number gets a second that means nothing."""


class Evolution:
    """Asks for points of the unit cube, a generation at a time. Choices are drawn at random: they have no order."""

    def __init__(self, space: Space, *, direction: str, seed: int) -> None:
        self._space, self._seed = space, seed
        self._sign = -1.0 if direction == "higher" else 1.0
        self._numbers = [name for name, entry in space.items() if not isinstance(_domain(entry), Choice)]
        if not self._numbers:
            raise InvalidInput("CMA-ES moves numbers, and the space has choices only.", hint="method='tpe'.")
        self._generation = 0
        self._told: list[tuple[Any, float]] = []
        self._begin()

    def _begin(self) -> None:
        width = max(len(self._numbers), _LEAST_DIMENSIONS)
        random = np.random.default_rng(derived(self._seed, "cma", self._generation))
        mean = random.random(width) if self._generation else np.full(width, 0.5)
        bounds = np.array([[0.0, 1.0]] * width)
        cma = needed("cmaes", "ml").CMA
        self._optimiser = cma(mean=mean, sigma=_SIGMA, bounds=bounds, seed=derived(self._seed, "first"))

    def ask(self, seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return a trial's parameters, and what is to be kept beside it."""
        self._optimiser.reseed_rng(seed)
        place = [float(number) for number in self._optimiser.ask()]
        random = np.random.default_rng(seed)
        params: dict[str, Any] = {}
        for name, entry in self._space.items():
            domain = _domain(entry)
            if isinstance(domain, Choice):
                drawn = domain.options[int(random.integers(len(domain.options)))]
            else:
                drawn = at(domain, place[self._numbers.index(name)])
            if not isinstance(entry, When) or all(params.get(on, _NOTHING) in are for on, are in entry.conditions):
                params[name] = drawn
        return params, {"cma": self._generation, "place": place}

    def tell(self, value: float, attrs: Mapping[str, Any]) -> None:
        """Learn what came out at a place of the present generation; late ones of earlier generations are left out."""
        if attrs.get("cma") != self._generation:
            return
        self._told.append((np.array(attrs["place"]), self._sign * value))
        if len(self._told) < self._optimiser.population_size:
            return
        self._optimiser.tell(self._told)
        self._told = []
        self._generation += 1
        if self._optimiser.should_stop():  # it has drawn itself together: begin again elsewhere
            self._begin()


_NOTHING: Sequence[Any] = ()


def at(domain: Domain, place: float) -> int | float:
    """Return the number of a domain at a place between 0 and 1."""
    assert not isinstance(domain, Choice)
    low, high = float(domain.low), float(domain.high)
    whole = isinstance(domain, Integer)
    if whole:  # each whole number gets as much room as any other
        low, high = low - 0.5, high + 0.5
    if domain.log:
        found = math.exp(math.log(low) + place * (math.log(high) - math.log(low)))
    else:
        found = low + place * (high - low)
    if whole:
        return min(max(round(found), int(domain.low)), int(domain.high))
    return min(max(found, low), high)


def _domain(entry: Domain | When) -> Domain:
    return entry.domain if isinstance(entry, When) else entry
