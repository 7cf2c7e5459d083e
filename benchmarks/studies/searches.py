"""One search of a table: what `modelloop.train.search` finds, by what it has cost so far."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from modelloop.train.domains import Domain, choice
from modelloop.train.search import search

from .tables import Table

TRIALS = 100
METHODS = {
    "random": "random search",
    "grid": "a coarse grid",
    "tpe": "TPE",
    "gp": "Gaussian process",
    "cmaes": "CMA-ES",
    "nsga2": "NSGA-II",
    "hyperband": "random + Hyperband",
}


def suits(method: str, table: Table) -> bool:
    """Say whether a method can search a table: CMA-ES moves numbers, and knows no order of words."""
    return method != "cmaes" or any(not isinstance(each[0], str) for each in table.options.values())


def searched(table: Table, method: str, seed: int) -> tuple[np.ndarray, float]:
    """Return the regret after as much work as 1, 2, ... trials of all seeds, and the CPU seconds of the search itself.

    A trial's score is the mean over the table's seeds, each of which is a training. Hyperband may end a trial after
    fewer: it gets as many trainings as the others, and more trials.
    """
    budget = TRIALS
    spent: list[int] = []
    means: list[float] = []

    def objective(trying: Any) -> float:
        losses = table.trainings(trying)
        spent.append(0)
        means.append(float("inf"))
        for step in range(1, len(losses) + 1):
            spent[-1] = step
            if method == "hyperband" and step < len(losses):
                trying.report(step, float(losses[:step].mean()))
        means[-1] = float(losses.mean())
        return means[-1]

    banded = method == "hyperband"
    before = time.process_time()
    search(
        objective,
        grid(table, budget, seed) if method == "grid" else table.space,
        trials=3 * budget if banded else budget,
        seed=seed,
        direction="lower",
        metric="loss",
        method="random" if banded else method,
        pruner="hyperband" if banded else None,
        weights="none",
    )
    cpu = (time.process_time() - before) / len(spent)
    return regrets(table, np.array(means), np.array(spent), budget), cpu


def regrets(table: Table, means: np.ndarray, spent: np.ndarray, budget: int) -> np.ndarray:
    """Return the regret of the best trial that was whole after 1, 2, ... `budget` trials' trainings."""
    done = np.cumsum(spent)
    best = np.minimum.accumulate(means)
    found = np.searchsorted(done, np.arange(1, budget + 1) * table.seeds, side="right") - 1
    return np.array([table.regret(best[index]) if index >= 0 else np.nan for index in found])


def grid(table: Table, trials: int, seed: int) -> Mapping[str, Domain]:
    """Return a grid such as a person lays who may try `trials` points: a few levels for each parameter, evenly spaced.

    Which parameters get one level more, and which words are among the few, is drawn anew for each seed.
    """
    chance = np.random.default_rng(seed)
    names = list(table.options)
    levels = dict.fromkeys(names, 1)
    order = [names[index] for index in chance.permutation(len(names))]
    grows = True
    while grows:
        grows = False
        for name in order:
            more = levels | {name: levels[name] + 1}
            if levels[name] < len(table.options[name]) and np.prod(list(more.values())) <= trials:
                levels, grows = more, True
    return {name: choice(*_levels(table.options[name], count, chance)) for name, count in levels.items()}


def _levels(options: tuple[Any, ...], count: int, chance: np.random.Generator) -> list[Any]:
    if isinstance(options[0], str):
        return [options[index] for index in sorted(chance.choice(len(options), count, replace=False).tolist())]
    return sorted({int((step + 0.5) / count * len(options)) for step in range(count)})
