"""Better, worse, or not yet: what a stage of a rollout says, on evidence that may be looked at any number of times.

Losses lie in [0, 1]: the Brier score for a binary answer, the absolute error in units of the label's spread otherwise.
All bounds come from `ground.stats.sequential`: they hold at every look at once, so looking each second costs nothing.
The unit of evidence is a request, not a row: rows of one request share a storm, a user, a moment, and are no
repetitions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from ..ground.core.later import numpy as np
from ..ground.stats.sequential import mean_sequence, rate_bound, running_mean_sequence
from .records import ArmEvidence, GatewayReport, StageVerdict
from .settings import RolloutSettings

if TYPE_CHECKING:
    import numpy.typing as npt

BETTER, WORSE, NOT_YET = "better", "worse", "not yet"
FRESH = timedelta(seconds=5)
"""A gateway that has not reported for longer is taken as gone."""
LEAST_REQUESTS = 100
"""From here on the asymptotic bounds keep their promise for skewed losses; looked at from 30 on they miss it by far."""
LATENCY_ROWS = 30
LATENCY_FLOOR = 1.0
"""Milliseconds; a median below it harms nobody, whatever the ratio."""

Losses: TypeAlias = "npt.NDArray[np.float64]"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the prediction log says of the present stage. Losses stand in the order in which the outcomes arrived."""

    rows: int
    """Rows answered at the endpoint, by whichever arm."""
    champion: ArmEvidence
    challenger: ArmEvidence
    """Shadow: requests it was to score beside the champion; canary: requests it was asked to answer."""
    challenger_rows: int = 0
    """Canary: rows of the requests it was asked to answer. Errors count by request: its rows fail together."""
    pairs: Losses = field(default_factory=lambda: np.empty(0))
    """Shadow: loss of the challenger minus loss of the champion on the same rows, one mean for each request."""
    champion_losses: Losses = field(default_factory=lambda: np.empty(0))
    challenger_losses: Losses = field(default_factory=lambda: np.empty(0))
    example: str | None = None
    """One of the challenger's errors."""


def loss(task: str, score: npt.ArrayLike, label: npt.ArrayLike, scale: float) -> Losses:
    """Return the loss of each answer, in [0, 1]; `scale` is the spread of the label (regression)."""
    distance = np.abs(np.asarray(score, dtype=np.float64) - np.asarray(label, dtype=np.float64))
    bounded = distance**2 if task == "binary" else distance / scale
    return np.asarray(np.clip(np.nan_to_num(bounded, nan=1.0, posinf=1.0), 0.0, 1.0))


def judge_check(
    challenger: str, generation: int | None, reports: Sequence[GatewayReport], *, since: datetime, now: datetime
) -> StageVerdict:
    """Say whether every gateway that is alive has loaded the challenger; one that failed is enough for no.

    `since`: when the check began; a failure reported before was about an earlier try.
    """
    alive = [report for report in reports if now - report.at <= FRESH]
    numbers = {"gateways": len(alive), "generation": generation}
    for report in alive:
        if challenger in report.failed and report.at >= since:
            reason = f"Gateway {report.gateway} could not load {challenger}: {report.failed[challenger]}"
            return StageVerdict(WORSE, reason, numbers)
    if generation is None or not alive:
        return StageVerdict(NOT_YET, "No gateway has reported in the last 5 seconds.", numbers)
    ready = [r for r in alive if r.generation >= generation and challenger in r.loaded]
    if len(ready) < len(alive):
        return StageVerdict(NOT_YET, f"{len(ready)} of {len(alive)} gateways have loaded {challenger}.", numbers)
    who = "The gateway has" if len(alive) == 1 else f"All {len(alive)} gateways have"
    reason = f"{who} loaded {challenger} and its golden answers agree."
    return StageVerdict(BETTER, reason, numbers)


def judge_shadow(evidence: Evidence, policy: RolloutSettings) -> StageVerdict:
    """Compare both versions on the same rows: not worse by more than the margin, surely worse, or not yet known."""
    numbers = _numbers(evidence)
    if harm := _errors(evidence, policy, numbers):
        return StageVerdict(WORSE, harm, numbers)
    rows, requests = evidence.challenger.labelled, len(evidence.pairs)
    said = "No labelled request was scored by both yet"
    if requests:
        low, high = _bounds(evidence.pairs, -1.0, policy.false_rollback / 2)
        numbers |= {"difference": float(evidence.pairs.mean()), "low": low, "high": high, "margin": policy.margin}
        said = (
            f"On {rows} labelled rows of {requests} requests the challenger's mean loss differs by "
            f"{evidence.pairs.mean():+.4f} (between {low:+.4f} and {high:+.4f}, margin {policy.margin:g})"
        )
        if low > policy.margin:
            return StageVerdict(WORSE, f"{said}: worse.", numbers)
        if rows >= policy.shadow_rows and high < policy.margin and _errors_fine(evidence, policy):
            return StageVerdict(BETTER, f"{said}: not worse.", numbers)
    return _not_yet(evidence, policy, numbers, f"{said}: {rows} of {policy.shadow_rows} rows.")


