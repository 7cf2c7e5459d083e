"""A whole machine dies in the middle of a run, its disk with it: another goes on from what the team's store has."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from textwrap import dedent

import pytest

from modelloop.ground.core.clock import SystemClock
from modelloop.ground.flow import actions
from modelloop.ground.flow.records import RunState
from modelloop.ground.pool import actions as pool
from modelloop.ground.pool.records import JobState
from modelloop.ground.store import audit
from modelloop.ground.store.context import Context
from modelloop.testing.fakes import make_context
from servers import Servers

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform != "linux", reason="finds the processes of a machine in /proc"),
]
STEPS = """
    import os, time
    from pathlib import Path
    from modelloop import pipeline, step

    NOTES = str(Path(__file__).parent / "notes")

    def note(text):
        out = os.open(NOTES, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(out, (text + "\\n").encode())
        os.close(out)

    @step(cache=False)
    def one(k):
        note(f"begin {k}")
        time.sleep(0.15)
        note(f"end {k}")
        return list(range(k * 30_000))

    @pipeline
    def main():
        return sum(len(one(k)) for k in range(12))
"""
MACHINE = """
    import sys, time
    from datetime import timedelta
    from pathlib import Path
    from modelloop.ground.core.clock import SystemClock
    from modelloop.ground.core.records import Actor
    from modelloop.ground.flow import actions
    from modelloop.ground.pool.worker import Worker
    from modelloop.ground.store.blobs import Blobs
    from modelloop.ground.store.context import Context
    from modelloop.ground.store.db import Database

    home, database, blobs = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    ctx = Context(Database(database), Blobs(blobs), SystemClock(), Actor("worker"), home)
    if len(sys.argv) > 4:
        actions.execute(ctx, sys.argv[4], resolve=lambda ref: None, worker=home.name)
        sys.exit()
    worker = Worker(
        ctx, name=home.name, argv=lambda run: [sys.executable, *sys.argv[:4], run], lease=timedelta(seconds=2)
    )
    while True:
        worker.turn()
        time.sleep(0.02)
"""


def until(condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.01)


def processes_of(session: int) -> list[int]:
    """Return the living processes that descend from one: what runs on its machine."""
    parents = {}
    for place in Path("/proc").iterdir():
        try:
            fields = (place / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if place.name.isdigit() and fields[0] != "Z":
            parents[int(place.name)] = int(fields[1])
    found = [session]
    for one in found:
        found += [pid for pid, parent in parents.items() if parent == one]
    return found


@pytest.mark.usefixtures("s3_url")
def test_another_machine_goes_on(tmp_path: Path, servers: Servers) -> None:
    project, program = tmp_path / "project", tmp_path / "machine.py"
    project.mkdir()
    (project / "steps.py").write_text(dedent(STEPS))
    program.write_text(dedent(MACHINE))
    notes = project / "notes"
    notes.touch()
    with servers.postgres("18").fresh() as url:
        blobs = servers.s3()
        ctx = make_context(tmp_path / "desk", database_url=url, blobs_url=blobs, clock=SystemClock())
        run = actions.submit(
            ctx, pipeline="test", function="steps:main", project_dir=project, inputs={}, params={},
            time_limit=timedelta(minutes=1),
        )  # fmt: skip
        for name, lines in (("first", 5), ("second", 5)):
            die_in_the_middle(ctx, [str(program), str(tmp_path / name), url, blobs], notes, lines)
        (tmp_path / "third").mkdir()
        third = subprocess.Popen([sys.executable, program, tmp_path / "third", url, blobs])
        try:
            until(lambda: not pool.list_jobs(ctx, states=[JobState.WAITING, JobState.HELD]), "the third machine")
        finally:
            third.kill()
            third.wait()
        done = actions.get_run(ctx, run.id)
        assert (done.state, done.worker) == (RunState.DONE, "third"), done.error
        assert actions.result(ctx, run.id) == sum(k * 30_000 for k in range(12))
        ends = Counter(line for line in notes.read_text().splitlines() if line.startswith("end"))
        assert len(ends) == 12
        assert sum(ends.values()) <= 12 + 2, "only what was under way at a death ran again"
        with ctx.db.reading() as connection:
            audit.verify(connection)
        ctx.db.close()


def die_in_the_middle(ctx: Context, words: list[str], notes: Path, lines: int) -> None:
    """Let a machine work for some steps, then end all of it at once, and its disk."""
    home = Path(words[1])
    home.mkdir()
    goal = len(notes.read_text().splitlines()) + lines
    machine = subprocess.Popen([sys.executable, *words])
    try:
        until(lambda: len(notes.read_text().splitlines()) >= goal, f"{home.name} at work")
    finally:
        every = processes_of(machine.pid)
        for pid in every:
            os.kill(pid, signal.SIGSTOP)  # none sees another die
        for pid in every:
            os.kill(pid, signal.SIGKILL)
        machine.wait()
    assert len(every) > 1, "the run had a process of its own"
    shutil.rmtree(home)
    (job,) = pool.list_jobs(ctx)
    assert (job.state, job.worker) == (JobState.HELD, home.name), "nobody has said that it is dead"
