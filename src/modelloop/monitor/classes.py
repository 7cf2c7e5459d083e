"""What a window says of single classes, by name: which is no longer found, which is answered more. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

EXPECTED = 5
"""Rows of a class that a window should have by its share at registration, for their absence to mean something."""


def named(names: Sequence[str], place: int) -> str:
    """Return the name of the class at a place; a place without a name is shown as its number."""
    return names[place] if 0 <= place < len(names) else str(place)


def found(names: Sequence[str], truth: Sequence[int], answered: Sequence[int]) -> tuple[str, dict[str, Any]]:
    """Say which class is found least often and what it is taken for; return that and the counts of every class."""
    rows = Counter(truth)
    right = Counter(one for one, other in zip(truth, answered, strict=True) if one == other)
    detail = {named(names, place): {"rows": rows[place], "found": right[place]} for place in sorted(rows)}
    if not rows:
        return "", detail
    worst = min(sorted(rows), key=lambda place: right[place] / rows[place])
    told = f"least often found: {named(names, worst)!r}, in {right[worst]} of {rows[worst]} rows"
    others = Counter(other for one, other in zip(truth, answered, strict=True) if one == worst != other)
    if others:
        place, count = min(others.items(), key=lambda item: (-item[1], item[0]))
        told += f"; {count} were taken for {named(names, place)!r}"
    return told, detail


def absent(names: Sequence[str], shape: Mapping[str, Any], truth: Sequence[int]) -> list[str]:
    """Return classes of which nothing is in the window, though at registration they were answered often enough for
    some rows: of them the window says nothing.
    """
    there = set(truth)
    shares = _shares(shape)
    return [
        named(names, place)
        for place, share in sorted(shares.items())
        if place not in there and share * len(truth) >= EXPECTED
    ]


def moved(names: Sequence[str], shape: Mapping[str, Any], answered: Sequence[int]) -> tuple[str, dict[str, Any]]:
    """Say which class's share of the answers moved most since registration; return that and both shares of every class.

    `shape`: of the scores in the profile (`evaluate.profile`), which are places of classes.
    """
    before = _shares(shape)
    counts, rows = Counter(answered), max(1, len(answered))
    now = {place: counts[place] / rows for place in counts}
    detail = {
        named(names, place): {"at registration": before.get(place, 0.0), "now": now.get(place, 0.0)}
        for place in sorted({*before, *now})
    }
    if not detail:
        return "", detail
    most = max(detail, key=lambda name: abs(detail[name]["now"] - detail[name]["at registration"]))
    both = detail[most]
    return (
        f"{most!r} is answered to {both['now']:.1%} of the rows, at registration to {both['at registration']:.1%}",
        detail,
    )


def _shares(shape: Mapping[str, Any]) -> dict[int, float]:
    """Return the share of each class among the answers at registration, by its place."""
    edges, shares = shape.get("edges") or [], shape.get("shares") or []
    # an edge belongs to the bin below it, and the first edge lies below the smallest value
    return {int(edges[at]): float(shares[at]) for at in range(1, len(edges))}
