"""Killed processes, full disks, a million points, pipelines' runs that are projected again and again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import tracemalloc
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from modelloop.ground.core.errors import StoreUnavailable
from modelloop.ground.flow import actions as flow
from modelloop.ground.flow.records import InputRef, RunState
from modelloop.ground.store.blobs import Blobs
from modelloop.ground.store.context import Context
from modelloop.train.tracking import actions
from modelloop.train.tracking.actions import artifacts
from modelloop.train.tracking.records import CHUNK, Batch, Metric, Owner, TrackedState
from modelloop.train.tracking.writer import Writer

LOGGER = Path(__file__).with_name("logging_process.py")


def killed_after(lines: int, *arguments: str) -> list[str]:
    """Run the logging process until it has confirmed so much, kill it, return all it confirmed."""
    process = subprocess.Popen([sys.executable, str(LOGGER), *arguments], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = [process.stdout.readline() for _ in range(lines)]
    process.send_signal(signal.SIGKILL)
    rest = process.stdout.read().splitlines(keepends=True)
    process.wait()
    process.stdout.close()
    return [line.strip() for line in (*said, *rest) if line.endswith("\n")]


def test_a_killed_process_loses_nothing_that_was_confirmed(both_engines: Context, tmp_path: Path) -> None:
    ctx = both_engines
    run = actions.create_run(ctx, 0).id
    confirmed = killed_after(203, str(tmp_path), ctx.db.url.render_as_string(hide_password=False), run)
    assert len(confirmed) >= 203
    steps = {name: {one.step for one in actions.history(ctx, run, name).items} for name in ("a", "b")}
    assert steps["a"] == steps["b"]  # each batch is whole
    assert steps["a"] >= set(map(int, confirmed))
    assert actions.get_run(ctx, run).metrics["a"].step == max(steps["a"])
    actions.log_batch(ctx, run, [Metric("a", 1.0, 10**6)])  # and goes on


def test_an_upload_whose_process_was_killed_is_not_seen(ctx: Context, tmp_path: Path) -> None:
    run = actions.create_run(ctx, 0).id
    killed_after(3, str(tmp_path), ctx.db.url.render_as_string(), run, "upload")
    owner = Owner("run", run)
    assert artifacts.list_artifacts(ctx, owner) == []
    left = set(ctx.blobs.hashes())
    assert len(left) >= 3
    assert artifacts.kept(ctx) == set()  # the garbage collection may take them all
    artifacts.put(ctx, owner, "big.bin", b"small")
    assert [one.size for one in artifacts.list_artifacts(ctx, owner)] == [5]


def test_a_full_disk_refuses_and_keeps_what_was_there(ctx: Context) -> None:
    run = actions.create_run(ctx, 0).id
    actions.log_batch(ctx, run, [Metric("m", 1.0)])
    with ctx.db.reading() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()

    def limit(connection: sa.engine.interfaces.DBAPIConnection, *_: object) -> None:
        connection.execute(f"PRAGMA max_page_count={pages + 4}")  # type: ignore[attr-defined]

    sa.event.listen(ctx.db.engine, "checkout", limit)
    there = Writer(ctx)
    answers = [
        there.submit(Batch(run, [Metric(f"m{n}-{k}" * 20, 1.0) for n in range(500)])).exception() for k in range(3)
    ]
    assert all(isinstance(one, StoreUnavailable) for one in answers)
    sa.event.remove(ctx.db.engine, "checkout", limit)
    with ctx.db.reading() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count=1000000")
    assert set(actions.get_run(ctx, run).metrics) == {"m"}
    there.close()


def test_no_room_for_bytes_leaves_no_file(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = Owner("run", actions.create_run(ctx, 0).id)

    def full(*_: object) -> str:
        raise StoreUnavailable("Could not write 16777216 bytes: no space left on device.")

    monkeypatch.setattr(Blobs, "put", full)
    with pytest.raises(StoreUnavailable), artifacts.open_upload(ctx, owner, "a") as upload:
        upload.write(b"x" * (CHUNK + 1))
    assert artifacts.list_artifacts(ctx, owner) == []


def test_a_million_points_on_a_run(ctx: Context) -> None:
    run = actions.create_run(ctx, 0).id
    for start in range(0, 1_000_000, 50_000):
        points = [Metric("m", float(n), n, n) for n in range(start, start + 50_000)]
        assert actions.apply(ctx, [Batch(run, points)], limits=False) == [None]
    before = time.process_time()
    assert actions.get_run(ctx, run).metrics["m"].step == 999_999
    assert [one.id for one in actions.find_runs(ctx, [0], "metrics.m > 999998").items] == [run]
    page = actions.history(ctx, run, "m", 1000)
    assert [one.step for one in page.items] == list(range(1000))
    assert [one.step for one in actions.history(ctx, run, "m", 2, page.next_token).items] == [1000, 1001]
    assert time.process_time() - before < 0.5  # the points are not read
    curve = actions.history_of_many(ctx, [run], "m", 500)
    assert (len(curve), curve[0].step, curve[-1].step) == (501, 0, 999_999)


def test_an_upload_holds_one_chunk_in_memory(ctx: Context) -> None:
    owner = Owner("run", actions.create_run(ctx, 0).id)
    block = os.urandom(1 << 20)
    tracemalloc.start()
    with artifacts.open_upload(ctx, owner, "big") as upload:
        for _ in range(100):
            upload.write(block)
        upload.commit()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2.3 * CHUNK
    size, pieces = artifacts.read(ctx, owner, "big")
    assert size == sum(map(len, pieces)) == 100 << 20


STEPS = """
import modelloop
from modelloop import pipeline, step


