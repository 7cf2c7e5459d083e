"""When a search should end before its last trial: enough is found, nothing better comes, or better is not worth it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ...ground.core.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Seen:
    """What a rule looks at: the values of the trials that were carried out to their end, the higher the better."""

    values: tuple[float, ...]
    seconds: tuple[float, ...]
    """What each of all trials took, the pruned and failed ones included."""
    sign: float
    """-1 where the metric is the better the lower it is: values were turned round."""


class Rule(Protocol):
    """Looks at what was found so far; returns why the search should end, or nothing."""

    def reason(self, seen: Seen) -> str:
        """Return why the search should end; empty: it should go on."""
        ...


@dataclass(frozen=True, slots=True)
class Target:
    """End once a trial is as good as this."""

    value: float

    def reason(self, seen: Seen) -> str:
        """Return why the search should end."""
        if not seen.values or max(seen.values) < self.value * seen.sign:
            return ""
        return f"Ended at its target: {max(seen.values) * seen.sign:.6g} reaches {self.value:g}."


@dataclass(frozen=True, slots=True)
class Plateau:
    """End once so many trials in a row brought no gain of at least `gain`."""

    trials: int
    gain: float = 0.0

    def reason(self, seen: Seen) -> str:
        """Return why the search should end."""
        if len(seen.values) <= self.trials:
            return ""
        before, best = max(seen.values[: -self.trials]), max(seen.values)
        if best - before > self.gain:
            return ""
        return (
            f"Ended on a plateau: {self.trials} trials brought {best - before:.3g}, at most {self.gain:g} was to pass."
        )


@dataclass(frozen=True, slots=True)
class Worth:
    """End once the gain to be expected of one more trial is worth less than the trial costs.

    With draws from one distribution and the best kept, no rule does better than this one: go on while
    `E[max(X - best, 0)] * value > price * seconds` (Weitzman 1979, Econometrica 47; MacQueen and Miller 1960). The
    expectation comes from the best of the last trials: beyond a high threshold u, excesses are about exponential
    (Pickands 1975, Annals of Statistics 3), so with k of n values above u, b their mean excess,
    `E = k/n * b * exp(-(best - u)/b)`, and never less than `b / (n + 1)`, what the next of n such draws adds to their
    highest on average (Rényi 1953): one lucky trial must not end the search. Metrics end somewhere (an accuracy at 1),
    so this rather expects too much, and the search rather goes on. A method that learns draws better values with time:
    only the last half counts (at least `least`).
    """

    price: float
    """What a second of a trial costs."""
    value: float
    """What the metric's improvement by 1 is worth, in the same money."""
    least: int = 20
    """Trials before it has a say."""

    def reason(self, seen: Seen) -> str:
        """Return why the search should end."""
        if len(seen.values) < self.least:
            return ""
        window = seen.values[-max(self.least, len(seen.values) // 2) :]
        expected = expected_gain(window, max(seen.values))
        recent = seen.seconds[-len(window) :]
        cost = self.price * sum(recent) / len(recent)
        if expected * self.value > cost:
            return ""
        return (
            f"Ended because it is not worth it: one more trial would gain about {expected:.3g}, "
            f"worth {expected * self.value:.3g}, and cost {cost:.3g}."
        )


def worth(*, price: float, value: float, least: int = 20) -> Worth:
    """End once one more trial is not worth its cost: `price` per second, `value` per unit of the metric."""
    return Worth(price, value, least)


def plateau(trials: int, gain: float = 0.0) -> Plateau:
    """End once `trials` in a row brought no more than `gain`."""
    return Plateau(trials, gain)


def target(value: float) -> Target:
    """End once a trial reaches `value`."""
    return Target(value)


def expected_gain(values: Sequence[float], best: float) -> float:
    """Return the mean of what the next value exceeds the best by (nothing, where it does not)."""
    ordered = sorted(values, reverse=True)
    count = max(3, math.isqrt(len(ordered)))
    if len(ordered) <= count:
        return math.inf
    threshold = ordered[count]
    excess = sum(value - threshold for value in ordered[:count]) / count
    if excess <= 0:
        return 0.0
    beyond = count / len(ordered) * excess * math.exp(-(best - threshold) / excess)
    return max(beyond, excess / (len(ordered) + 1))


def rules(given: Rule | Sequence[Rule] | None, *, objectives: int) -> tuple[Rule, ...]:
    """Return the rules as a tuple; raises InvalidInput for what is none, or cannot be."""
    several = given if isinstance(given, Sequence) else [] if given is None else [given]
    found: tuple[Rule, ...] = tuple(several)
    for rule in found:
        _check(rule)
    if found and objectives > 1:
        raise InvalidInput(
            "A rule to stop by needs one objective: of several, no single number is the best.",
            hint="Give time_limit=SECONDS, or fewer trials.",
        )
    return found


def _check(rule: object) -> None:
    hint = "stop=worth(price=.001, value=100), plateau(20, gain=.001) or target(.9), or several of them."
    if not callable(getattr(rule, "reason", None)):
        raise InvalidInput(f"{str(rule)[:60]!r} is no rule to stop by.", hint=hint)
    numbers: list[float] = []
    if isinstance(rule, Worth):
        numbers = [rule.price, rule.value, rule.least - 4.0]
    elif isinstance(rule, Plateau):
        numbers = [rule.trials - 1.0, rule.gain]
    elif isinstance(rule, Target):
        numbers = [abs(rule.value)]
    if not all(math.isfinite(number) and number >= 0 for number in numbers):
        raise InvalidInput(f"{rule} cannot be followed.", hint=f"Prices, values and gains are finite, from 0. {hint}")
