"""Bring open episodes one step further. Each step reads facts, decides, and writes only if nothing moved meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ...data import actions as data
from ...deploy import actions as deploy
from ...deploy.records import Rollout
from ...ground.core.errors import Conflict, ModelloopError, RolloutRefused, StaleState, StoreUnavailable
from ...ground.core.records import Event, Verdict
from ...ground.core.toml import plain
from ...ground.flow import actions as flow
from ...ground.flow.records import InputRef, Run, RunState
from ...ground.pool import actions as pool
from ...ground.pool.records import RUN, JobState
from ...ground.store import audit
from ...ground.store.context import Context
from .. import episode as rules
from .. import tables
from ..asof import PARAMETER, moment, wants_as_of
from ..records import FAILED, Episode, EpisodeState, Result

if TYPE_CHECKING:
    from ...project import Project

MOST_STEPS = 6
PATIENCE = timedelta(seconds=20)
"""Wall time given to whoever carried out a run without the queue for judging its candidate; then it is done here."""


def advance_episodes(ctx: Context, project: Project, project_dir: Path) -> list[Episode]:
    """Bring every open episode as far as it gets now; return those that changed."""
    with ctx.db.reading() as connection:
        under_way = tables.open_episodes(connection)
    changed = []
    for before in under_way:
        episode = before
        for _ in range(MOST_STEPS):
            after = _step(ctx, project, project_dir, episode)
            if after == episode:
                break
            _write(ctx, episode, after)
            episode = after
        if episode != before:
            changed.append(episode)
    return changed


def _step(ctx: Context, project: Project, project_dir: Path, episode: Episode) -> Episode:
    if episode.state is EpisodeState.RUNNING:
        begin_or_watch = _begin if episode.run is None else _watch_run
        return begin_or_watch(ctx, project, project_dir, episode)
    if episode.state is EpisodeState.JUDGED:
        return _decide(ctx, project, episode)
    if episode.state is EpisodeState.ROLLING and episode.rollout is not None:
        rollout = deploy.rollout(ctx, episode.rollout)
        verdicts = msgspec.to_builtins(rollout.verdicts)
        return rules.ended(episode, rollout, list(verdicts), ctx.now(), _event_time(ctx, episode))
    return episode


def _begin(ctx: Context, project: Project, project_dir: Path, episode: Episode) -> Episode:
    """Take in what has arrived and queue the run; data that breaks its contract ends the episode before training."""
    settings = project.pipelines.get(episode.pipeline)
    if settings is None:
        return _close(ctx, episode, Result.FAILED, f"The project file no longer declares {episode.pipeline!r}.")
    try:
        for name, source in project.sources.items():
            data.ingest(ctx, name, source, project.contracts[source.contract], root=project_dir)
        newest = {argument: data.version(ctx, dataset) for argument, dataset in settings.inputs.items()}
    except (StoreUnavailable, StaleState):
        raise
    except ModelloopError as error:
        refused = {**(episode.evidence or {}), "refused": error.as_json()}
        return _close(ctx, _with_evidence(episode, refused), Result.FAILED, str(error))
    run = flow.submit(
        ctx,
        pipeline=episode.pipeline,
        function=settings.function,
        project_dir=project_dir,
        inputs={name: InputRef(found.dataset, found.number, found.digest) for name, found in newest.items()},
        params=_params(settings.function, {**plain(settings.params), **episode.params}, episode, project_dir),
        seed=settings.seed,
        time_limit=settings.time_limit,
        episode=episode.id,
        project=project.project.name,
    )
    return rules.began(episode, run.id, {ref.dataset: ref.version for ref in run.inputs.values()})


def _params(function: str, params: Mapping[str, Any], episode: Episode, project_dir: Path) -> dict[str, Any]:
    """Return the run's arguments; `as_of` is a time: the data's clock where the pipeline asks and nobody set it."""
    if PARAMETER in params:
        return {**params, PARAMETER: moment(params[PARAMETER]) or params[PARAMETER]}
    known = (episode.evidence or {}).get("as_of") is not None
    asked = known and wants_as_of(project_dir, function)
    return {**params, PARAMETER: episode.event_time} if asked else dict(params)


def _watch_run(ctx: Context, project: Project, project_dir: Path, episode: Episode) -> Episode:
    run = flow.get_run(ctx, str(episode.run))
    if run.state in (RunState.FAILED, RunState.CANCELLED):
        why = (
            f"The run {run.state}: {run.error.kind}: {run.error.message}" if run.error else f"The run was {run.state}."
        )
        shown = {**(episode.evidence or {}), "run": _shown(run)}
        return _close(ctx, _with_evidence(episode, shown), Result.FAILED, why)
    if run.state is not RunState.DONE:
        return episode
    with ctx.db.reading() as connection:
        settled = tables.settled_of(connection, run.id)
    if settled is None:
        return _unsettled(ctx, project, project_dir, episode, run)
    judged = rules.judged(episode, settled, _shown(run))
    return _close(ctx, judged, Result.FAILED, settled.reason) if settled.verdict == FAILED else judged


def _unsettled(ctx: Context, project: Project, project_dir: Path, episode: Episode, run: Run) -> Episode:
    """Wait while the queue still has the run: a process that died in judging is started again, so many times."""
    job = pool.find_job(ctx, RUN, run.id)
    if job is not None and job.state is JobState.FAILED:
        why = f"The run is done, but its candidate could not be judged in {job.strikes} attempts. {job.error}"
        return _close(ctx, episode, Result.FAILED, why)
    waits = job is not None and not job.state.ended
    if not waits and ctx.now() - (run.finished_at or ctx.now()) > PATIENCE:
        from .settling import settle_run  # noqa: PLC0415 - what scores is heavy, and this is rare

        if settle_run(ctx, project, project_dir, run.id) is None:
            why = f"The pipeline {run.pipeline!r} makes no model any more."
            return _close(ctx, episode, Result.FAILED, why)
    return episode


def _shown(run: Run) -> dict[str, Any]:
    parts = {
        "id": run.id,
        "state": run.state,
        "pipeline": run.pipeline,
        "params": dict(run.params),
        "metrics": dict(run.metrics),
        "usage": run.usage,
        "code": {"commit": run.code.commit, "dirty": run.code.dirty, "digest": run.code.digest},
        "data": {name: f"{ref.dataset}:{ref.version}" for name, ref in run.inputs.items()},
        "error": run.error,
    }
    return dict(msgspec.to_builtins(parts))


def _decide(ctx: Context, project: Project, episode: Episode) -> Episode:
    if episode.version is None or rules.verdict_of(episode) is not Verdict.PASS:
        return _close(ctx, episode, Result.REFUSED, _refusal(episode))
    rollout = _rollout_of(ctx, episode)
    if rollout is None:
        reason = f"Episode {episode.number}: {episode.reason}"
        try:
            rollout = deploy.start_rollout(ctx, project, episode.endpoint, episode.version, reason=reason)
        except RolloutRefused as error:
            return _close(ctx, episode, Result.REFUSED, str(error))
        except Conflict:
            return episode  # somebody else's rollout is open at the endpoint: wait for its end
    return rules.rolling(episode, rollout.id)


def _refusal(episode: Episode) -> str:
    gates = (episode.evidence or {}).get("gates", [])
    wrong = [
        f"{gate['gate']} ({gate['verdict']}): {gate['reason']}" for gate in gates if gate["verdict"] != Verdict.PASS
    ]
    return "; ".join(wrong) or "No gate spoke for the version."


def _rollout_of(ctx: Context, episode: Episode) -> Rollout | None:
    """Return the rollout that an earlier try of this step began."""
    known = deploy.rollouts(ctx, episode.endpoint, limit=20)
    return next((r for r in known if r.challenger == episode.version and r.started_at >= episode.opened_at), None)


def _with_evidence(episode: Episode, evidence: Mapping[str, Any]) -> Episode:
    return replace(episode, evidence=evidence)


def _event_time(ctx: Context, episode: Episode) -> datetime | None:
    known = (episode.evidence or {}).get("as_of") is not None
    return deploy.watermark(ctx, episode.endpoint)[0] or (episode.event_time if known else None)


def _close(ctx: Context, episode: Episode, result: Result, why: str) -> Episode:
    return rules.closed(episode, result, why, now=ctx.now(), event_time=_event_time(ctx, episode))


def _write(ctx: Context, before: Episode, after: Episode) -> None:
    facts: dict[str, Any] = {
        "number": after.number,
        "from": str(before.state),
        "to": str(after.state),
        "run": after.run,
    }
    facts |= {"version": after.version, "rollout": after.rollout}
    if after.result is not None:
        facts |= (after.evidence or {}).get("result", {})
    with ctx.db.transaction() as connection:
        if not tables.save(connection, before, after):
            raise StaleState(f"Episode {before.number} was moved by another worker.", hint="Look again.")
        audit.append(connection, ctx, Event("episode.moved", after.id, facts))
