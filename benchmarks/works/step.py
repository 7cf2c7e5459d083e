"""One recorded, durable step beside a bare insert and commit into SQLite."""

import sqlite3
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from modelloop.ground.flow import actions
from modelloop.testing.fakes import make_context

from ..measure import Measured, Work, paired, versions

STEPS = 200
PROJECT = f"""
from modelloop import pipeline, step

@step
def add(total, number):
    return total + number

@pipeline
def chain():
    total = 0
    for number in range({STEPS}):
        total = add(total, number)
    return total
"""


def _run() -> Measured:
    ours, reference = paired(_ours, _reference, rounds=5)
    return Measured(ours * 1e3, reference * 1e3, "CPU ms a step", {"steps": STEPS})


def _ours() -> float:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "steps.py").write_text(PROJECT)
        ctx = make_context(home / "store")
        run = actions.submit(
            ctx, pipeline="chain", function="steps:chain", project_dir=home, inputs={}, params={}, seed=0,
            time_limit=timedelta(minutes=1),
        )  # fmt: skip
        before = time.process_time()
        actions.execute(ctx, run.id, resolve=lambda ref: ref)
        spent = time.process_time() - before
        assert actions.result(ctx, run.id) == sum(range(STEPS))
        ctx.db.close()
    return spent / STEPS


def _reference() -> float:
    with tempfile.TemporaryDirectory() as folder:
        facts = sqlite3.connect(Path(folder) / "facts.sqlite", isolation_level=None)
        facts.execute("pragma journal_mode=wal")
        facts.execute("pragma synchronous=normal")
        facts.execute("create table step (number integer primary key, name text, output text)")
        before = time.process_time()
        for number in range(STEPS):
            facts.execute("begin immediate")
            facts.execute("insert into step values (?, 'add', ?)", (number, str(number)))
            facts.execute("commit")
        spent = time.process_time() - before
        facts.close()
    return spent / STEPS


WORK = Work("a recorded step", f"begin, insert, commit with sqlite3 ({versions()}, sqlite {sqlite3.sqlite_version})", 40.0, _run)
