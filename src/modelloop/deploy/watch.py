"""A rollout as people and programs watch it: its way, its shares, both versions side by side. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from .reach import Reach
from .records import Live, Rollout, Stage, StageVerdict
from .rollout import OVER, since, stages
from .settings import RolloutSettings

BINS = 20


class Pair(Protocol):
    """One answered row, with the shadow's answer where there is one."""

    version: str
    score: float
    error: str | None
    shadow_version: str | None
    shadow_score: float | None
    shadow_error: str | None


@dataclass(frozen=True, slots=True)
class StageAt:
    """One stage on the way of a rollout."""

    stage: str
    step: int
    share: float
    """Of requests, or of keys: shadow 0.25 is 25 % also scored; live 1.0."""
    state: str
    """done, here, ahead, skipped or back"""
    verdict: StageVerdict | None


@dataclass(frozen=True, slots=True)
class Compared:
    """What both versions answered in the present stage, on its newest rows."""

    rows: int
    pairs: int
    """Rows that both scored (shadow)."""
    disagreement: float | None
    """Mean distance of the two answers to the same row; of classes, the share in which they differ."""
    largest: float | None
    failed: int
    """Rows that the challenger was to answer or score and did not."""
    edges: tuple[float, ...]
    champion: tuple[int, ...]
    """How many of the champion's answers lie between two edges."""
    challenger: tuple[int, ...]
    classes: tuple[str, ...] = ()
    """Names of the classes that were answered, one for each count; without them answers are numbers."""


@dataclass(frozen=True, slots=True)
class RolloutView:
    """A rollout with everything that is shown of it."""

    rollout: Rollout
    strategy: str
    goal: str
    way: tuple[StageAt, ...]
    verdict: StageVerdict | None
    """What was said last of the present stage."""
    remaining_rows: int | None
    """Expected until a verdict at the present rate; None: nobody knows yet, or none is to be expected."""
    remaining_seconds: float | None
    stage_seconds: float
    """How long the stage has lasted, pauses left out."""
    compared: Compared | None
    over: bool


@dataclass(frozen=True, slots=True)
class EndpointView:
    """An endpoint with what answers, what comes, what could answer again, and which gateways have taken it."""

    endpoint: str
    declared: bool
    """Whether the project file still declares it."""
    model: str | None
    champion: str | None
    standby: str | None
    """Kept loaded: a rollback to it takes an instant."""
    open: RolloutView | None
    earlier: tuple[str, ...]
    """Versions that answered before and may answer again, the latest first."""
    startable: tuple[str, ...]
    """Versions that a rollout may bring here now, the newest first."""
    lives: tuple[Live, ...]
    rollouts: tuple[Rollout, ...]
    reach: Reach


def view(rollout: Rollout, policy: RolloutSettings, compared: Compared | None, now: datetime) -> RolloutView:
    """Return what is shown of a rollout."""
    last = rollout.verdicts[-1] if rollout.verdicts else None
    here = last if last is not None and (rollout.stage in OVER or _of(last, rollout.stage, rollout.step)) else None
    remaining = here.numbers.get("remaining") if here and rollout.stage not in OVER else None
    remaining = remaining if isinstance(remaining, Mapping) and not remaining.get("gives_up") else {}
    return RolloutView(
        rollout=rollout,
        strategy=str(policy.strategy),
        goal=str(policy.goal),
        way=way(rollout, policy),
        verdict=here,
        remaining_rows=remaining.get("rows"),
        remaining_seconds=remaining.get("seconds"),
        stage_seconds=max(0.0, (now - since(rollout, now)).total_seconds()),
        compared=compared,
        over=rollout.stage in OVER,
    )


