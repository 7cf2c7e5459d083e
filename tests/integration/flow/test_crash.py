"""Processes are killed at random points; what finished is not done again, what did not leaves nothing behind."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from textwrap import dedent

import pytest

from modelloop.ground.core.clock import SystemClock
from modelloop.ground.core.records import Actor
from modelloop.ground.flow import actions
from modelloop.ground.flow.records import Run, RunState
from modelloop.ground.pool import actions as queue
from modelloop.ground.pool.local import start
from modelloop.ground.pool.records import JobState
from modelloop.ground.pool.worker import Worker
from modelloop.ground.store import audit
from modelloop.ground.store.context import Context
from modelloop.testing.fakes import make_context

CHILD = """
    import sys
    from pathlib import Path
    from modelloop.ground.core.clock import SystemClock
    from modelloop.ground.core.records import Actor
    from modelloop.ground.flow import actions
    from modelloop.ground.pool.adapters.local import LocalExecutor
    from modelloop.ground.store.blobs import Blobs
    from modelloop.ground.store.context import Context
    from modelloop.ground.store.db import Database
    home = Path(sys.argv[1])
    db = Database(f"sqlite:///{home / 'facts.sqlite'}")
    ctx = Context(db, Blobs((home / "blobs").as_uri()), SystemClock(), Actor("worker"), home)
    made = actions.get_run(ctx, sys.argv[2])
    executor = LocalExecutor(Path(made.project_dir), ctx.blobs.url, processors=2)
    actions.execute(ctx, made.id, resolve=lambda ref: None, worker="w", processes=2, executor=executor)
"""
WORKER = """
    import sys, time
    from pathlib import Path
    from modelloop.ground.core.clock import SystemClock
    from modelloop.ground.core.records import Actor
    from modelloop.ground.pool.worker import Worker
    from modelloop.ground.store.blobs import Blobs
    from modelloop.ground.store.context import Context
    from modelloop.ground.store.db import Database
    home, child = Path(sys.argv[1]), sys.argv[2]
    db = Database(f"sqlite:///{home / 'facts.sqlite'}")
    ctx = Context(db, Blobs((home / "blobs").as_uri()), SystemClock(), Actor("worker"), home)
    worker = Worker(ctx, name="w", argv=lambda run: [sys.executable, child, str(home), run])
    while True:
        worker.turn()
        time.sleep(0.02)
