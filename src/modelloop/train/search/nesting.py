"""Nested validation: what a search as a whole is worth, judged on rows that chose nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Unpack

from ...ground.core.errors import InvalidInput
from ...ground.stats.student import spread, t_value
from ..domains import Space
from ..parallel.crew import Objective
from ..records import Study
from .asked import Whole
from .calling import search


@dataclass(frozen=True, slots=True)
class Nested:
    """What came out of one search a fold."""

    values: tuple[float, ...]
    """What each fold's winner scored on the rows that its search did not see."""
    mean: float
    low: float
    high: float
    studies: tuple[Study, ...]

    def text(self) -> str:
        """Return the result in plain words; the gap says how much the searches' own scores flattered."""
        first = self.studies[0]
        own = [value for study in self.studies if (value := study.trial(study.best).value) is not None]
        return (
            f"{first.metric} {self.mean:.6g} (95 % interval {self.low:.6g} to {self.high:.6g}) on {len(self.values)} "
            f"folds that the searches did not see; their own best scores had a mean of {math.fsum(own) / len(own):.6g}."
        )


def nested(
    objective: Objective,
    judge: Callable[[Mapping[str, Any], int], float],
    space: Space,
    *,
    folds: int,
    test_share: float | None = None,
    **how: Unpack[Whole],
) -> Nested:
    """Search once a fold, and have `judge(params, fold)` score each winner on rows that the fold's search did not see.

    Keywords are those of `search`. The objective reads `trying.data["fold"]`, and keeps away from that fold's rows.
    `test_share` is the share of rows in a fold (default 1/folds): training rows of folds overlap, and the interval is
    widened for it (Nadeau and Bengio 2003).
    """
    if isinstance(folds, bool) or not isinstance(folds, int) or folds < 2:
        raise InvalidInput(f"Nested validation with {folds!r} folds.", hint="At least two: folds=5.")
    share = 1 / folds if test_share is None else test_share
    if not 0 <= share < 1:
        raise InvalidInput(f"test_share={test_share!r}.", hint="The share of rows in one fold, such as 0.2.")
    found = tuple(search(objective, space, **_of_fold(how, fold)) for fold in range(folds))
    values = tuple(float(judge(study.params, fold)) for fold, study in enumerate(found))
    mean = math.fsum(values) / folds
    reach = t_value(0.95, folds - 1) * spread(values) * math.sqrt(1 / folds + share / (1 - share))
    return Nested(values, mean, mean - reach, mean + reach, found)


def _of_fold(how: Whole, fold: int) -> Any:
    own: Whole = {**how, "data": {**how.get("data", {}), "fold": fold}}
    if "seed" in how:
        own["seed"] = how["seed"] + fold
    if how.get("name"):
        own["name"] = f"{how['name']}, fold {fold}"
    return own
