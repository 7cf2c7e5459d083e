"""The process of one run: carries it out, and judges what it made."""

from __future__ import annotations

import os
from importlib import import_module

from ...ground.core.clock import SystemClock
from ...ground.core.records import Actor
from ...ground.flow.records import Run
from ...ground.flow.sqlite_journal import find_run
from ...ground.pool import here
from ...ground.store.blobs import Blobs
from ...ground.store.plain import open_plain
from ..desk import Desk
from ..face import Answer
from .begin import executor_of


def run_child(desk: Desk, *, run: str, worker: str | None) -> Answer:
    """Exit with 0 once the facts say how the run ended, or that it waits for a person."""
    os.nice(5)  # answering comes before training
    made = _without_data(desk, run, worker)
    if made is None:
        made = import_module(f"{__package__}.judged").carry_out(desk, run, worker)
    return Answer({"run": run, "state": made.state}, lambda console: console.print(f"{run} is {made.state}"))


def _without_data(desk: Desk, run_id: str, worker: str | None) -> Run | None:
    """Carry out a run that needs no data and makes no model, on a store of this machine; None: it is another."""
    facts = open_plain(desk.settings.database_url)
    if facts is None:
        return None
    try:
        blobs = Blobs(desk.settings.blobs_url)
        run = find_run(facts, run_id, blobs.get)
        settings = desk.project.pipelines.get(run.pipeline)
        if run.inputs or settings is None or settings.model is not None or settings.fills is not None:
            return None
        place = here.Desk(facts, blobs, SystemClock(), Actor("worker"), desk.settings.home, executor_of(desk))
        return here.carry_on(place, run_id, worker, accounts=worker is None)
    finally:
        facts.close()
