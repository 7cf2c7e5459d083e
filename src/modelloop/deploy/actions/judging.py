"""What the evidence says of a rollout's present stage: gather it, ask the stage's judge, look at the gateways."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.engine import Connection, RowMapping

from ...ground.core.clock import parse_time
from ...ground.store.context import Context
from .. import tables
from ..evidence import gather
from ..reach import reach
from ..records import Rollout, Stage, StageVerdict
from ..rollout import judging, since
from ..serving import read as read_serving
from ..settings import RolloutSettings
from ..verdict import BETTER, NOT_YET, Evidence, judge_bake, judge_canary, judge_check, judge_shadow, judge_test
from .publishing import policy_of, reports

_RIPENS = timedelta(minutes=1)
"""Where outcomes count some time after their request, one may come to count although nothing came in."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A request that nobody answered, beside the rows that somebody did."""

    id: str
    arm: str
    version: str
    error: str | None
    row: int = 0
    score: float = math.nan
    milliseconds: float = math.nan
    label: float | None = None
    label_seq: int | None = None
    shadow_version: str | None = None
    shadow_score: float | None = None
    shadow_error: str | None = None
    shadow_milliseconds: float | None = None
    answer: Mapping[str, Any] | None = None
    shadow_answer: Mapping[str, Any] | None = None
    slices: Mapping[str, Any] | None = None
    missing: tuple[str, ...] | None = None


def judge(connection: Connection, ctx: Context, row: RowMapping, rollout: Rollout) -> StageVerdict | None:
    """Return what is known of the present stage; None where only a person can say anything."""
    now = ctx.now()
    if rollout.stage is Stage.CHECK:
        begun = rollout.stage_since
        verdict = judge_check(rollout.challenger, row["generation"], reports(ctx), since=begun, now=now)
        return replace(verdict, numbers={**verdict.numbers, "at": now.isoformat()})
    if rollout.stage is Stage.APPROVAL and rollout.champion is None:
        return None
    stage, policy = judging(rollout, policy_of(row))
    if stage is Stage.CHECK:
        return None  # approval without any exposure before it
    ripe = now - timedelta(hours=policy.outcome_hours) if policy.outcome_hours else None
    verdict = _by_stage(stage, _evidence(connection, row, rollout, stage, ripe), policy, rollout, now)
    numbers = {**verdict.numbers, "at": now.isoformat(), "paused": rollout.paused_by is not None}
    return _steps_done(ctx, row, replace(verdict, numbers=numbers))


def nothing_new(ctx: Context, row: RowMapping, rollout: Rollout, seen: Sequence[int]) -> bool:
    """Say whether the answer would be the last one again: no row, no outcome, no hour that counts, no gateway came."""
    last = rollout.verdicts[-1] if rollout.verdicts else None
    if last is None or last.decision != NOT_YET or last.numbers.get("stage") != str(rollout.stage):
        return False
    numbers = last.numbers
    if rollout.stage is Stage.CHECK or numbers.get("step") != rollout.step or numbers.get("seen") != list(seen):
        return False
    if bool(numbers.get("paused")) != (rollout.paused_by is not None):
        return False
    if (behind := numbers.get("behind")) and list(_behind(ctx, row)) != behind:
        return False
    return not _hour_struck(rollout, policy_of(row), parse_time(numbers["at"]), ctx.now())


def _hour_struck(rollout: Rollout, policy: RolloutSettings, last: datetime, now: datetime) -> bool:
    """Say whether one of the times that the policy counts lies between two looks."""
    begun = since(rollout, now)
    marks = (begun + timedelta(seconds=policy.least_seconds), begun + timedelta(hours=policy.max_hours))
    ripens = policy.outcome_hours > 0 and now - last >= _RIPENS
    return ripens or any(last < mark <= now for mark in marks)


def _evidence(
    connection: Connection, row: RowMapping, rollout: Rollout, stage: Stage, ripe: datetime | None
) -> Evidence:
    place = tables.find(connection, tables.endpoint, name=rollout.endpoint)
    since_then = (rollout.endpoint, row["generation"], rollout.stage_since)
    failed = [Failed(r.id, r.arm, r.version, r.error) for r in tables.unanswered(connection, *since_then)]
    rows = [*tables.stage_rows(connection, *since_then, ripe=ripe), *failed]
    task = place["task"] if place else "binary"
    rule = read_serving(place["serving"] if place else {}).loss
    return gather(rows, stage, rollout.challenger, task=task, scale=row["scale"], rule=rule)


def _by_stage(
    stage: Stage, evidence: Evidence, policy: RolloutSettings, rollout: Rollout, now: datetime
) -> StageVerdict:
    begun = since(rollout, now)
    if stage is Stage.SHADOW:
        return judge_shadow(evidence, policy, since=begun, now=now)
    if stage is Stage.TEST:
        return judge_test(evidence, policy, since=begun, now=now)
    if stage is Stage.BAKE:
        return judge_bake(evidence, policy, since=begun, now=now)
    return judge_canary(evidence, policy, since=begun, now=now)


def _steps_done(ctx: Context, row: RowMapping, verdict: StageVerdict) -> StageVerdict:
    """Hold what is well until every gateway that is alive has taken the step: a step is done when it is everywhere."""
    if verdict.decision != BETTER:
        return verdict
    behind = list(_behind(ctx, row))
    if not behind:
        return verdict
    reason = f"{verdict.reason.rstrip('.')}; not every gateway has taken this step yet: {', '.join(behind)}."
    return replace(verdict, decision=NOT_YET, reason=reason, numbers={**verdict.numbers, "behind": behind})


def _behind(ctx: Context, row: RowMapping) -> tuple[str, ...]:
    return reach(reports(ctx), row["generation"] or 0, ctx.now()).behind