"""
STEPS = """
    import os, time
    from pathlib import Path
    from modelloop import log, pipeline, step

    NOTES = str(Path(__file__).parent / "notes")

    def note(text):
        out = os.open(NOTES, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(out, (text + "\\n").encode())
        os.close(out)

    @step(cache=False)
    def one(k):
        note(f"begin one {k}")
        log("k", k)
        time.sleep(0.03)
        note(f"end one {k}")
        return list(range(k * 2000))

    @step
    def two(n, k):
        note(f"begin two {n} {k}")
        time.sleep(0.02)
        note(f"end two {n} {k}")
        return n + k

    @pipeline
    def main():
        total = 0
        for k in range(12):
            total += len(one(k))
        total += sum(two.map(range(8), k=total))
        print("finished with", total)
        return total

    @step
    def sleeps(seconds):
        time.sleep(seconds)

    @pipeline
    def slow(seconds):
        note(f"pid {os.getpid()}")
        sleeps(seconds)

    @pipeline
    def dies():
        os.kill(os.getpid(), 9)
"""

TOTAL = sum(k * 2000 for k in range(12))


class Place:
    def __init__(self, folder: Path) -> None:
        self.ctx: Context = make_context(folder, clock=SystemClock()).by(Actor("tester"))
        self.project = folder / "project"
        self.project.mkdir()
        (self.project / "steps.py").write_text(dedent(STEPS))
        self.child, self.worker = folder / "child.py", folder / "worker.py"
        self.child.write_text(dedent(CHILD))
        self.worker.write_text(dedent(WORKER))

    def submit(self, function: str = "steps:main", *, limit: float = 60, **params: object) -> Run:
        return actions.submit(
            self.ctx,
            pipeline="test",
            function=function,
            project_dir=self.project,
            inputs={},
            params=params,
            time_limit=timedelta(seconds=limit),
        )

    def argv(self, run_id: str) -> list[str]:
        return [sys.executable, str(self.child), str(self.ctx.home), run_id]

    def crew(self, name: str = "w") -> Worker:
        return Worker(self.ctx, name=name, argv=self.argv)

    def notes(self) -> list[str]:
        path = self.project / "notes"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.ctx.db.close()


def until(condition: Callable[[], object], *, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.01)


def turn_until_ended(worker: Worker, place: Place, run: Run) -> Run:
    def ended() -> bool:
        worker.turn()
        return actions.get_run(place.ctx, run.id).state.ended and worker.busy == 0

    until(ended)
    return actions.get_run(place.ctx, run.id)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def assert_each_finished_call_ran_once(place: Place, run: Run, kills: int) -> None:
    assert run.error is None, run.error.traceback
    assert run.state is RunState.DONE
    assert actions.result(place.ctx, run.id) == TOTAL + sum(range(8)) + 8 * TOTAL
    counts = Counter(place.notes())
    ends = {text: n for text, n in counts.items() if text.startswith("end")}
    assert len(ends) == 20
    # A kill between the end of the function and the commit makes it run again: at most one call per kill and process.
    assert sum(ends.values()) - 20 <= 2 * kills
    steps = actions.steps_of(place.ctx, run.id)
    assert [s.number for s in steps] == list(range(20))
    assert {str(s.state) for s in steps} == {"done"}
    assert [p.value for p in actions.metric(place.ctx, run.id, "k")] == list(range(12))
    with place.ctx.db.reading() as connection:
        audit.verify(connection)


def test_a_run_killed_ten_times_at_random_points_goes_on_where_it_was(place: Place) -> None:
    run, luck = place.submit(), random.Random(7)
    recorded: set[str] = set()
    for _ in range(10):
        before = len(place.notes())
        process = subprocess.Popen(place.argv(run.id))
        goal = before + luck.randint(1, 4)
        until(lambda: len(place.notes()) >= goal or process.poll() is not None)  # noqa: B023 - used at once
        time.sleep(luck.random() * 0.04)
        process.kill()
        process.wait()
        assert not recorded & set(place.notes()[before:]), "a call that had finished was made again"
        numbers = {step.number for step in actions.steps_of(place.ctx, run.id)}
        recorded = {f"begin one {n}" if n < 12 else f"begin two {n - 12} {TOTAL}" for n in numbers}
    before = len(place.notes())
    subprocess.run(place.argv(run.id), check=True, timeout=60)
    assert not recorded & set(place.notes()[before:])
    assert_each_finished_call_ran_once(place, actions.get_run(place.ctx, run.id), 10)


def test_a_killed_worker_takes_its_child_with_it_and_the_next_one_goes_on(place: Place) -> None:
    run = place.submit()
    argv = [sys.executable, str(place.worker), str(place.ctx.home), str(place.child)]
    for _ in range(3):
        worker = subprocess.Popen(argv)
        known = len(place.notes())
        until(lambda: len(place.notes()) >= known + 3)  # noqa: B023 - used at once
        children = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
        assert children
        worker.kill()
        worker.wait()
        until(lambda: not any(alive(int(pid)) for pid in children))  # noqa: B023 - used at once
    crew = place.crew()
    done = turn_until_ended(crew, place, run)
    assert_each_finished_call_ran_once(place, done, 3)
    assert done.worker == "w"
    assert done.attempt >= 4
    assert done.usage.cpu_seconds > 0
    assert done.usage.peak_bytes > 1_000_000
    assert b"finished with" in place.ctx.blobs.get(done.stdout or "")
    assert [job.state for job in queue.list_jobs(place.ctx)] == [JobState.DONE]


def test_a_run_beyond_its_time_limit_is_ended(place: Place) -> None:
    run = place.submit("steps:slow", limit=5, seconds=60)
    done = turn_until_ended(place.crew(), place, run)
    assert done.state is RunState.FAILED
    assert done.error is not None
    assert "time limit of 5 s" in done.error.message
    assert not alive(int(place.notes()[0].split()[1]))


def test_a_running_run_can_be_cancelled(place: Place) -> None:
    run, worker = place.submit("steps:slow", seconds=60), place.crew()
    worker.turn()
    until(place.notes)
    assert worker.running
    actions.cancel(place.ctx, run.id)
    done = turn_until_ended(worker, place, run)
    assert done.state is RunState.CANCELLED
    assert not alive(int(place.notes()[0].split()[1]))


def test_a_run_whose_process_always_dies_fails_after_five_attempts(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelloop.ground.pool.worker.timedelta", lambda seconds: timedelta(seconds=seconds / 1000))
    run = place.submit("steps:dies")
    done = turn_until_ended(place.crew(), place, run)
    assert done.state is RunState.FAILED
    assert done.attempt == 5
    assert done.error is not None
    assert "died 5 times, the last time with signal 9" in done.error.message
    assert [job.state for job in queue.list_jobs(place.ctx)] == [JobState.DONE]


def test_what_is_done_with_a_finished_run_is_done_although_its_process_died_before(place: Place) -> None:
    """As judging a candidate: the run is done, its process not yet."""
    after = """
    import os
    judged = home / "judged"
    if not judged.exists():
        judged.touch()
        os.kill(os.getpid(), 9)
    judged.write_text("judged")
    """
    place.child.write_text(dedent(CHILD) + dedent(after))
    run, worker = place.submit("steps:slow", seconds=0), place.crew()
    turn_until_ended(worker, place, run)
    until(lambda: worker.turn() == 0 and queue.list_jobs(place.ctx)[0].state is JobState.DONE)
    assert (place.ctx.home / "judged").read_text() == "judged"
    done = actions.get_run(place.ctx, run.id)
    assert (done.state, done.attempt) == (RunState.DONE, 1)
    assert queue.list_jobs(place.ctx)[0].attempts == 2


def test_after_five_deaths_behind_a_finished_run_its_job_fails_and_the_run_stays_done(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelloop.ground.pool.worker.timedelta", lambda seconds: timedelta(seconds=seconds / 1000))
    place.child.write_text(dedent(CHILD) + "import os; os.kill(os.getpid(), 9)")
    run, worker = place.submit("steps:slow", seconds=0), place.crew()
    until(lambda: worker.turn() == 0 and queue.find_job(place.ctx, "run", run.id).state.ended)  # type: ignore[union-attr]
    assert [(job.state, job.strikes) for job in queue.list_jobs(place.ctx)] == [(JobState.FAILED, 5)]
    assert actions.get_run(place.ctx, run.id).state is RunState.DONE


def test_closing_a_worker_gives_its_run_back(place: Place) -> None:
    run, worker = place.submit(), place.crew("first")
    worker.turn()
    until(lambda: len(place.notes()) > 4)
    worker.close()
    assert worker.busy == 0
    assert actions.get_run(place.ctx, run.id).state is RunState.RUNNING
    done = turn_until_ended(place.crew("second"), place, run)
    assert_each_finished_call_ran_once(place, done, 1)


def test_a_child_is_measured_logged_and_bound_to_its_parent(tmp_path: Path) -> None:
    log = tmp_path / "deep" / "child.log"
    code = "import sys; print('out'); print('err', file=sys.stderr); x = bytearray(50_000_000); sys.exit(3)"
    child = start([sys.executable, "-c", code], log)
    until(lambda: child.poll() is not None)
    status = child.poll()
    assert status is not None
    assert (status.code, status.signal, status.timed_out, status.stopped) == (3, None, False, False)
    assert status.peak_bytes > 50_000_000
    assert status.cpu_seconds > 0
    assert sorted(log.read_text().split()) == ["err", "out"]

    parent = (
        "import sys, time; from pathlib import Path; from modelloop.ground.pool.local import start;"
        f"child = start([sys.executable, '-c', 'import time; time.sleep(60)'], Path({str(log)!r}));"
        "print(child.pid, flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    assert alive(pid)
    process.kill()
    process.communicate()
    until(lambda: not alive(pid))


def test_stopping_a_child_ends_its_whole_group(tmp_path: Path) -> None:
    code = "import subprocess, sys; p = subprocess.Popen(['sleep', '60']); print(p.pid, flush=True); p.wait()"
    log = tmp_path / "log"
    child = start([sys.executable, "-c", code], log)
    until(lambda: log.read_text().strip())
    status = child.stop(grace=0.2)
    assert status.stopped
    assert status.signal in (signal.SIGTERM, signal.SIGKILL)
    assert child.poll() == status
    until(lambda: not alive(int(log.read_text())))
