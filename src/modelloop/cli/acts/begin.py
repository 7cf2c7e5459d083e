"""The first part of `modelloop run`: what is asked for is checked, and a plain pipeline is carried out right here.

A plain pipeline is one without data and without a model, on a store of this machine, with no worker up: nothing of what
the loop needs (SQLAlchemy, Polars, tables for the terminal) is loaded for it. All others go to `start`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any

from ... import app
from ...ground.core.clock import SystemClock
from ...ground.core.errors import InvalidInput, NotFound
from ...ground.core.toml import plain
from ...ground.flow.elsewhere import Deferred, Executor
from ...ground.flow.look import check_params
from ...ground.flow.records import Run, RunState
from ...ground.flow.sqlite_journal import steps_in_short
from ...ground.pool import here
from ...ground.store.blobs import Blobs
from ...ground.store.plain import PlainFacts, open_plain
from ...project import Project
from ...retrain.asof import PARAMETER, wants_as_of
from ...retrain.settings import PipelineSettings
from ..desk import Desk
from ..face import Answer


@dataclass(frozen=True, slots=True)
class Wish:
    """A run that somebody wants."""

    pipeline: str
    settings: PipelineSettings
    params: Mapping[str, Any]
    local: bool
    wait: bool
    reason: str


def run(desk: Desk, *, pipeline: str, params: Sequence[str], local: bool, wait: bool, reason: str) -> Answer:
    """Check what was asked for, then run it."""
    if pipeline not in desk.project.pipelines and Path(pipeline).is_dir():
        asked = {"folder": pipeline, "entry": "main", "env": "", "params": params}
        found: Answer = import_module(f"{__package__}.mlproject").run(desk, **asked)
        return found
    settings = _pipeline(desk.project, pipeline)
    wish = Wish(pipeline, settings, parsed(params), local, wait, reason)
    dated = settings.model is not None and wants_as_of(desk.project_dir, settings.function)
    known = {**settings.inputs, PARAMETER: None} if dated else settings.inputs
    check_params(desk.project_dir, settings.function, {**plain(settings.params), **wish.params}, inputs=known)
    facts = _plain_facts(desk, wish)
    if facts is None:
        answer: Answer = import_module(f"{__package__}.start").run(desk, wish)
        return answer
    try:
        return _answer(desk, facts, _here(desk, facts, wish))
    finally:
        facts.close()


def executor_of(desk: Desk) -> Executor:
    """Return what makes calls in other processes, as the project file says; made when a step first needs it."""
    place = (desk.project.pool, desk.project_dir, desk.settings.blobs_url)
    return Deferred(lambda: import_module("modelloop.ground.pool.places").executor_for(*place))


def parsed(params: Sequence[str]) -> dict[str, Any]:
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


def _pipeline(project: Project, name: str) -> PipelineSettings:
    if name not in project.pipelines:
        near = get_close_matches(name, project.pipelines, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"It declares: {', '.join(project.pipelines) or 'none'}."
        raise NotFound(f"The project declares no pipeline {name[:60]!r}.", hint=hint)
    return project.pipelines[name]


def _plain_facts(desk: Desk, wish: Wish) -> PlainFacts | None:
    """Return the facts if this process can carry the run out by itself."""
    makes = wish.settings.model is not None or wish.settings.fills is not None
    needs_more = makes or wish.settings.inputs or not wish.wait
    if needs_more or (not wish.local and (desk.settings.home / "up.json").exists()):
        return None
    return open_plain(desk.settings.database_url)


def _here(desk: Desk, facts: PlainFacts, wish: Wish) -> Run:
    settings = wish.settings
    asked = here.Asked(
        wish.pipeline,
        settings.function,
        desk.project_dir,
        desk.project.project.name,
        {**plain(settings.params), **wish.params},
        settings.seed,
        settings.time_limit,
    )
    blobs = Blobs(desk.settings.blobs_url)
    place = here.Desk(facts, blobs, SystemClock(), app.local_actor(), desk.settings.home, executor_of(desk))
    return here.run_here(place, asked)


def _answer(desk: Desk, facts: PlainFacts, made: Run) -> Answer:
    steps = steps_in_short(facts, made.id)
    failed = made.state in (RunState.FAILED, RunState.CANCELLED)
    if not desk.face.json:
        sys.stdout.write("\n".join(_lines(made, steps)) + "\n")
    return Answer({"run": made, "steps": steps}, lambda _console: None, code=int(failed), told=not desk.face.json)


def _lines(made: Run, steps: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what a person is told; `modelloop runs show RUN` tells more."""
    lines = [f"{made.id}  {made.pipeline}  {made.state}  {made.usage.wall_seconds:.2f} s"]
    width = max((len(step["name"]) for step in steps), default=0)
    lines += [
        f"  {step['number']:>3}  {step['name']:<{width}}  {step['state']:<6}  {step['seconds']:.3f} s  {step['reason']}"
        for step in steps
    ]
    lines += [f"  {name} = {value:.6g}" for name, value in made.metrics.items()]
    if made.error is not None:
        told = (
            made.error.traceback if '  File "' in made.error.traceback else f"{made.error.kind}: {made.error.message}"
        )
        lines.append(told.rstrip())
    if made.state is RunState.WAITING:
        lines.append(
            f"It waits for an answer: `modelloop runs waiting`, `modelloop runs answer {made.id} NAME CHOICE`."
        )
    return lines
