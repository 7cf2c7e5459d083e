"""Runs with data or a model: carried out, then what they made is judged. Loads what trains and scores."""

from __future__ import annotations

import sys

from ... import app
from ...data import actions as data
from ...ground.core.errors import DataRefused, StaleState
from ...ground.core.records import Actor
from ...ground.flow import actions as flow
from ...ground.flow.records import InputRef, Run, RunState
from ...ground.store.context import Context
from ...retrain.actions.filling import fill_source
from ...retrain.actions.settling import settle_run
from ...train.tracking.actions import mirror
from ..desk import Desk
from .begin import executor_of


def carry_out(desk: Desk, run: str, worker: str | None) -> Run:
    """Return the run as it ended, its candidate judged."""
    ctx = app.open_context(desk.project_dir, Actor("worker"), settings=desk.settings)

    def resolve(ref: InputRef) -> object:
        return data.read(ctx, ref.dataset, ref.version).collect()

    try:
        made = flow.execute(ctx, run, resolve=resolve, worker=worker, executor=executor_of(desk))
        if made.state is RunState.DONE:
            settle_run(ctx, desk.project, desk.project_dir, run)
            _fill(desk, ctx, run)
        mirror.project(ctx, run)
    finally:
        ctx.db.close()
    return made


def _fill(desk: Desk, ctx: Context, run: str) -> None:
    """Take in what a pipeline that prepares data returned. A refusal is kept with its report."""
    try:
        fill_source(ctx, desk.project, desk.project_dir, run)
    except (DataRefused, StaleState) as error:  # refused, or somebody else was faster with it
        sys.stderr.write(f"{error}\n")
