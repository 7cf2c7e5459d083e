"""The staged change of what answers, as a pure state machine.

check -> shadow -> canary, step by step -> (approval) -> live, or back from anywhere. A first version has nothing to be
compared with: (approval) -> check -> live.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from .records import Arm, Rollout, Route, Stage, StageVerdict
from .settings import RolloutSettings
from .verdict import BETTER, NOT_YET, WORSE

OVER = frozenset({Stage.LIVE, Stage.BACK})


@dataclass(frozen=True, slots=True)
class Served:
    """What the facts say of an endpoint apart from its rollout."""

    endpoint: str
    model: str
    key: str | None
    max_body: int
    max_rows: int
    champion: Arm | None


def first_stage(champion: str | None, policy: RolloutSettings) -> Stage:
    """Return where a rollout begins. A first version answers as soon as it is loaded, so it is approved before."""
    return Stage.APPROVAL if champion is None and policy.approval else Stage.CHECK


def following(rollout: Rollout, policy: RolloutSettings) -> tuple[Stage, int]:
    """Return the stage and step that come after the present ones when all is well."""
    if rollout.champion is None:
        return (Stage.CHECK, 0) if rollout.stage is Stage.APPROVAL else (Stage.LIVE, 0)
    if rollout.stage is Stage.APPROVAL:
        return Stage.LIVE, rollout.step
    if rollout.stage is Stage.CHECK and policy.shadow_rows > 0 and policy.shadow_fraction > 0:
        return Stage.SHADOW, 0
    step = rollout.step + 1 if rollout.stage is Stage.CANARY else 0
    if step < len(policy.canary):
        return Stage.CANARY, step
    return (Stage.APPROVAL if policy.approval else Stage.LIVE), max(0, len(policy.canary) - 1)


def move(rollout: Rollout, policy: RolloutSettings, verdict: StageVerdict, now: datetime) -> Rollout:
    """Return the rollout after a verdict on its present stage; one that is over does not move."""
    if rollout.stage in OVER:
        return rollout
    verdicts = (*settled(rollout), verdict)
    if verdict.decision == NOT_YET:
        return replace(rollout, verdicts=verdicts)
    stage, step = following(rollout, policy) if verdict.decision == BETTER else (Stage.BACK, rollout.step)
    return replace(rollout, stage=stage, step=step, stage_since=now, verdicts=verdicts)


def settled(rollout: Rollout) -> tuple[StageVerdict, ...]:
    """Return the verdicts of the finished stages: all but a last `not yet`."""
    last = rollout.verdicts[-1:]
    return rollout.verdicts[:-1] if last and last[0].decision == NOT_YET else rollout.verdicts


def withdrawn(rollout: Rollout, reason: str, now: datetime) -> Rollout:
    """Return the rollout sent back by somebody, from any stage."""
    return move(rollout, RolloutSettings(), StageVerdict(WORSE, reason, {}), now)


def route(served: Served, rollout: Rollout | None, challenger: Arm | None, policy: RolloutSettings) -> Route | None:
    """Return what gateways shall do at the endpoint, or None where nothing answers there yet."""
    challenger = challenger if rollout is not None and rollout.stage not in OVER else None
    if served.champion is None:
        # A first version is published while it is checked: until it is loaded nothing answers, as before.
        waiting = challenger is None or rollout is None or rollout.stage is Stage.APPROVAL
        return None if waiting or challenger is None else _route(served, challenger, None, Stage.LIVE)
    if challenger is None or rollout is None:
        return _route(served, served.champion, None, Stage.LIVE)
    stage, share = _exposure(rollout, policy)
    made = _route(served, served.champion, challenger, stage)
    return replace(made, share=share, salt=rollout.id)


def _exposure(rollout: Rollout, policy: RolloutSettings) -> tuple[Stage, float]:
    """Return how the challenger is seen: while a person is asked, the last canary share stays."""
    if rollout.stage is Stage.SHADOW:
        return Stage.SHADOW, policy.shadow_fraction
    if rollout.stage in (Stage.CANARY, Stage.APPROVAL) and policy.canary:
        return Stage.CANARY, policy.canary[min(rollout.step, len(policy.canary) - 1)]
    return Stage.CHECK, 0.0


def _route(served: Served, champion: Arm, challenger: Arm | None, stage: Stage) -> Route:
    return Route(
        endpoint=served.endpoint,
        champion=champion,
        challenger=challenger,
        stage=stage,
        key=served.key,
        max_body=served.max_body,
        max_rows=served.max_rows,
    )
