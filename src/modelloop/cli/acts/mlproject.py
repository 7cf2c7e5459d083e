"""The work of `modelloop run FOLDER`: an MLflow project as a pipeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from ... import app
from ...exchange.mlproject.pipeline import FUNCTION, TIME_LIMIT
from ...exchange.mlproject.running import Ready, Wanted, ready
from ...ground.core.clock import SystemClock
from ...ground.flow import actions as flow
from ...ground.flow.records import Run, RunState
from ...ground.pool import here
from ...ground.store.blobs import Blobs
from ...ground.store.plain import open_plain
from ...worker import Worker
from ..desk import Desk
from ..face import Answer
from . import runs
from .begin import executor_of
from .tables import printed


def run(desk: Desk, *, folder: str, entry: str, env: str, params: Sequence[str]) -> Answer:
    """Check, make the environment, run, show."""
    console = Console(stderr=True, quiet=desk.face.json)
    wanted = Wanted(Path(folder), entry, params, env)
    home = desk.settings.home
    with console.status("reading the project") as status:
        asked = ready(wanted, project_dir=desk.project_dir, home=home, tell=status.update)
        status.update(f"running {asked.pipeline}")
        made = _run(desk, asked)
    answer = runs.show(desk, run=made.id)
    failed = made.state in (RunState.FAILED, RunState.CANCELLED)
    show = printed(*(Text(note, style="yellow") for note in asked.notes))

    def told(out: Console) -> None:
        show(out)
        answer.show(out)

    return Answer(answer.data, told, code=int(failed))


def _run(desk: Desk, asked: Ready) -> Run:
    """Run it in this process on a SQLite store; elsewhere through the queue, worked off by this process."""
    _ = desk.ctx  # the store is made and migrated
    facts = open_plain(desk.settings.database_url)
    argument = {"mlproject": dict(asked.argument)}
    if facts is None:
        return _queued(desk, asked, argument)
    project = desk.project.project.name
    wish = here.Asked(asked.pipeline, FUNCTION, desk.project_dir, project, argument, 0, TIME_LIMIT)
    place = here.Desk(
        facts, Blobs(desk.settings.blobs_url), SystemClock(), app.local_actor(), desk.settings.home, executor_of(desk)
    )
    try:
        return here.run_here(place, wish)
    finally:
        facts.close()


def _queued(desk: Desk, asked: Ready, argument: Mapping[str, object]) -> Run:
    made = flow.submit(
        desk.ctx,
        pipeline=asked.pipeline,
        function=FUNCTION,
        project_dir=desk.project_dir,
        inputs={},
        params=argument,
        seed=0,
        time_limit=TIME_LIMIT,
    )
    worker = Worker(desk.ctx, desk.project, desk.project_dir)
    try:
        while not (found := flow.get_run(desk.ctx, made.id)).state.ended:
            worker.turn()
    finally:
        worker.close()
    return found