@step
def train(rate: float) -> float:
    for number in range(5):
        modelloop.log("loss (%)", 1 / (number + 1), step=number)
    return rate


@pipeline
def fit(flights, rate: float, layers: list):
    return train(rate)
"""


def test_a_pipelines_run_is_a_tracked_run(ctx: Context, tmp_path: Path) -> None:
    (tmp_path / "tracked_steps.py").write_text(STEPS)
    digest = ctx.blobs.put(b"rows")
    run = flow.submit(
        ctx,
        pipeline="fit",
        function="tracked_steps:fit",
        project_dir=tmp_path,
        inputs={"flights": InputRef("flights", 3, digest)},
        params={"rate": 0.5, "layers": [1, 2]},
        seed=7,
        time_limit=timedelta(minutes=1),
    )
    assert actions.project(ctx, run.id).status is TrackedState.SCHEDULED
    done = flow.execute(ctx, run.id, resolve=lambda ref: ref)
    assert done.state is RunState.DONE, done.error
    first = actions.project(ctx, run.id)
    assert actions.project(ctx, run.id).metrics == first.metrics
    assert first.id == run.id
    assert first.status is TrackedState.FINISHED
    assert actions.get_experiment(ctx, first.experiment).name == "fit"
    assert dict(first.params) == {"rate": "0.5", "layers": "[1, 2]"}
    assert first.tags["modelloop.run"] == run.id
    assert first.tags["modelloop.data.flights"] == "flights:3"
    assert first.tags["modelloop.seed"] == "7"
    assert [one.name for one in first.inputs] == ["flights"]
    listed = {one.path for one in artifacts.list_artifacts(ctx, Owner("run", run.id), "modelloop")}
    assert "modelloop/environment.json" in listed
    found = actions.find_runs(ctx, [first.experiment], "tags.`modelloop.pipeline` = 'fit'")
    assert [one.id for one in found.items] == [run.id]
    assert [one.step for one in actions.history(ctx, run.id, "loss ___").items] == [0, 1, 2, 3, 4]
    actions.delete_run(ctx, run.id)
    assert actions.project(ctx, run.id).lifecycle == "deleted"
