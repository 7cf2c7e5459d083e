"""What a window says: pass, fail, or missing evidence. Pure.

Quality fails only where even the good end of the interval of the loss since registration lies beyond what is tolerated.
Both values are uncertain, the one at registration too: half-widths add as squares. The k-th interval of a version
has the level spend(alpha, k), so the chance of any false alert over its life is at most alpha.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..evaluate.records import Direction, Score
from ..ground.core.errors import EvidenceMissing
from ..ground.core.records import Verdict
from ..ground.stats.interval import z_value

SHOWN = 3
"""Drifting inputs named in a reason."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A signal's answer before it has a place and time."""

    verdict: Verdict
    reason: str
    rows: int
    value: float | None = None
    low: float | None = None
    high: float | None = None
    bound: float | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


def missing(rows: int, reason: str) -> Reading:
    """Return missing evidence: neither yes nor no."""
    return Reading(Verdict.MISSING, reason, rows)


def quality(
    score: Score,
    direction: Direction,
    *,
    reference: Score,
    tolerance: float,
    detail: Mapping[str, Any],
    told: str = "",
) -> Reading:
    """Judge live quality against the score at registration. Raises EvidenceMissing where that has no interval.

    `told`: what else a person should read, such as which class it is about.
    """
    if score.low is None or score.high is None or score.value is None:
        return missing(score.rows, f"{score.rows} labelled answers do not give {score.metric} an interval.")
    if reference.low is None or reference.high is None or reference.value is None:
        raise EvidenceMissing(f"There is no interval of {score.metric} from registration to compare with.")
    widen = z_value(score.confidence) / z_value(reference.confidence)
    before = (reference.high - reference.low) / 2 * widen
    higher = direction is Direction.HIGHER
    now = score.high - score.value if higher else score.value - score.low
    good_end = score.value + math.hypot(now, before) * (1 if higher else -1)
    bound = reference.value - tolerance if higher else reference.value + tolerance
    failed = good_end < bound if higher else good_end > bound
    reason = (
        f"{score.metric} is {score.value:.3f} (between {score.low:.3f} and {score.high:.3f}) on {score.rows} labelled "
        f"answers; at registration it was {reference.value:.3f} (between {reference.value - before:.3f} and "
        f"{reference.value + before:.3f}), and {tolerance:g} worse is tolerated" + (f"; {told}" if told else "")
    )
    verdict = Verdict.FAIL if failed else Verdict.PASS
    return Reading(verdict, reason, score.rows, score.value, score.low, score.high, bound, detail)


def drift(
    distances: Mapping[str, float],
    *,
    threshold: float,
    rows: int,
    what: str,
    told: str = "",
    more: Mapping[str, Any] | None = None,
) -> Reading:
    """Judge how far the largest of the distances (PSI) lies from what was seen at registration.

    `told`, `more`: what else a person should read, and its numbers.
    """
    if not distances:
        return missing(rows, f"There is nothing to compare {what} with.")
    order = sorted(distances, key=lambda name: -distances[name])
    value = distances[order[0]]
    beyond = [f"{name} {distances[name]:.2f}" for name in order if distances[name] > threshold]
    named = ", ".join(beyond[:SHOWN]) + (f" and {len(beyond) - SHOWN} more" if len(beyond) > SHOWN else "")
    reason = f"PSI of {what} on {rows} rows: " + (
        f"{named}, above {threshold:g}" if beyond else f"at most {value:.2f} ({order[0]}), below {threshold:g}"
    )
    reason += f"; {told}" if told else ""
    verdict = Verdict.FAIL if beyond else Verdict.PASS
    detail = {name: distances[name] for name in order} | dict(more or {})
    return Reading(verdict, reason, rows, value, None, None, threshold, detail)
