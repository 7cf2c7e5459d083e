"""Several metrics at once, and the best of each group."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from ...ground.core.errors import InvalidInput, NotFound
from ...train.tracking.records import TrackedRun
from ..records import Direction
from .entries import entries_of
from .records import Entry, Front, Group, Headline


def front(runs: Sequence[TrackedRun], metrics: Sequence[Headline]) -> Front:
    """Return the entries that no other beats: as good in every metric and better in one (Pareto).

    Entries without one of the metrics are left out. Equal entries are all on the front.
    """
    if len(metrics) < 2:
        raise InvalidInput("A front needs two metrics or more.", hint="Of one metric, look at the leaderboard.")
    names = [one.metric for one in metrics]
    found = [entry for entry in entries_of(runs, metrics[0]) if all(_finite(entry, name) for name in names)]
    if not found:
        raise NotFound(f"No run has all of {', '.join(names)}.")
    signs = [1.0 if one.direction is Direction.HIGHER else -1.0 for one in metrics]
    values = {id(entry): [s * entry.metrics[n] for s, n in zip(signs, names, strict=True)] for entry in found}
    # with the best of the first metric first, an entry can only be beaten by one before it
    ordered = sorted(found, key=lambda entry: values[id(entry)], reverse=True)
    kept: list[Entry] = []
    for entry in ordered:
        mine = values[id(entry)]
        if not any(_beats(values[id(other)], mine) for other in kept):
            kept.append(entry)
    return Front(tuple(metrics), tuple(kept), len(found) - len(kept))


def best_by(runs: Sequence[TrackedRun], headline: Headline, by: str) -> tuple[Group, ...]:
    """Return the best entry for each value of the parameter or tag `by`, the best group first."""
    groups: dict[str, list[TrackedRun]] = defaultdict(list)
    for run in runs:
        value = run.params.get(by, run.tags.get(by))
        if value is not None:
            groups[value].append(run)
    if not groups:
        known = sorted({name for run in runs for name in run.params})[:12]
        raise NotFound(f"No run has a parameter or tag {by!r}.", hint=f"Parameters: {', '.join(known) or 'none'}.")
    sign = 1.0 if headline.direction is Direction.HIGHER else -1.0
    found = []
    for value, members in groups.items():
        entries = [entry for entry in entries_of(members, headline) if entry.estimate is not None]
        if entries:
            best = max(entries, key=lambda entry: sign * entry.estimate.value if entry.estimate else 0.0)
            found.append(Group(value, best, len(entries)))
    return tuple(sorted(found, key=lambda one: -sign * (one.best.estimate.value if one.best.estimate else 0.0)))


def _finite(entry: Entry, metric: str) -> bool:
    value = entry.metrics.get(metric)
    return value is not None and abs(value) < float("inf")


def _beats(first: Sequence[float], second: Sequence[float]) -> bool:
    return all(a >= b for a, b in zip(first, second, strict=True)) and list(first) != list(second)
