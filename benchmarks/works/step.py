"""One recorded, durable step beside a journal written by hand: the same engine, one look-up, one insert, one commit."""

import hashlib
import json
import sqlite3
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from modelloop.ground.flow import actions
from modelloop.ground.store.db import Database
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
    """Look the key up, write the row, commit: what somebody would write into a script to make it resumable."""
    table = sa.Table(
        "step", sa.MetaData(), sa.Column("key", sa.String(64), primary_key=True), sa.Column("name", sa.String(300)),
        sa.Column("output", sa.JSON), sa.Column("at", sa.DateTime),
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        db = Database(f"sqlite:///{Path(folder) / 'facts.sqlite'}")
        table.create(db.engine)
        total = 0
        before = time.process_time()
        for number in range(STEPS):
            key = hashlib.sha256(json.dumps(["add", total, number]).encode()).hexdigest()
            with db.reading() as connection:
                found = connection.execute(sa.select(table.c.output).where(table.c.key == key)).first()
            assert found is None
            total += number
            row = {"key": key, "name": "add", "output": total, "at": datetime(2026, 1, 1)}  # noqa: DTZ001
            with db.transaction() as connection:
                connection.execute(table.insert().values(**row))
        spent = time.process_time() - before
        db.close()
    return spent / STEPS


WORK = Work(
    "a recorded step",
    "a hand-written journal: hash the arguments, select, insert, commit "
    f"({versions('sqlalchemy')}, sqlite {sqlite3.sqlite_version})",
    1.5,
    _run,
)
