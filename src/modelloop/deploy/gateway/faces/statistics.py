"""Pure: what was counted, as Triton's statistics extension tells it."""

from __future__ import annotations

from typing import Any

from ..counting import ArmCounts, Counts
from ..runtime import LoadedArm, LoadedRoute


def statistics_of(counts: Counts, route: LoadedRoute, arm: LoadedArm) -> dict[str, Any]:
    """Return the statistics of one version at an endpoint; durations that are not measured are 0."""
    endpoint, version = route.route.endpoint, arm.arm.version
    mine = [found for (name, number, _), found in counts.arms.items() if (name, number) == (endpoint, version)]
    total = _sum(mine)
    answered = 0 if total is None else total.answered
    executions = answered if arm.lane is None else arm.lane.counts.batches
    whole, scoring = (0.0, 0.0) if total is None else (total.seconds, total.scoring)
    failed = 0 if total is None else total.failed
    return {
        "name": endpoint,
        "version": arm.number,
        "last_inference": 0 if total is None else round(total.last * 1000),
        "inference_count": 0 if total is None else total.rows,
        "execution_count": executions,
        "inference_stats": {
            "success": _duration(answered, whole),
            "fail": _duration(failed, 0.0),
            "queue": _duration(answered, 0.0),
            "compute_input": _duration(answered, 0.0),
            "compute_infer": _duration(answered, scoring),
            "compute_output": _duration(answered, 0.0),
            "cache_hit": _duration(0, 0.0),
            "cache_miss": _duration(0, 0.0),
        },
    }


def _sum(found: list[ArmCounts]) -> ArmCounts | None:
    if not found:
        return None
    total = found[0]
    for each in found[1:]:
        total = total.merged(each)
    return total


def _duration(count: int, seconds: float) -> dict[str, int]:
    return {"count": count, "ns": round(seconds * 1e9)}
