"""One turn of the loop as a pure state machine: running -> judged -> rolling -> closed, or closed from anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from ..deploy.records import Rollout, Stage
from ..ground.core.records import Verdict
from .records import Episode, EpisodeState, Result, Settled


def began(episode: Episode, run: str, data: Mapping[str, int]) -> Episode:
    """Return the episode whose run is queued."""
    return replace(episode, run=run, evidence=_with(episode, data=dict(data)))


def judged(episode: Episode, settled: Settled, run: Mapping[str, Any]) -> Episode:
    """Return the episode whose candidate was judged."""
    found = {"verdict": settled.verdict, "reason": settled.reason, **settled.evidence}
    evidence = _with(episode, run=dict(run), gates=list(settled.evidence.get("gates", ())), judgement=found)
    return replace(episode, state=EpisodeState.JUDGED, version=settled.version, evidence=evidence)


def verdict_of(episode: Episode) -> Verdict:
    """Return what the gates said of the episode's version; anything unknown is missing evidence."""
    said = (episode.evidence or {}).get("judgement", {}).get("verdict")
    return Verdict(said) if said in set(Verdict) else Verdict.MISSING


def rolling(episode: Episode, rollout: str) -> Episode:
    """Return the episode whose version is being rolled out."""
    return replace(episode, state=EpisodeState.ROLLING, rollout=rollout)


def ended(episode: Episode, rollout: Rollout, verdicts: Any, now: datetime, event_time: datetime | None) -> Episode:
    """Return the episode whose rollout is over; one that is under way stays."""
    if rollout.stage not in (Stage.LIVE, Stage.BACK):
        return episode
    result = Result.PROMOTED if rollout.stage is Stage.LIVE else Result.ROLLED_BACK
    why = rollout.verdicts[-1].reason if rollout.verdicts else rollout.reason
    shown = replace(episode, evidence=_with(episode, rollout=verdicts))
    return closed(shown, result, why, now=now, event_time=event_time)


def closed(episode: Episode, result: Result, why: str, *, now: datetime, event_time: datetime | None) -> Episode:
    """Return the episode with its result and why, in a sentence."""
    return replace(
        episode,
        state=EpisodeState.CLOSED,
        result=result,
        closed_at=now,
        closed_event_time=event_time,
        evidence=_with(episode, result={"result": str(result), "reason": why}),
    )


def _with(episode: Episode, **parts: Any) -> dict[str, Any]:
    return {**(episode.evidence or {}), **parts}
