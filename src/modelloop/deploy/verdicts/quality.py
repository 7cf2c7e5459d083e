"""The loss: surely below the bound, surely above it, or not known yet; in the whole and slice by slice."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ...ground.stats.bernstein import bernstein_running, mixture_sprt
from ...ground.stats.sequential import spend
from ...ground.stats.wagers import evidence_above, evidence_below, matched_differences, pace, running_mean_bounds
from ..settings import Goal, RolloutSettings
from .given import BETTER, NOT_YET, WORSE, Evidence, Losses, SliceLosses

MOST_SLICES = 100
"""Slices that are guarded, in the order in which their first outcomes arrived."""
_RANGE = {"lower": -1.0, "upper": 1.0}
"""Of the difference of two losses."""


@dataclass(frozen=True, slots=True)
class Quality:
    """What is known of the difference of the two versions' losses."""

    decision: str
    said: str
    numbers: dict[str, Any]
    requests: int
    """Differences it rests on."""
    to_go: float | None
    """About how many more such differences a decision takes; None: they point nowhere."""


def bound_of(policy: RolloutSettings) -> float:
    """Return what the challenger's mean loss less the champion's must surely be below."""
    return policy.margin if policy.goal is Goal.NOT_WORSE else -policy.margin


def judge_loss(evidence: Evidence, policy: RolloutSettings, *, false_alarm: float) -> Quality:
    """Compare the losses: on the same requests where there are pairs, else on requests that came one after another."""
    values = evidence.pairs if len(evidence.pairs) else matched_differences(
        evidence.challenger_losses, evidence.champion_losses, evidence.challenger_at, evidence.champion_at
    )  # fmt: skip
    bound = bound_of(policy)
    if not len(values):
        late = f" (outcomes count {policy.outcome_hours:g} hours after their request)" if policy.outcome_hours else ""
        said = f"No outcome is known yet of requests that both versions can be judged by{late}"
        return Quality(NOT_YET, said, {}, 0, None)
    below, above = evidence_below(values, bound, **_RANGE), evidence_above(values, bound, **_RANGE)
    wins, loses = -math.log(policy.false_promotion), -math.log(false_alarm)
    decision = BETTER if below >= wins else WORSE if above >= loses else NOT_YET
    numbers = _numbers(values, policy, false_alarm)
    to_go = min(
        _left(wins - below, pace(-values, -bound, **_RANGE)), _left(loses - above, pace(values, bound, **_RANGE))
    )
    said = _said(evidence, numbers, policy)
    return Quality(decision, said, numbers, len(values), to_go if math.isfinite(to_go) else None)


def judge_slices(
    evidence: Evidence, policy: RolloutSettings, *, false_alarm: float
) -> tuple[str | None, dict[str, Any]]:
    """Return why the challenger is surely worse somewhere, or None; the k-th slice has the k-th share of the chance."""
    worst: dict[str, Any] = {}
    for place, (name, found) in enumerate(list(evidence.slices.items())[:MOST_SLICES], 1):
        values = _of(found)
        if not len(values):
            continue
        mean = float(values.mean())
        if not worst or mean > worst["difference"]:
            worst = {"slice": name, "difference": mean, "requests": len(values)}
        proof = evidence_above(values, policy.slice_margin, **_RANGE)
        if proof >= -math.log(spend(false_alarm, place)):
            low, _ = running_mean_bounds(values, **_RANGE, alpha_low=spend(false_alarm, place), alpha_high=0.5)
            reason = (
                f"Where {name}, the challenger's mean loss on {len(values)} requests is {mean:+.4f} from the "
                f"champion's and surely at least {low:+.4f}; {policy.slice_margin:g} is allowed in a slice."
            )
            return reason, {"slices": len(evidence.slices), "worst_slice": worst | {"slice": name, "low": low}}
    numbers = {"slices": len(evidence.slices), "worst_slice": worst or None}
    return None, numbers | ({"slices_unguarded": more} if (more := len(evidence.slices) - MOST_SLICES) > 0 else {})


def _of(found: SliceLosses) -> Losses:
    if len(found.pairs):
        return found.pairs
    return matched_differences(found.challenger, found.champion, found.challenger_at, found.champion_at)


def _numbers(values: Losses, policy: RolloutSettings, false_alarm: float) -> dict[str, Any]:
    low, high = running_mean_bounds(values, **_RANGE, alpha_low=false_alarm, alpha_high=policy.false_promotion)
    other = bernstein_running(values, **_RANGE, alpha=2 * min(false_alarm, policy.false_promotion), tuned_for=1.0)
    return {
        "difference": float(values.mean()),
        "low": low,
        "high": high,
        "margin": policy.margin,
        "goal": str(policy.goal),
        "compared": len(values),
        "msprt_p": mixture_sprt(values, bound_of(policy), spread=max(policy.margin, 1e-3)),
        "bernstein_low": other[0],
        "bernstein_high": other[1],
    }


def _said(evidence: Evidence, numbers: dict[str, Any], policy: RolloutSettings) -> str:
    rows = evidence.challenger.labelled
    on = f"{rows:,} labelled rows of {numbers['compared']:,} requests" if len(evidence.pairs) else (
        f"{len(evidence.challenger_losses):,} requests of the challenger and {len(evidence.champion_losses):,} of the "
        f"champion with known outcomes, compared in {numbers['compared']:,} groups,"
    )  # fmt: skip
    wanted = "may be worse by less than" if policy.goal is Goal.NOT_WORSE else "must be better by more than"
    return (
        f"On {on} the challenger's mean loss differs from the champion's by {numbers['difference']:+.4f} "
        f"(surely between {numbers['low']:+.4f} and {numbers['high']:+.4f}; it {wanted} {policy.margin:g})"
    )


def _left(missing: float, growth: float) -> float:
    if missing <= 0:
        return 0.0
    return missing / growth if growth > 0 else math.inf
