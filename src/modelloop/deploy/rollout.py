"""The staged change of what answers, as a pure state machine.

canary:     check -> shadow -> canary, step by step -> (approval) -> (bake) -> live
blue/green: check -> shadow -> (approval) -> (bake) -> live
A/B test:   check -> test -> (approval) -> (bake) -> live

and back from anywhere. In the bake the challenger answers everybody already, and the version before is kept loaded. A
first version has nothing to be compared with: (approval) -> check -> live. A paused rollout keeps its exposure: what is
well waits, what does harm goes back. Nothing but harm or used-up exposure leads back; silence never does.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ..ground.core.errors import Conflict
from .records import Arm, Rollout, Route, Stage, StageVerdict
from .serving import Serving
from .settings import RolloutSettings, Strategy
from .verdict import BETTER, NOT_YET, WORSE

OVER = frozenset({Stage.LIVE, Stage.BACK})
ANSWERS = frozenset({Stage.BAKE, Stage.LIVE})
"""Stages in which the challenger is the champion already."""
_ENDLESS = 2**62


@dataclass(frozen=True, slots=True)
class Served:
    """What the facts say of an endpoint apart from its rollout."""

    endpoint: str
    model: str
    key: str | None
    max_body: int
    max_rows: int
    champion: Arm | None
    standby: Arm | None = None
    """What answered before: kept loaded, so that going back takes an instant."""
    serving: Serving = field(default_factory=Serving)


def first_stage(champion: str | None, policy: RolloutSettings) -> Stage:
    """Return where a rollout begins. A first version answers as soon as it is loaded, so it is approved before."""
    return Stage.APPROVAL if champion is None and policy.approval else Stage.CHECK


def stages(policy: RolloutSettings, *, first: bool = False) -> tuple[tuple[Stage, int], ...]:
    """Return the whole way with the canary's steps, from the beginning to live; `first`: nothing answers yet."""
    asked = ((Stage.APPROVAL, 0),) if policy.approval else ()
    if first:
        return (*asked, (Stage.CHECK, 0), (Stage.LIVE, 0))
    steps = tuple((Stage.CANARY, step) for step in range(len(policy.canary)))
    shadow = ((Stage.SHADOW, 0),) if policy.shadow_rows > 0 and policy.shadow_fraction > 0 else ()
    tried = {
        Strategy.CANARY: (*shadow, *steps),
        Strategy.BLUE_GREEN: shadow,
        Strategy.AB_TEST: ((Stage.TEST, 0),),
    }[policy.strategy]
    bake = ((Stage.BAKE, 0),) if policy.bake_rows > 0 else ()
    return ((Stage.CHECK, 0), *tried, *asked, *bake, (Stage.LIVE, 0))


def following(rollout: Rollout, policy: RolloutSettings) -> tuple[Stage, int]:
    """Return the stage and step that come after the present ones when all is well."""
    waits = rollout.stage is Stage.APPROVAL
    way = stages(replace(policy, approval=policy.approval or waits), first=rollout.champion is None)
    here = (rollout.stage, rollout.step if rollout.stage is Stage.CANARY else 0)
    return way[way.index(here) + 1]


def move(rollout: Rollout, policy: RolloutSettings, verdict: StageVerdict, now: datetime) -> Rollout:
    """Return the rollout after a verdict on its present stage; one that is over does not move."""
    if rollout.stage in OVER:
        return rollout
    if verdict.decision == NOT_YET:
        return replace(rollout, verdicts=(*settled(rollout), verdict))
    if verdict.decision == WORSE:
        return _at(rollout, Stage.BACK, rollout.step, verdict, now)
    return _at(rollout, *following(rollout, policy), verdict, now)


def judged(rollout: Rollout, policy: RolloutSettings, verdict: StageVerdict, now: datetime) -> Rollout:
    """Return the rollout after what the evidence says: where a person holds it or is asked, what is well waits."""
    if verdict.decision == BETTER and holds(rollout):
        waits = "a person must approve" if rollout.stage is Stage.APPROVAL else f"{rollout.paused_by} paused it"
        if rollout.paused_by and rollout.stage is Stage.APPROVAL:
            waits = f"{waits}, and {rollout.paused_by} paused it"
        verdict = replace(verdict, decision=NOT_YET, reason=f"{verdict.reason.rstrip('.')}; {waits}.")
    return move(rollout, policy, verdict, now)


