"""What the policy sets a limit to: errors, latency, missing inputs, disagreement.

Each test says one of three things: surely beyond its limit (harm: back), beyond it so far without certainty (the
version is not let on yet), or within it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from ...ground.core.later import numpy as np
from ...ground.stats.rates import rate_above, rate_below, rate_evidence, two_rates_evidence
from ...ground.stats.running_quantile import quantile_bounds
from ...ground.stats.sequential import spend
from ...ground.stats.wagers import evidence_above, running_mean_bounds
from ..settings import RolloutSettings
from .given import Evidence, Losses

LATENCY_FLOOR = 1.0
"""Milliseconds; a latency below it harms nobody, whatever the ratio."""


@dataclass(frozen=True, slots=True)
class Found:
    """What one test says."""

    harm: str | None = None
    """Why the version goes back."""
    waits: str | None = None
    """Why it does not go on yet."""
    numbers: dict[str, Any] = field(default_factory=dict)


def errors(evidence: Evidence, policy: RolloutSettings, alpha: float) -> Found:
    """Compare the share of failed requests with `max_error_rate`."""
    asked, failed, limit = evidence.challenger.asked, evidence.challenger.failed, policy.max_error_rate
    if not asked:
        return Found()
    numbers: dict[str, Any] = {"error_rate": failed / asked, "error_low": 0.0}
    if evidence.champion.failed:
        apart = two_rates_evidence(evidence.challenger_errors, evidence.champion_errors)
        numbers["errors_differ_p"] = min(1.0, math.exp(-max(0.0, min(700.0, apart))))
    if not failed:
        return Found(numbers=numbers)
    numbers |= {"error_low": rate_above(failed, asked, alpha), "error_high": rate_below(failed, asked, alpha)}
    example = f" For example: {evidence.example}" if evidence.example else ""
    if rate_evidence(failed, asked, limit) >= -math.log(alpha):
        reason = (
            f"The challenger failed {failed:,} of {asked:,} requests: surely at least {numbers['error_low']:.1%}, "
            f"where {limit:.1%} is allowed.{example}"
        )
        return Found(reason, numbers=numbers)
    if failed > limit * asked:
        return Found(waits=f"It failed {failed:,} of {asked:,} requests; {limit:.1%} is allowed.", numbers=numbers)
    return Found(numbers=numbers)


def latency(evidence: Evidence, policy: RolloutSettings, alpha: float) -> Found:
    """Compare the versions' latencies at the policy's quantile; each bound may be wrong with half of alpha."""
    new, old, at = evidence.challenger_ms, evidence.champion_ms, policy.latency_quantile
    if not len(new) or not len(old):
        return Found()
    low, _ = quantile_bounds(new, at, alpha_low=alpha / 2, alpha_high=0.5)
    _, high = quantile_bounds(old, at, alpha_low=0.5, alpha_high=alpha / 2)
    mine, theirs = _quantile(new, at), _quantile(old, at)
    numbers = {"latency_ms": mine, "champion_latency_ms": theirs, "latency_quantile": at}
    name = _name(at)
    if low > max(LATENCY_FLOOR, policy.max_latency_ratio * high):
        reason = (
            f"The challenger's {name} takes {mine:.2f} ms, the champion's {theirs:.2f} ms: surely more than "
            f"{policy.max_latency_ratio:g} times as long (at least {low:.2f} against at most {high:.2f} ms)."
        )
        return Found(reason, numbers=numbers)
    if mine > max(LATENCY_FLOOR, policy.max_latency_ratio * theirs):
        waits = f"Its {name} takes {mine:.2f} ms, the champion's {theirs:.2f} ms."
        return Found(waits=waits, numbers=numbers)
    return Found(numbers=numbers)


def milliseconds(evidence: Evidence, policy: RolloutSettings, alpha: float) -> Found:
    """Compare the challenger's latency at a quantile with `max_latency_ms`: how many requests took longer."""
    new, at, limit = evidence.challenger_ms, policy.latency_quantile, policy.max_latency_ms
    if limit is None or not len(new):
        return Found()
    longer, mine = int((new > limit).sum()), _quantile(new, at)
    numbers = {"latency_ms": mine, "latency_quantile": at, "max_latency_ms": limit, "longer": longer / len(new)}
    said = f"{longer:,} of {len(new):,} requests took the challenger longer than {limit:g} ms"
    if rate_evidence(longer, len(new), 1 - at) >= -math.log(alpha):
        return Found(f"{said}: its {_name(at)} surely does.", numbers=numbers)
    if mine > limit:
        return Found(waits=f"{said}.", numbers=numbers)
    return Found(numbers=numbers)


def missing(evidence: Evidence, policy: RolloutSettings, alpha: float) -> Found:
    """Compare the share of rows that lack an input with `max_missing`, input by input."""
    limit = policy.max_missing
    if limit is None or not evidence.missing:
        return Found()
    means = {name: float(shares.mean()) for name, shares in evidence.missing.items() if len(shares)}
    if not means:
        return Found()
    most = max(means, key=lambda name: means[name])
    numbers = {"missing": {most: means[most]}, "inputs_with_missing": len(means)}
    for place, (name, shares) in enumerate(evidence.missing.items(), 1):
        if _above(shares, limit, spend(alpha, place)):
            low, _ = running_mean_bounds(shares, lower=0, upper=1, alpha_low=spend(alpha, place), alpha_high=0.5)
            reason = (
                f"Input {name!r} is missing in {means[name]:.1%} of what the challenger is asked, surely in at least "
                f"{low:.1%}; {limit:.1%} is allowed."
            )
            return Found(reason, numbers=numbers | {"missing": {name: means[name]}})
    if means[most] > limit:
        return Found(waits=f"Input {most!r} is missing in {means[most]:.1%} of the rows.", numbers=numbers)
    return Found(numbers=numbers)


def disagreement(evidence: Evidence, policy: RolloutSettings, alpha: float) -> Found:
    """Compare how far both versions' answers lie apart with `max_disagreement`."""
    limit, apart = policy.max_disagreement, evidence.disagreements
    if not len(apart):
        return Found()
    numbers = {"disagreement": float(apart.mean())}
    if limit is None:
        return Found(numbers=numbers)
    said = f"Both versions' answers to {len(apart):,} requests differ by {numbers['disagreement']:.4f} on average"
    if _above(apart, limit, alpha):
        low, _ = running_mean_bounds(apart, lower=0, upper=1, alpha_low=alpha, alpha_high=0.5)
        return Found(f"{said}, surely by at least {low:.4f}; {limit:g} is allowed.", numbers=numbers)
    return Found(waits=f"{said}." if numbers["disagreement"] > limit else None, numbers=numbers)


TESTS = {
    "errors": errors,
    "latency": latency,
    "milliseconds": milliseconds,
    "missing": missing,
    "disagreement": disagreement,
}


def _above(values: Losses, limit: float, alpha: float) -> bool:
    return limit < 1 and evidence_above(values, limit, lower=0.0, upper=1.0) >= -math.log(alpha)


def _quantile(values: Losses, at: float) -> float:
    """Return the least value that at least this share is not above."""
    return float(np.quantile(values, at, method="inverted_cdf"))


def _name(quantile: float) -> str:
    return "median answer" if quantile == 0.5 else f"answer at quantile {quantile:g}"
