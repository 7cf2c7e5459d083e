"""Runs to entries: those that differ in nothing but seed or fold are repeats of one thing."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from ...ground.stats.student import t_interval
from ...train.tracking.records import TrackedRun
from .records import Basis, Entry, Estimate, Headline

REPEATED = ("seed", "random_state", "random_seed", "fold", "repeat", "cv_fold", "data_seed")
"""Parameters (also as the end of `model__random_state`) that make a run a repeat of another, not another idea."""


def is_repeat(name: str) -> bool:
    """Say whether a parameter only tells repeats apart."""
    last = name.lower().replace("__", ".").replace("/", ".").rsplit(".", 1)[-1]
    return last in REPEATED


def differing(runs: Sequence[TrackedRun]) -> tuple[str, ...]:
    """Return the parameters in which the runs differ, seeds and folds aside, sorted."""
    names = {name for run in runs for name in run.params if not is_repeat(name)}
    return tuple(sorted(name for name in names if len({run.params.get(name) for run in runs}) > 1))


def entries_of(runs: Sequence[TrackedRun], headline: Headline, confidence: float = 0.95) -> tuple[Entry, ...]:
    """Return one entry for each setting of the parameters, in the order of its first run.

    Runs without any parameter are each an entry of their own: nothing says that they are repeats.
    """
    shown = differing(runs)
    groups: dict[object, list[TrackedRun]] = defaultdict(list)
    for run in runs:
        fixed = tuple(sorted((n, v) for n, v in run.params.items() if not is_repeat(n)))
        groups[fixed or run.id].append(run)
    return tuple(_entry(group, shown, headline, confidence) for group in groups.values())


def estimate_of(runs: Sequence[TrackedRun], metric: str, confidence: float = 0.95) -> Estimate | None:
    """Return the mean of the metric over repeats with its interval; of one run, the interval that it logged."""
    values = {_mark(run): run.metrics[metric].value for run in runs if _has(run, metric)}
    if not values:
        return None
    if len(values) > 1:
        listed = list(values.values())
        low, high = t_interval(listed, confidence)
        return Estimate(math.fsum(listed) / len(listed), low, high, Basis.REPEATS, values)
    run = next(run for run in runs if _has(run, metric))
    ends = [
        run.metrics[f"{metric}{end}"].value if f"{metric}{end}" in run.metrics else None for end in (".low", ".high")
    ]
    logged = all(end is not None and math.isfinite(end) for end in ends)
    basis = Basis.LOGGED if logged else Basis.NONE
    low_end, high_end = ends if logged else (None, None)
    return Estimate(run.metrics[metric].value, low_end, high_end, basis, values)


def _entry(runs: Sequence[TrackedRun], shown: Iterable[str], headline: Headline, confidence: float) -> Entry:
    first = runs[0]
    names = dict.fromkeys(name for run in runs for name in run.metrics)
    means = {name: _mean([run.metrics[name].value for run in runs if name in run.metrics]) for name in names}
    params = {name: first.params[name] for name in shown if name in first.params}
    estimate = estimate_of(runs, headline.metric, confidence)
    data = sorted({f"{one.name} {one.digest}" for run in runs for one in run.inputs})
    return Entry(tuple(run.id for run in runs), first.name, params, estimate, means, tuple(data))


def _has(run: TrackedRun, metric: str) -> bool:
    return metric in run.metrics and math.isfinite(run.metrics[metric].value)


def _mark(run: TrackedRun) -> str:
    """Return what tells a repeat from the others: its seeds and folds, or the run itself."""
    told = [f"{name}={value}" for name, value in sorted(run.params.items()) if is_repeat(name)]
    return ", ".join(told) or run.id


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def paired(first: Mapping[str, float], second: Mapping[str, float]) -> list[float]:
    """Return first minus second for each seed or fold that both have."""
    return [first[mark] - second[mark] for mark in first if mark in second]