def holds(rollout: Rollout) -> bool:
    """Say whether the rollout stays where it is, however well the challenger does."""
    return rollout.paused_by is not None or rollout.stage is Stage.APPROVAL


def judging(rollout: Rollout, policy: RolloutSettings) -> tuple[Stage, RolloutSettings]:
    """Return as what the present stage is judged, and by which policy.

    While a person is asked the exposure stays, and is judged as before. A rollout that is held cannot use its exposure
    up: then only harm leads back.
    """
    stage = exposure(rollout, policy)[0] if rollout.stage is Stage.APPROVAL else rollout.stage
    held = replace(policy, max_rows=_ENDLESS, max_hours=0.0) if holds(rollout) else policy
    return stage, held


def since(rollout: Rollout, now: datetime) -> datetime:
    """Return from when the stage's time counts: while it was paused its clock stood still."""
    held = timedelta(seconds=rollout.held_seconds)
    if rollout.paused_at is not None:
        held += max(timedelta(0), now - rollout.paused_at)
    return rollout.stage_since + held


def settled(rollout: Rollout) -> tuple[StageVerdict, ...]:
    """Return the verdicts of the finished stages: all but a last `not yet`."""
    last = rollout.verdicts[-1:]
    return rollout.verdicts[:-1] if last and last[0].decision == NOT_YET else rollout.verdicts


def paused(rollout: Rollout, by: str, now: datetime) -> Rollout:
    """Return the rollout held where it is; one that is held already stays with whoever holds it."""
    _open(rollout)
    return rollout if rollout.paused_by else replace(rollout, paused_by=by, paused_at=now)


def resumed(rollout: Rollout, now: datetime) -> Rollout:
    """Return the rollout that goes on; its evidence and what is left of its time are those of before."""
    _open(rollout)
    if rollout.paused_by is None:
        return rollout
    held = (since(rollout, now) - rollout.stage_since).total_seconds()
    return replace(rollout, paused_by=None, paused_at=None, held_seconds=held)


def promoted(rollout: Rollout, policy: RolloutSettings, by: str, reason: str, now: datetime) -> Rollout:
    """Return the rollout whose challenger answers everybody because a person wants it; a bake still follows.

    Before the check nobody knows whether any gateway can load it: raises Conflict. In the bake: the bake is over.
    """
    _open(rollout)
    if rollout.stage is Stage.CHECK or rollout.champion is None:
        raise Conflict(
            f"{rollout.challenger} was not checked yet: no gateway has said that it can load it.",
            hint="Wait until the check is over; it takes a second where a gateway runs."
            if rollout.stage is Stage.CHECK
            else "A first version waits for `modelloop approve`.",
        )
    bake = rollout.stage is not Stage.BAKE and policy.bake_rows > 0
    said = StageVerdict(BETTER, f"Promoted by {by}: {reason}", {**where(rollout), "by": by})
    made = _at(rollout, Stage.BAKE if bake else Stage.LIVE, rollout.step, said, now)
    return replace(made, approved_by=by)


def approved(rollout: Rollout, policy: RolloutSettings, by: str, reason: str, now: datetime) -> Rollout:
    """Return the rollout that a person lets go on; raises Conflict where it waits for nobody, or is paused."""
    if rollout.stage is not Stage.APPROVAL:
        raise Conflict(f"Nothing waits for approval at {rollout.endpoint!r}: the rollout is in {rollout.stage}.")
    if rollout.paused_by is not None:
        raise Conflict(
            f"{rollout.paused_by} paused the rollout.", hint=f"`modelloop rollout resume {rollout.endpoint}`"
        )
    said = StageVerdict(BETTER, f"Approved by {by}. {reason}".strip(), {**where(rollout), "by": by})
    return replace(move(rollout, policy, said, now), approved_by=by)


