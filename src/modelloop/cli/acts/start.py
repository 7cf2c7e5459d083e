"""The work of `modelloop run`: queue a run or open an episode, and wait for its end."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from rich.console import Console
from rich.status import Status

from ... import supervise
from ...ground.core.errors import NotReady, StaleState
from ...ground.flow import actions as flow
from ...ground.flow.records import Run, RunState
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
from .begin import Wish
from .tables import printed

LOOK_EVERY = 0.1
PATIENCE = 15.0
"""Seconds for which the loop may stumble in every turn before waiting is given up."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What was begun: a run alone, or an episode that will have one."""

    run: str | None
    episode: str | None


def run(desk: Desk, wish: Wish) -> Answer:
    """Begin, wait, show: by a worker, or by the loop turned in this process where none is up."""
    asked = _begin(desk, wish.pipeline, wish.settings, dict(wish.params), wish.reason or "by the command line")
    if not wish.wait:
        return _answer(desk, asked)
    if wish.local or supervise.running(desk.settings.home) is None:
        worker = Worker(desk.ctx, desk.project, desk.project_dir)
        try:
            _wait(desk, asked, worker.turn)
        finally:
            worker.close()
    else:
        _wait(desk, asked, lambda: None)
    return _answer(desk, asked)


def _begin(desk: Desk, pipeline: str, settings: PipelineSettings, params: dict[str, Any], reason: str) -> _Asked:
    endpoint = next((name for name, place in desk.project.endpoints.items() if place.model == settings.model), None)
    if settings.model is not None and endpoint is not None:
        why = Cause(reason)
        opened = retrain.open_episode(
            desk.ctx, desk.project, endpoint=endpoint, pipeline=pipeline, why=why, params=params
        )
        return _Asked(None, opened.id)
    made = retrain.start_run(desk.ctx, desk.project, desk.project_dir, pipeline, params=params)
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
        over = episode.state in (EpisodeState.ROLLING, EpisodeState.CLOSED)
        return over or (made is not None and made.state is RunState.WAITING)
    return made is not None and (made.state.ended or made.state is RunState.WAITING)


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
        if state is RunState.DONE and _fills(desk, str(asked.run)):
            _filled(desk, str(asked.run))
        return Answer(answer.data, answer.show, code=int(failed))
    episode = retrain.get_episode(desk.ctx, asked.episode)
    made = flow.get_run(desk.ctx, episode.run) if episode.run else None
    told = tell(episode, made, rollout_or_none(desk.ctx, episode.rollout))
    failed = episode.result in (Result.FAILED, Result.REFUSED)
    return Answer(told, printed(*episodes.evidence(told)), code=int(failed))


def _fills(desk: Desk, run: str) -> bool:
    settings = desk.project.pipelines.get(flow.get_run(desk.ctx, run).pipeline)
    return settings is not None and settings.fills is not None


def _filled(desk: Desk, run: str) -> None:
    """Return when the frame that the run returned is taken in; raises DataRefused. The run's process does so too."""
    with suppress(StaleState):  # it was faster
        import_module("modelloop.retrain.actions.filling").fill_source(desk.ctx, desk.project, desk.project_dir, run)
