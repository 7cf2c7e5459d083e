"""The work of `modelloop run`: queue a run or open an episode, and wait for its end."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from rich.console import Console
from rich.status import Status

from ... import supervise
from ...data import actions as data
from ...ground.core.errors import InvalidInput, NotFound, NotReady
from ...ground.flow import actions as flow
from ...ground.flow.records import InputRef, Run, RunState
from ...project import Project
from ...retrain import actions as retrain
from ...retrain.policy import Cause
from ...retrain.records import Episode, EpisodeState, Result
from ...retrain.settings import PipelineSettings
from ...web.facts import rollout_or_none
from ...web.telling import tell
from ...worker import Worker
from ..desk import Desk
from ..face import Answer
from . import episodes, runs
from .tables import printed

LOOK_EVERY = 0.1
PATIENCE = 15.0
"""Seconds for which the loop may stumble in every turn before waiting is given up."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What was begun: a run alone, or an episode that will have one."""

    run: str | None
    episode: str | None


def run(desk: Desk, *, pipeline: str, params: Sequence[str], local: bool, wait: bool, reason: str) -> Answer:
    """Begin, wait, show."""
    settings = _pipeline(desk.project, pipeline)
    asked = _begin(desk, pipeline, settings, _parsed(params), reason or "by the command line")
    if not wait:
        return _answer(desk, asked)
    if local or supervise.running(desk.settings.home) is None:
        worker = Worker(desk.ctx, desk.project, desk.project_dir)
        try:
            _wait(desk, asked, worker.turn)
        finally:
            worker.close()
    else:
        _wait(desk, asked, lambda: None)
    return _answer(desk, asked)


def _pipeline(project: Project, name: str) -> PipelineSettings:
    if name not in project.pipelines:
        near = get_close_matches(name, project.pipelines, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"It declares: {', '.join(project.pipelines) or 'none'}."
        raise NotFound(f"The project declares no pipeline {name[:60]!r}.", hint=hint)
    return project.pipelines[name]


def _parsed(params: Sequence[str]) -> dict[str, Any]:
    """Return NAME=VALUE pairs; a value that is JSON is read as that, anything else is text."""
    found: dict[str, Any] = {}
    for param in params:
        name, separator, text = param.partition("=")
        if not separator or not name.isidentifier():
            raise InvalidInput(f"-P {param[:60]!r} is not NAME=VALUE.", hint="For instance: -P months=2.")
        try:
            found[name] = json.loads(text)
        except ValueError:
            found[name] = text
    return found


def _begin(desk: Desk, pipeline: str, settings: PipelineSettings, params: dict[str, Any], reason: str) -> _Asked:
    endpoint = next((name for name, place in desk.project.endpoints.items() if place.model == settings.model), None)
    if settings.model is not None and endpoint is not None:
        why = Cause(reason)
        opened = retrain.open_episode(
            desk.ctx, desk.project, endpoint=endpoint, pipeline=pipeline, why=why, params=params
        )
        return _Asked(None, opened.id)
    for name, source in desk.project.sources.items():
        data.ingest(desk.ctx, name, source, desk.project.contracts[source.contract], root=desk.project_dir)
    newest = {argument: data.version(desk.ctx, dataset) for argument, dataset in settings.inputs.items()}
    made = flow.submit(
        desk.ctx,
        pipeline=pipeline,
        function=settings.function,
        project_dir=desk.project_dir,
        inputs={name: InputRef(found.dataset, found.number, found.digest) for name, found in newest.items()},
        params={**settings.params, **params},
        seed=settings.seed,
        time_limit=settings.time_limit,
    )
    return _Asked(made.id, None)


def _wait(desk: Desk, asked: _Asked, work: Callable[[], object]) -> None:
    """Look until it is over; where nobody else works, `work` does a piece in between."""
    console = Console(stderr=True, quiet=desk.face.json or not sys.stderr.isatty())
    began = well = time.monotonic()
    with console.status("queued") as status:
        while not _over(desk, asked, status, time.monotonic() - began):
            work()
            time.sleep(LOOK_EVERY)
            turn = retrain.last_turn(desk.ctx)
            well = well if turn is not None and turn.errors else time.monotonic()
            if turn is not None and time.monotonic() - well > PATIENCE:
                told = "; ".join(f"{part}: {why}" for part, why in turn.errors.items())
                raise NotReady(
                    f"The loop stumbles again and again, in {told}.", hint="It is tried again as long as a worker runs."
                )


def _over(desk: Desk, asked: _Asked, status: Status, seconds: float) -> bool:
    episode = retrain.get_episode(desk.ctx, asked.episode) if asked.episode else None
    name = asked.run or (episode.run if episode else None)
    made = flow.get_run(desk.ctx, name) if name else None
    status.update(f"{_doing(episode, made, desk)} ({seconds:.0f} s)")
    if episode is not None:
        return episode.state in (EpisodeState.ROLLING, EpisodeState.CLOSED)
    return made is not None and made.state.ended


def _doing(episode: Episode | None, made: Run | None, desk: Desk) -> str:
    if made is None:
        return "taking in data"
    if made.state is RunState.RUNNING:
        steps = flow.steps_of(desk.ctx, made.id)
        return f"running, {len(steps)} steps finished" + (f", last {steps[-1].name}" if steps else "")
    return f"episode {episode.number} is {episode.state}" if episode and made.state.ended else str(made.state)


def _answer(desk: Desk, asked: _Asked) -> Answer:
    if asked.episode is None:
        answer = runs.show(desk, run=str(asked.run))
        state = flow.get_run(desk.ctx, str(asked.run)).state
        failed = state in (RunState.FAILED, RunState.CANCELLED)
        return Answer(answer.data, answer.show, code=int(failed))
    episode = retrain.get_episode(desk.ctx, asked.episode)
    made = flow.get_run(desk.ctx, episode.run) if episode.run else None
    told = tell(episode, made, rollout_or_none(desk.ctx, episode.rollout))
    failed = episode.result in (Result.FAILED, Result.REFUSED)
    return Answer(told, printed(*episodes.evidence(told)), code=int(failed))
