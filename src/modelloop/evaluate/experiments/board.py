"""The leaderboard: who is first, and which of the others are behind by more than noise.

The one at the top was picked because it came out highest, and might have been any: each comparison with it is held as
one of all k(k-1)/2 pairs (Bonferroni). With fifty entries that are all the same, the top one is then called better than
any of them at most once in twenty boards.

With repeats of three entries or more, their spread is taken to be the same and estimated from all of them (one-way
analysis of variance; where all have the same seeds or folds, what those have in common is taken out first, two-way):
three seeds alone say little about a spread, three seeds of ten entries much.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ...ground.core.errors import InvalidInput
from ...ground.stats.student import spread, t_value, welch
from ...train.tracking.records import TrackedRun
from ..records import Direction
from .entries import entries_of, paired
from .records import Basis, Board, Entry, Estimate, Gap, Headline, Line, Standing

_NORMAL = 1e6
"""Degrees of freedom with which Student's t is the normal distribution."""
_SHOWN = 3


def board(runs: Sequence[TrackedRun], headline: Headline, *, confidence: float = 0.95) -> Board:
    """Rank the runs' entries by the headline metric; entries without a value come last."""
    if not 0.5 <= confidence < 1:
        raise InvalidInput(f"A confidence of {confidence}.", hint="From 0.5 to below 1, for instance 0.95.")
    entries = entries_of(runs, headline, confidence)
    sign = 1.0 if headline.direction is Direction.HIGHER else -1.0
    valued = sorted((e for e in entries if e.estimate), key=lambda e: -sign * e.estimate.value if e.estimate else 0.0)
    missing = [entry for entry in entries if entry.estimate is None]
    lines = list(_lines(valued, sign, confidence))
    lines += [Line(len(valued) + n, entry, Standing.MISSING, None) for n, entry in enumerate(missing, 1)]
    return Board(headline, tuple(lines), confidence, _verdict(lines, headline))


@dataclass(frozen=True, slots=True)
class _Spread:
    """The spread of one repeat, as all entries with repeats have it."""

    variance: float
    freedom: float
    basis: Basis


def gap(top: Estimate, other: Estimate, sign: float, confidence: float, spread_of_all: _Spread | None = None) -> Gap:
    """Return how far `other` is behind `top`, with the interval that the evidence of both allows."""
    difference = sign * (top.value - other.value)
    found = _error(top, other, spread_of_all)
    if found is None:
        return Gap(difference, None, None, Basis.NONE)
    error, freedom, basis = found
    half = t_value(confidence, freedom) * error
    return Gap(difference, difference - half, difference + half, basis)


def _error(top: Estimate, other: Estimate, shared: _Spread | None) -> tuple[float, float, Basis] | None:
    """Return standard error and degrees of freedom of the difference, and what they rest on."""
    if min(len(top.repeats), len(other.repeats)) > 1:
        if shared is not None:
            each = 1 / len(top.repeats) + 1 / len(other.repeats)
            return math.sqrt(shared.variance * each), shared.freedom, shared.basis
        if set(top.repeats) == set(other.repeats):
            pairs = paired(top.repeats, other.repeats)
            return spread(pairs) / math.sqrt(len(pairs)), len(pairs) - 1, Basis.PAIRS
        return (*welch(list(top.repeats.values()), list(other.repeats.values())), Basis.REPEATS)
    errors = [_logged_error(one) for one in (top, other)]
    if None in errors:
        return None
    # two intervals on the same rows, as if on different ones: wider than need be where models err on the same rows
    return math.sqrt(sum(e * e for e in errors if e is not None)), _NORMAL, Basis.LOGGED


def _shared(entries: Sequence[Entry]) -> _Spread | None:
    """Return the spread that three or more entries with repeats show together; None: there are fewer."""
    groups = [e.estimate.repeats for e in entries if e.estimate is not None and len(e.estimate.repeats) > 1]
    if len(groups) < 3:
        return None
    residuals = [{mark: v - _mean(group.values()) for mark, v in group.items()} for group in groups]
    same = all(set(group) == set(groups[0]) for group in groups)
    if same:
        common = {mark: _mean([group[mark] for group in residuals]) for mark in groups[0]}
        residuals = [{mark: v - common[mark] for mark, v in group.items()} for group in residuals]
    repeats = sum(len(group) - 1 for group in groups)
    freedom = (len(groups) - 1) * (len(groups[0]) - 1) if same else repeats
    total = math.fsum(v * v for group in residuals for v in group.values())
    return _Spread(total / freedom, freedom, Basis.PAIRS if same else Basis.REPEATS)


def _mean(values: Collection[float]) -> float:
    return math.fsum(values) / len(values)


def _lines(entries: Sequence[Entry], sign: float, confidence: float) -> list[Line]:
    if not entries:
        return []
    top, others = entries[0], entries[1:]
    each = 1 - (1 - confidence) / max(len(entries) * len(others) / 2, 1)
    shared = _shared(entries)
    lines = [Line(1, top, Standing.FIRST, None)]
    for place, entry in enumerate(others, 2):
        assert top.estimate is not None, "only entries with a value are ranked"
        assert entry.estimate is not None, "as above"
        found = gap(top.estimate, entry.estimate, sign, each, shared)
        lines.append(Line(place, entry, _standing(found), found))
    return lines


def _standing(found: Gap) -> Standing:
    if found.low is None:
        return Standing.UNKNOWN
    return Standing.WORSE if found.low > 0 else Standing.NOISE


def _logged_error(estimate: Estimate) -> float | None:
    """Return the standard error that an interval at 95 % stands for."""
    if estimate.low is None or estimate.high is None:
        return None
    if estimate.basis is Basis.REPEATS:
        return spread(list(estimate.repeats.values())) / math.sqrt(len(estimate.repeats))
    return (estimate.high - estimate.low) / (2 * t_value(0.95, _NORMAL))


def _verdict(lines: Sequence[Line], headline: Headline) -> str:
    ranked = [line for line in lines if line.standing is not Standing.MISSING]
    if not ranked:
        return f"No run has a value of {headline.metric}."
    name = _called(ranked[0].entry)
    if len(ranked) == 1:
        return f"{name} is the only one with a value of {headline.metric}."
    close = [line.entry for line in ranked[1:] if line.standing is Standing.NOISE]
    unknown = [line for line in ranked[1:] if line.standing is Standing.UNKNOWN]
    if len(unknown) == len(ranked) - 1:
        return (
            f"{name} comes first, but nothing says how far these numbers would move with another seed: "
            "repeat the best ones with other seeds, or log intervals (NAME.low and NAME.high)."
        )
    told = f"{name} comes first."
    if close:
        listed = ", ".join(_called(entry) for entry in close[:_SHOWN])
        more = f" and {len(close) - _SHOWN} more" if len(close) > _SHOWN else ""
        told += f" No difference is shown to {listed}{more}: take the simplest or cheapest of them."
    elif not unknown:
        told += " It is better than every other by more than noise."
    if unknown:
        told += f" Of {len(unknown)} others nothing can be said: they were run once, without an interval."
    return told + _other_data([line.entry for line in ranked])


def _other_data(entries: Sequence[Entry]) -> str:
    """Say what no interval knows: models that were judged on other rows."""
    others = sum(bool(entry.data) and entry.data != entries[0].data for entry in entries[1:]) if entries[0].data else 0
    if not others:
        return ""
    return f" But {others} of the others were given other data: there the rows may differ, not the models."


def _called(entry: Entry) -> str:
    return entry.name or entry.runs[0]
