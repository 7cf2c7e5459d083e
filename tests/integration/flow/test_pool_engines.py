"""The queue on each engine, with many workers at once."""

from __future__ import annotations

import subprocess
import sys
import threading
from datetime import timedelta

from modelloop.ground.core.clock import SystemClock
from modelloop.ground.pool import actions
from modelloop.ground.pool.records import JobState
from modelloop.ground.store.context import Context

JOBS = 40
CLAIMER = """
import sys
from datetime import timedelta
from pathlib import Path
from modelloop.ground.core.clock import SystemClock
from modelloop.ground.core.records import Actor
from modelloop.ground.pool import actions
from modelloop.ground.store.blobs import Blobs
from modelloop.ground.store.context import Context
from modelloop.ground.store.db import Database
ctx = Context(Database(sys.argv[1]), Blobs("memory:///"), SystemClock(), Actor("w"), Path("."))
while (job := actions.claim(ctx, sys.argv[2], timedelta(seconds=60))) is not None:
    print(job.payload["n"])
    actions.finish(ctx, job)
"""


def test_threads_and_processes_claim_each_job_once(both_engines: Context) -> None:
    ctx = Context(both_engines.db, both_engines.blobs, SystemClock(), both_engines.actor, both_engines.home)
    for n in range(JOBS):
        actions.enqueue(ctx, "test", {"n": n})
    claimed: list[int] = []

    def work(name: str) -> None:
        while (job := actions.claim(ctx, name, timedelta(seconds=60))) is not None:
            claimed.append(job.payload["n"])
            actions.finish(ctx, job)

    url = ctx.db.url.render_as_string(hide_password=False)
    argv = [sys.executable, "-c", CLAIMER, url]
    processes = [subprocess.Popen([*argv, f"p{i}"], stdout=subprocess.PIPE, text=True) for i in range(2)]
    threads = [threading.Thread(target=work, args=(f"t{i}",)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for process in processes:
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        claimed += [int(line) for line in out.split()]
    assert sorted(claimed) == list(range(JOBS))
    assert {job.state for job in actions.list_jobs(ctx)} == {JobState.DONE}


def test_a_held_job_is_skipped_by_others(both_engines: Context) -> None:
    ctx = both_engines
    actions.enqueue(ctx, "test", {"n": 1}, key="a")
    assert actions.enqueue(ctx, "test", {"n": 2}, key="a").payload == {"n": 1}
    job = actions.claim(ctx, "w1", timedelta(seconds=5))
    assert job is not None
    assert actions.claim(ctx, "w2", timedelta(seconds=5)) is None
    actions.fail(ctx, job, "no", retry_in=timedelta(0))
    again = actions.claim(ctx, "w2", timedelta(seconds=5))
    assert again is not None
    assert again.attempts == 2
    assert actions.release(ctx, "w2") == 1
