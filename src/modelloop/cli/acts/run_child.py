"""The process of one run: carries it out and judges what it made. The only one that loads what trains and scores."""

from __future__ import annotations

import os

from ... import app
from ...data import actions as data
from ...ground.core.records import Actor
from ...ground.flow import actions as flow
from ...ground.flow.records import InputRef, RunState
from ...retrain.actions.settling import settle_run
from ..desk import Desk
from ..face import Answer


def run_child(desk: Desk, *, run: str, worker: str | None) -> Answer:
    """Exit with 0 once the facts say how the run ended."""
    ctx = app.open_context(desk.project_dir, Actor("worker"), settings=desk.settings)

    def resolve(ref: InputRef) -> object:
        return data.read(ctx, ref.dataset, ref.version).collect()

    os.nice(5)  # answering comes before training
    try:
        made = flow.execute(ctx, run, resolve=resolve, worker=worker)
        if made.state is RunState.DONE:
            settle_run(ctx, desk.project, desk.project_dir, run)
    finally:
        ctx.db.close()
    return Answer({"run": run, "state": made.state}, lambda console: console.print(f"{run} is {made.state}"))
