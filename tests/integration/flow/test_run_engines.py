"""A run with map over processes, artifacts, failure and cache, on each engine."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from textwrap import dedent

import polars as pl
import pytest

from modelloop.ground.flow import actions
from modelloop.ground.flow.records import InputRef, Run, RunState
from modelloop.ground.pool.adapters.local import LocalExecutor
from modelloop.ground.store.context import Context
from modelloop.testing.fakes import make_context

STEPS = """
    import os
    import random
    import polars as pl
    from modelloop import artifact, log, pipeline, step

    FACTOR = 3

    def times(n):
        return n * FACTOR

    @step
    def part(n, rows, bad=None):
        if n == bad:
            raise ValueError(f"{n} is bad")
        log("part", n)
        artifact(f"part-{n}", str(n))
        chosen = rows.filter(pl.col("k") == n)
        return {"rows": chosen, "sum": times(chosen["v"].sum()), "pid": os.getpid(), "luck": random.random()}

    @pipeline
    def main(rows, bad=None):
        parts = part.map([0, 1, 2, 3], rows, bad=bad)
        return [p["sum"] for p in parts], sorted({p["pid"] for p in parts}), [p["luck"] for p in parts]
"""
ROWS = pl.DataFrame({"k": [0, 1, 2, 3] * 50, "v": list(range(200))})


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))


def run(ctx: Context, folder: Path, name: str, *, processes: int = 2, **params: object) -> Run:
    (folder / f"{name}.py").write_text(dedent(STEPS))
    queued = actions.submit(
        ctx,
        pipeline="test",
        function=f"{name}:main",
        project_dir=folder,
        inputs={"rows": InputRef("rows", 1, "1" * 64)},
        params=params,
    )
    executor = LocalExecutor(folder, ctx.blobs.url, processors=processes)
    return actions.execute(ctx, queued.id, resolve=lambda _: ROWS, processes=processes, executor=executor)


def test_map_over_processes(both_engines: Context, tmp_path: Path) -> None:
    ctx, name = both_engines, f"spread{time.monotonic_ns()}"
    done = run(ctx, tmp_path, name)
    assert done.error is None, done.error.traceback
    sums, pids, luck = actions.result(ctx, done.id)  # type: ignore[misc]
    assert sums == [3 * sum(range(k, 200, 4)) for k in range(4)]
    assert os.getpid() not in pids
    assert len(pids) <= 2
    assert len(set(luck)) == 4
    steps = actions.steps_of(ctx, done.id)
    assert [(s.number, s.name, s.state) for s in steps] == [(n, "part", "done") for n in range(4)]
    assert sorted(done.artifacts) == ["part-0", "part-1", "part-2", "part-3"]
    assert [p.value for p in sorted(actions.metric(ctx, done.id, "part"), key=lambda p: p.value)] == [0, 1, 2, 3]

    here = run(ctx, tmp_path, name, processes=1)
    assert [str(s.state) for s in actions.steps_of(ctx, here.id)] == ["cached"] * 4
    assert actions.result(ctx, here.id) == actions.result(ctx, done.id)


def test_the_same_randomness_in_this_process_as_in_others(ctx: Context, tmp_path: Path) -> None:
    name = f"lucky{time.monotonic_ns()}"
    apart = actions.result(ctx, run(ctx, tmp_path, name).id)
    other = make_context(tmp_path / "other")
    here = actions.result(other, run(other, tmp_path, name, processes=1).id)
    other.db.close()
    assert isinstance(apart, tuple)
    assert isinstance(here, tuple)
    assert apart[2] == here[2]


def test_a_failing_item_fails_the_run_and_finished_items_are_kept(both_engines: Context, tmp_path: Path) -> None:
    ctx, name = both_engines, f"failing{time.monotonic_ns()}"
    failed = run(ctx, tmp_path, name, bad=2)
    assert failed.state is RunState.FAILED
    assert failed.error is not None
    assert (failed.error.kind, failed.error.message, failed.error.step) == ("ValueError", "2 is bad", "part")
    assert 'raise ValueError(f"{n} is bad")' in failed.error.traceback
    states = {s.number: str(s.state) for s in actions.steps_of(ctx, failed.id)}
    assert states[2] == "failed"
    assert states[0] == states[1] == "done"


WAITS = """
    from pathlib import Path
    from modelloop import ask, pipeline, step
    NOTES = str(Path(__file__).parent / "tried")

    @step(retries=2, pause=0, retry_on=(OSError,))
    def flaky(n):
        with open(NOTES, "a") as out:
            out.write("x")
        if len(Path(NOTES).read_text()) < 3:
            raise OSError("not yet")
        return n

    @pipeline
    def main(n=1):
        return flaky(n), ask("ship", "Ship it?")
"""


def test_retries_waits_reasons_and_forgetting(both_engines: Context, tmp_path: Path) -> None:
    ctx, name = both_engines, f"waits{time.monotonic_ns()}"
    (tmp_path / f"{name}.py").write_text(dedent(WAITS))

    def execute(n: int) -> Run:
        queued = actions.submit(
            ctx, pipeline="test", function=f"{name}:main", project_dir=tmp_path, inputs={}, params={"n": n}
        )
        return actions.execute(ctx, queued.id, resolve=lambda _: None)

    first = execute(1)
    assert first.state is RunState.WAITING, first.error
    assert [(s.attempts, str(s.state)) for s in actions.steps_of(ctx, first.id)] == [(3, "done")]
    assert [wait.name for wait in actions.waiting(ctx)] == ["ship"]
    assert actions.answer(ctx, first.id, "ship", "yes").state is RunState.QUEUED
    done = actions.execute(ctx, first.id, resolve=lambda _: None)
    assert actions.result(ctx, done.id) == (1, "yes")
    second = execute(2)
    (why,) = actions.why(ctx, second.id)
    assert [(change.what, change.name) for change in why.changes] == [("argument", "n")]
    assert actions.cancel(ctx, second.id).state is RunState.CANCELLED
    assert actions.forget_results(ctx, [first.id]) > 0
    assert actions.steps_of(ctx, first.id)[0].output is None