def judge_canary(evidence: Evidence, policy: RolloutSettings, *, wait: bool = False) -> StageVerdict:
    """Let the challenger go on unless its errors, its loss or its latency are surely beyond what the policy allows.

    With `wait` (a person is asked) enough good requests lead to `not yet` instead of `better`.
    """
    numbers = _numbers(evidence)
    harm = _errors(evidence, policy, numbers) or _loss_harm(evidence, policy, numbers)
    if harm := harm or _latency_harm(evidence, policy):
        return StageVerdict(WORSE, harm, numbers)
    asked, failed, rows = evidence.challenger.asked, evidence.challenger.failed, evidence.challenger_rows
    said = f"The challenger was asked {rows} of {policy.canary_rows} rows in {asked} requests and failed {failed}"
    if wait:
        return StageVerdict(NOT_YET, f"{said}; a person must approve.", numbers)
    if rows >= policy.canary_rows and _errors_fine(evidence, policy):
        return StageVerdict(BETTER, f"{said}; nothing speaks against it.", numbers)
    return _not_yet(evidence, policy, numbers, f"{said}.")


def _not_yet(evidence: Evidence, policy: RolloutSettings, numbers: dict[str, Any], reason: str) -> StageVerdict:
    if evidence.rows >= policy.max_rows:
        reason = f"No verdict after {evidence.rows} rows (max_rows = {policy.max_rows}). {reason}"
        return StageVerdict(WORSE, reason, numbers)
    return StageVerdict(NOT_YET, reason, numbers)


def _numbers(evidence: Evidence) -> dict[str, Any]:
    return {
        "rows": evidence.rows,
        "champion": asdict(evidence.champion),
        "challenger": asdict(evidence.challenger),
        "pairs": len(evidence.pairs),
    }


def _errors_fine(evidence: Evidence, policy: RolloutSettings) -> bool:
    return evidence.challenger.failed <= policy.max_error_rate * evidence.challenger.asked


def _errors(evidence: Evidence, policy: RolloutSettings, numbers: dict[str, Any]) -> str | None:
    """Return why the challenger fails too often, at half the policy's alpha, or None."""
    asked, failed = evidence.challenger.asked, evidence.challenger.failed
    if not failed:
        return None
    low, high = rate_bound(failed, asked, policy.false_rollback / 2)
    numbers |= {"error_rate": failed / asked, "error_low": low, "error_high": high}
    if low <= policy.max_error_rate:
        return None
    example = f" For example: {evidence.example}" if evidence.example else ""
    return (
        f"The challenger failed {failed} of {asked} requests: at least {low:.1%}, where {policy.max_error_rate:.1%} "
        f"is allowed.{example}"
    )


def _bounds(losses: Losses, lower: float, alpha: float) -> tuple[float, float]:
    """Bound a mean loss between `lower` and 1 at every look: exactly at first, then for days that differ.

    Each way of looking gets half of alpha. The exact bounds are wide, but a challenger grossly worse is found at once.
    """
    if len(losses) < LEAST_REQUESTS:
        return mean_sequence(losses, lower=lower, upper=1.0, alpha=alpha / 2)
    return running_mean_sequence(losses, alpha=alpha / 2)


def _loss_harm(evidence: Evidence, policy: RolloutSettings, numbers: dict[str, Any]) -> str | None:
    """Return why the challenger's answers are surely worse: two intervals, each at a quarter of alpha, lie apart."""
    new, old = evidence.challenger_losses, evidence.champion_losses
    if not len(new) or not len(old):
        return None
    new_low, new_high = _bounds(new, 0.0, policy.false_rollback / 4)
    old_low, old_high = _bounds(old, 0.0, policy.false_rollback / 4)
    numbers |= {"low": new_low - old_high, "high": new_high - old_low, "margin": policy.margin}
    if new_low - old_high <= policy.margin:
        return None
    return (
        f"The challenger's mean loss on {len(new)} labelled requests is at least {new_low:.4f}, the champion's on "
        f"{len(old)} at most {old_high:.4f}."
    )


def _latency_harm(evidence: Evidence, policy: RolloutSettings) -> str | None:
    new, old = evidence.challenger, evidence.champion
    if new.median_ms is None or old.median_ms is None or min(new.asked - new.failed, old.asked) < LATENCY_ROWS:
        return None
    if new.median_ms <= max(LATENCY_FLOOR, policy.max_latency_ratio * old.median_ms):
        return None
    return (
        f"The challenger's median answer takes {new.median_ms:.2f} ms, the champion's {old.median_ms:.2f} ms: "
        f"more than {policy.max_latency_ratio:g} times as long."
    )
