"""Which hyper-parameters mattered."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ...ground.core.later import numpy as np
from ...ground.stats.two_sample import mid_ranks
from ..adapters import optuna
from ..domains import Choice, Domain, When
from ..records import Weights
from .asked import Plan
from .space import parts

_LEAST, _LEAST_OPTUNA, _MOST_FANOVA = 5, 20, 100


def weights(plan: Plan, trials: Sequence[tuple[Mapping[str, Any], float]]) -> Weights | None:
    """Return each parameter's share; None: it was not asked for, or there are fewer than five trials.

    By itself: fANOVA from 20 trials on, PED-ANOVA from 100 on (fANOVA's forest gets slow), below 20 the rank
    correlation of each parameter with the metric, which is a hint and no more.
    """
    how = plan.weights
    if how == "none" or len(trials) < _LEAST or len({value for _, value in trials}) == 1:
        return None
    if how == "auto":
        how = "rank" if len(trials) < _LEAST_OPTUNA else "fanova" if len(trials) < _MOST_FANOVA else "ped-anova"
    if how == "rank":
        shares = {name: _correlation(name, entry, trials) for name, entry in plan.space.items()}
        return Weights("rank correlation", len(trials), _shared(shares))
    found = optuna.weights(plan.space, trials, direction=plan.directions[0], how=how, seed=plan.seed)
    return Weights(how, len(trials), _shared(found))


def _shared(found: Mapping[str, float]) -> dict[str, float]:
    clean = {name: value if math.isfinite(value) and value > 0 else 0.0 for name, value in found.items()}
    total = sum(clean.values())
    ranked = sorted(clean.items(), key=lambda item: (-item[1], item[0]))
    return {name: value / total for name, value in ranked} if total > 0 else {}


def _correlation(name: str, entry: Domain | When, trials: Sequence[tuple[Mapping[str, Any], float]]) -> float:
    """Return Spearman's correlation squared; of a choice, the share of the ranks' variance between its options."""
    there = [(params[name], value) for params, value in trials if name in params]
    if len(there) < _LEAST:
        return 0.0
    ranks = mid_ranks(np.array([value for _, value in there], dtype=np.float64))
    spread = float(ranks.var())
    if spread == 0:
        return 0.0
    if isinstance(parts(entry)[0], Choice):
        given = [repr(option) for option, _ in there]
        return sum(_between(ranks, given, option) for option in set(given)) / (spread * len(there))
    own = mid_ranks(np.array([float(value) for value, _ in there]))
    return 0.0 if own.var() == 0 else float(np.corrcoef(own, ranks)[0, 1]) ** 2


def _between(ranks: Any, given: list[str], option: str) -> float:
    group = ranks[np.array([one == option for one in given])]
    return float(len(group) * (group.mean() - ranks.mean()) ** 2)