def way(rollout: Rollout, policy: RolloutSettings) -> tuple[StageAt, ...]:
    """Return every stage of the rollout's way, each with its share and what was said of it."""
    told = {(said.numbers.get("stage"), _step(said)): said for said in rollout.verdicts}
    planned = stages(policy, first=rollout.champion is None)
    found, passed = [], True
    for stage, step in planned:
        verdict = told.get((str(stage), step if stage is Stage.CANARY else 0))
        here = stage is rollout.stage and (stage is not Stage.CANARY or step == rollout.step)
        passed = passed and not here
        state = _state(rollout, stage, here=here, passed=passed, verdict=verdict)
        found.append(StageAt(str(stage), step, _share(stage, step, policy), state, verdict))
    return tuple(found)


def _state(rollout: Rollout, stage: Stage, *, here: bool, passed: bool, verdict: StageVerdict | None) -> str:
    if verdict is not None and verdict.decision == "worse":
        return "back"
    if rollout.stage is Stage.LIVE and here:
        return "done"
    if here:
        return "here"
    if rollout.stage is Stage.BACK:
        return "done" if verdict is not None else "ahead"
    if passed:
        return "done" if verdict is not None or stage is Stage.LIVE else "skipped"
    return "ahead"


def _share(stage: Stage, step: int, policy: RolloutSettings) -> float:
    shares = {Stage.SHADOW: policy.shadow_fraction, Stage.TEST: policy.test_share, Stage.BAKE: 1.0, Stage.LIVE: 1.0}
    return policy.canary[step] if stage is Stage.CANARY else shares.get(stage, 0.0)


def _step(verdict: StageVerdict) -> int:
    step = verdict.numbers.get("step")
    return int(step) if verdict.numbers.get("stage") == Stage.CANARY and isinstance(step, int) else 0


def _of(verdict: StageVerdict, stage: Stage, step: int) -> bool:
    return verdict.numbers.get("stage") == str(stage) and _step(verdict) == (step if stage is Stage.CANARY else 0)


def compare(rows: Sequence[Pair], rollout: Rollout, task: str, classes: tuple[str, ...] = ()) -> Compared:
    """Return what both versions answered on these rows. `classes`: the names of those that are answered."""
    new = rollout.challenger
    both = [row for row in rows if row.shadow_version is not None and _finite(row.shadow_score)]
    apart = [_apart(row.score, float(row.shadow_score or 0.0), task) for row in both]
    theirs: list[float] = []
    ours: list[float] = []
    for version, score in _answers(rows):
        (ours if version == new else theirs).append(score)
    edges = tuple(float(place) for place in range(len(classes) + 1)) if classes else _edges([*theirs, *ours], task)
    return Compared(
        rows=len(rows),
        pairs=len(both),
        disagreement=sum(apart) / len(apart) if apart else None,
        largest=max(apart, default=None),
        failed=sum(row.error is not None or (row.shadow_version == new and bool(row.shadow_error)) for row in rows),
        edges=edges,
        champion=_counts(theirs, edges),
        challenger=_counts(ours, edges),
        classes=classes,
    )


def _answers(rows: Sequence[Pair]) -> Iterator[tuple[str, float]]:
    """Yield each answer with its version: in a bake it is the version before that scores beside."""
    for row in rows:
        if _finite(row.score):
            yield row.version, row.score
        if row.shadow_version is not None and row.shadow_score is not None and _finite(row.shadow_score):
            yield row.shadow_version, row.shadow_score


def _apart(one: float, other: float, task: str) -> float:
    return float(one != other) if task == "multiclass" else abs(one - other)


def _finite(score: Any) -> bool:
    return score is not None and math.isfinite(score)


def _edges(scores: Sequence[float], task: str) -> tuple[float, ...]:
    if not scores:
        return ()
    low, high = (0.0, 1.0) if task == "binary" else (min(scores), max(scores))
    width = (high - low) / BINS or 1.0 / BINS
    return tuple(low + width * number for number in range(BINS + 1))


def _counts(scores: Sequence[float], edges: Sequence[float]) -> tuple[int, ...]:
    bins = len(edges) - 1 if edges else 0
    counts = [0] * bins
    span = (edges[-1] - edges[0] if edges else 0.0) or 1.0
    for score in scores:
        place = int((score - edges[0]) / span * bins)
        counts[min(max(place, 0), bins - 1)] += 1
    return tuple(counts)
