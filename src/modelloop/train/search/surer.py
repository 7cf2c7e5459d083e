"""How sure the winner is: intervals of fresh scores, and of the difference between the best two."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ...ground.stats.student import spread, t_value
from ..records import Repeated, Sureness
from .asked import Confirm


def sureness(scores: Mapping[int, Mapping[int, float]], *, asked: Confirm, sign: float, metric: str) -> Sureness | None:
    """Return what repeats say; `scores` are trial -> which repeat -> value. None: fewer than two for each.

    Each mean gets Student's interval, at a confidence divided by the number of trials repeated (Bonferroni), so that
    it holds for the one that comes first as well. The best two are compared repeat by repeat, since both had the same
    seed or fold. Where folds overlap, variances are raised by Nadeau and Bengio's factor (Machine Learning 52, 2003).
    """
    usable = {number: dict(found) for number, found in scores.items() if len(found) >= 2}
    how = "judged on rows the search did not see" if asked.judge else "repeated seeds"
    if not usable:
        return None
    level = 1 - (1 - asked.confidence) / len(usable)
    repeated = [_repeated(number, list(found.values()), level, asked) for number, found in usable.items()]
    repeated.sort(key=lambda one: (-sign * one.mean, one.number))
    difference, low, high = _difference(repeated, usable, sign, asked)
    sentence = _sentence(repeated, (difference, low, high), metric=metric, asked=asked)
    return Sureness(how, tuple(repeated), asked.confidence, difference, low, high, sentence)


def _repeated(number: int, values: list[float], level: float, asked: Confirm) -> Repeated:
    mean, low, high = _interval(values, level, asked.test_share)
    return Repeated(number, tuple(values), mean, low, high)


def _interval(values: Sequence[float], level: float, test_share: float) -> tuple[float, float, float]:
    count = len(values)
    mean = math.fsum(values) / count
    factor = 1 / count + test_share / (1 - test_share)
    reach = t_value(level, count - 1) * spread(values) * math.sqrt(factor)
    return mean, mean - reach, mean + reach


def _difference(
    repeated: Sequence[Repeated], scores: Mapping[int, Mapping[int, float]], sign: float, asked: Confirm
) -> tuple[float | None, float | None, float | None]:
    if len(repeated) < 2:
        return None, None, None
    first, second = (scores[one.number] for one in repeated[:2])
    both = sorted(set(first) & set(second))
    if len(both) < 2:
        return None, None, None
    values = [sign * (first[nth] - second[nth]) for nth in both]
    if _is_still(repeated):
        return math.fsum(values) / len(values), None, None
    return _interval(values, asked.confidence, asked.test_share)


def _is_still(repeated: Sequence[Repeated]) -> bool:
    """Say whether no repeat differed from another: the objective looks at no seed."""
    return all(max(one.values) == min(one.values) for one in repeated)


def _sentence(
    repeated: Sequence[Repeated],
    compared: tuple[float | None, float | None, float | None],
    *,
    metric: str,
    asked: Confirm,
) -> str:
    first = repeated[0]
    what = "folds that the search did not see" if asked.judge else "fresh seeds"
    if _is_still(repeated):
        return (
            f"Trial {first.number} gave the same {metric} of {first.mean:.6g} each time: that shows nothing about how "
            "sure it is. Let the objective use trying.seed, or judge on other rows: confirm=Confirm(judge=...)."
        )
    told = (
        f"With {len(first.values)} {what}, trial {first.number} has a mean {metric} of {first.mean:.6g} "
        f"({asked.confidence:.0%} interval {first.low:.6g} to {first.high:.6g})."
    )
    difference, low, high = compared
    if difference is None or low is None or high is None:
        return told
    other = f"trial {repeated[1].number} by {difference:.3g} ({low:.3g} to {high:.3g})"
    if low > 0:
        return f"{told} It is better than {other}."
    return f"{told} No difference shown: it is ahead of {other}, which may be luck."
