"""The first stage: has every gateway loaded the challenger?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from ..records import GatewayReport, StageVerdict
from .given import BETTER, NOT_YET, WORSE

FRESH = timedelta(seconds=5)
"""A gateway that has not reported for longer is taken as gone."""


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