def withdrawn(rollout: Rollout, reason: str, now: datetime) -> Rollout:
    """Return the rollout sent back by somebody, from any stage."""
    if rollout.stage in OVER:
        return rollout
    return _at(rollout, Stage.BACK, rollout.step, StageVerdict(WORSE, reason, where(rollout)), now)


def where(rollout: Rollout) -> dict[str, object]:
    """Return the stage as verdicts carry it among their numbers."""
    return {"stage": str(rollout.stage), "step": rollout.step}


def _open(rollout: Rollout) -> None:
    if rollout.stage in OVER:
        raise Conflict(f"The rollout of {rollout.challenger} is over: it ended {rollout.stage}.")


def _at(rollout: Rollout, stage: Stage, step: int, verdict: StageVerdict, now: datetime) -> Rollout:
    """Return the rollout at another stage, whose clock begins; whoever held it no longer does if it is over."""
    verdicts = (*settled(rollout), verdict)
    step = step if stage is Stage.CANARY else rollout.step
    moved = replace(rollout, stage=stage, step=step, stage_since=now, verdicts=verdicts, held_seconds=0.0)
    return replace(moved, paused_by=None, paused_at=None)


def route(served: Served, rollout: Rollout | None, challenger: Arm | None, policy: RolloutSettings) -> Route | None:
    """Return what gateways shall do at the endpoint, or None where nothing answers there yet."""
    challenger = challenger if rollout is not None and rollout.stage not in OVER else None
    if served.champion is None:
        # A first version is published while it is checked: until it is loaded nothing answers, as before.
        waiting = challenger is None or rollout is None or rollout.stage is Stage.APPROVAL
        return None if waiting or challenger is None else _route(served, challenger, None, Stage.LIVE)
    if challenger is None or rollout is None:
        return _route(served, served.champion, None, Stage.LIVE)
    hidden = (*served.serving.log.drop, *served.serving.log.mask)  # what may not be written goes before what is guarded
    slices = tuple(name for name in dict.fromkeys((*served.serving.slices, *policy.slices)) if name not in hidden)
    if rollout.stage is Stage.BAKE:
        return replace(_baking(served, served.champion, policy), salt=rollout.id, slices=slices)
    stage, share = exposure(rollout, policy)
    made = _route(served, served.champion, challenger, stage)
    return replace(made, share=share, salt=rollout.id, slices=slices)


def _baking(served: Served, champion: Arm, policy: RolloutSettings) -> Route:
    """Return the route of a bake: the version before scores beside the new one, where a shadow is asked for at all.

    Otherwise nobody could say whether the new one's answers are worse: another week's losses are no measure.
    """
    if served.standby is None or policy.shadow_rows == 0 or policy.shadow_fraction == 0:
        return _route(served, champion, None, Stage.BAKE)
    made = _route(served, champion, served.standby, Stage.BAKE)
    return replace(made, share=policy.shadow_fraction)


def exposure(rollout: Rollout, policy: RolloutSettings) -> tuple[Stage, float]:
    """Return how the challenger is seen: while a person is asked, the last exposure stays."""
    stage, step = rollout.stage, rollout.step
    if stage is Stage.APPROVAL:
        way = [place for place in stages(policy) if place[0] is not Stage.APPROVAL]
        stage, step = [place for place in way if place[0] not in ANSWERS][-1]
    share = {
        Stage.SHADOW: policy.shadow_fraction,
        Stage.CANARY: policy.canary[min(step, len(policy.canary) - 1)] if policy.canary else 0.0,
        Stage.TEST: policy.test_share,
    }.get(stage, 0.0)
    return stage, share


def _route(served: Served, champion: Arm, challenger: Arm | None, stage: Stage) -> Route:
    kept = served.standby is not None and served.standby not in (champion, challenger)
    return Route(
        endpoint=served.endpoint,
        champion=champion,
        challenger=challenger,
        stage=stage,
        key=served.key,
        max_body=served.max_body,
        max_rows=served.max_rows,
        standby=(served.standby,) if kept and served.standby else (),
        outcome_key=served.serving.outcome_key,
        log=served.serving.log,
        features=served.serving.features,
        timeout_ms=served.serving.timeout_ms,
        batch_rows=served.serving.batch_rows,
        slices=served.serving.slices,
    )
