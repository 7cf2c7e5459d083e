"""Real processes: `modelloop run` in its own process, runs that wait, steps with limits; killed and cancelled."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from modelloop import app
from modelloop.ground.core.records import Actor
from modelloop.ground.flow import actions
from modelloop.ground.flow.records import Run, RunState
from modelloop.ground.pool import actions as queue
from modelloop.ground.pool.records import JobState
from modelloop.ground.pool.worker import Worker
from modelloop.ground.store import audit
from modelloop.ground.store.context import Context

PROJECT = """
    [project]
    name = "here"
    owner = "tester"

    [objective]
    task = "binary"
    metric = "auc"
    label = "y"
    meaning = "m"
    question = "q"
"""
STEPS = """
    import os, subprocess, sys, time
    from pathlib import Path
    from modelloop import StepTimeout, ask, log, pipeline, step

    NOTES = str(Path(__file__).parent / "notes")

    def note(text):
        out = os.open(NOTES, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(out, (text + "\\n").encode())
        os.close(out)

    @step
    def add(total: int, n: int) -> int:
        note(f"add {n}")
        return total + n

    @pipeline
    def chain(count: int = 3):
        total = 0
        for n in range(count):
            total = add(total, n)
        print("printed", total)
        return total

    @step
    def sleeps(seconds):
        child = subprocess.Popen(["sleep", "300"], start_new_session=True)
        note(f"pid {child.pid}")
        time.sleep(seconds)

    @step(timeout=1)
    def limited(seconds):
        child = subprocess.Popen(["sleep", "300"])
        note(f"pid {child.pid}")
        time.sleep(seconds)

    @pipeline
    def slow(seconds: float = 300):
        sleeps(seconds)

    @pipeline
    def late():
        limited(300)

    @pipeline
    def held():
        limited.function(300)

    @pipeline
    def asks():
        total = add(0, 1)
        said = ask("ship", "Ship it?")
        return said, add(total, 2)
"""
PIPELINES = ("chain", "slow", "late", "held", "asks")


class Place:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        tables = "".join(f'\n[pipelines.{name}]\nfunction = "steps:{name}"\n' for name in PIPELINES)
        (folder / "modelloop.toml").write_text(dedent(PROJECT) + tables)
        (folder / "steps.py").write_text(dedent(STEPS))
        self.ctx: Context = app.open_context(folder, Actor("tester"))

    def start(self, *words: str) -> subprocess.Popen[str]:
        argv = [sys.executable, "-m", "modelloop", *words, "--project", str(self.folder)]
        return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def call(self, *words: str) -> tuple[int, Any, str]:
        process = self.start(*words, "--json")
        out, err = process.communicate(timeout=60)
        return process.returncode, json.loads(out) if out else None, err

    def runs(self) -> list[Run]:
        return actions.list_runs(self.ctx)

    def notes(self) -> list[str]:
        path = self.folder / "notes"
        return path.read_text().splitlines() if path.exists() else []

    def pids(self) -> list[int]:
        return [int(note.split()[1]) for note in self.notes() if note.startswith("pid")]

    def worker(self) -> Worker:
        place = ["--project", str(self.folder)]
        return Worker(
            self.ctx,
            name="w",
            argv=lambda run: [sys.executable, "-m", "modelloop", "run-child", "--run", run, "--worker", "w", *place],
        )


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


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_plain_pipeline_is_carried_out_in_the_process_of_the_command(place: Place) -> None:
    code, told, _ = place.call("run", "chain", "-P", "count=4")
    assert code == 0
    assert told["run"]["state"] == "done"
    (run,) = place.runs()
    assert actions.result(place.ctx, run.id) == 6
    assert place.ctx.blobs.get(run.stdout or "") == b"printed 6\n"
    assert run.usage.peak_bytes > 0
    assert (run.project, run.attempt) == ("here", 1)
    assert [(job.state, job.key) for job in queue.list_jobs(place.ctx)] == [(JobState.DONE, run.id)]
    with place.ctx.db.reading() as connection:
        assert [e.action for e in audit.entries(connection, subject=run.id)] == ["run.submitted", "run.done"]
        audit.verify(connection)
    code, told, _ = place.call("run", "chain", "-P", "count=4")
    assert [step["state"] for step in told["steps"]] == ["cached"] * 4


def test_wrong_parameters_are_told_before_anything_is_queued(place: Place) -> None:
    code, told, error = place.call("run", "chain", "-P", "conut=4")
    assert code == 1
    assert "chain has no parameter 'conut'. Did you mean 'count'?" in error
    assert told["code"] == "ML603"
    code, _, error = place.call("run", "chain", "-P", "count=many")
    assert "'count' must be int; found 'many' (str)" in error
    assert place.runs() == []


@pytest.mark.parametrize("pipeline", ["slow", "held"])
def test_cancelling_ends_the_run_and_all_it_has_started(place: Place, pipeline: str) -> None:
    process = place.start("run", pipeline)
    until(place.pids)
    (run,) = place.runs()
    place.call("runs", "cancel", run.id)
    process.communicate(timeout=30)
    assert process.returncode == 1
    assert place.runs()[0].state is RunState.CANCELLED
    until(lambda: not any(alive(pid) for pid in place.pids()))
    assert queue.list_jobs(place.ctx)[0].state is JobState.DONE


def test_a_killed_command_leaves_its_run_to_a_worker(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    process = place.start("run", "chain", "-P", "count=3000")
    until(lambda: len(place.notes()) > 20)
    process.kill()
    process.communicate()
    (run,) = place.runs()
    assert run.state is RunState.RUNNING
    (job,) = queue.list_jobs(place.ctx)
    assert job.state is JobState.HELD
    queue.release(place.ctx, job.worker or "")  # as when its lease lapses
    worker = place.worker()
    until(lambda: worker.turn() == 0 and place.runs()[0].state.ended, seconds=60)
    (done,) = place.runs()
    assert done.state is RunState.DONE
    assert actions.result(place.ctx, run.id) == sum(range(3000))
    assert len(place.notes()) - len(set(place.notes())) <= 1, "at most the call that was cut off ran twice"


def test_an_interrupted_run_is_given_back(place: Place) -> None:
    process = place.start("run", "slow")
    until(place.pids)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert place.runs()[0].state is RunState.RUNNING
    assert queue.list_jobs(place.ctx)[0].state is JobState.WAITING
    for pid in place.pids():
        os.kill(pid, signal.SIGKILL)


def test_a_time_limit_holds_here_too(place: Place) -> None:
    toml = place.folder / "modelloop.toml"
    toml.write_text(toml.read_text().replace('"steps:slow"', '"steps:slow"\ntime_limit = "1s"'))
    code, told, _ = place.call("run", "slow")
    assert code == 1
    assert "took longer than its time limit of 1 s" in told["run"]["error"]["message"]
    until(lambda: not any(alive(pid) for pid in place.pids()))


def test_a_step_beyond_its_limit_is_ended_with_its_children(place: Place) -> None:
    code, told, _ = place.call("run", "late")
    assert code == 1
    assert told["run"]["error"]["kind"] == "StepTimeout"
    assert place.pids()
    until(lambda: not any(alive(pid) for pid in place.pids()))


def test_cancelling_a_worker_s_run_ends_the_grandchildren_of_a_limited_step(place: Place) -> None:
    toml = (place.folder / "steps.py").read_text().replace("timeout=1)", "timeout=200)")
    (place.folder / "steps.py").write_text(toml)
    place.call("run", "late", "--no-wait")
    worker = place.worker()

    def started() -> object:
        worker.turn()
        return place.pids()

    until(started)
    (run,) = place.runs()
    actions.cancel(place.ctx, run.id)
    until(lambda: worker.turn() == 0)
    assert place.runs()[0].state is RunState.CANCELLED
    until(lambda: not any(alive(pid) for pid in place.pids()))


def test_a_run_waits_for_a_person_through_a_killed_process_and_a_new_worker(place: Place) -> None:
    code, told, _ = place.call("run", "asks")
    assert code == 0
    assert told["run"]["state"] == "waiting"
    (run,) = place.runs()
    assert queue.list_jobs(place.ctx)[0].state is JobState.DONE, "nothing is held meanwhile"
    _, told, _ = place.call("runs", "waiting")
    assert [(wait["run"], wait["name"]) for wait in told["waiting"]] == [(run.id, "ship")]
    worker = place.worker()
    for _ in range(3):
        assert worker.turn() == 0, "a run that waits is not taken up"
    code, _, error = place.call("runs", "answer", run.id, "ship", "perhaps")
    assert code == 1
    assert "yes, no" in error
    code, told, _ = place.call("runs", "answer", run.id, "ship", "yes", "--comment", "go")
    assert (code, told["run"]["state"]) == (0, "queued")
    worker.turn()  # a child is begun, and killed wherever it is: before, in or after the replay
    for pid in worker.running.values():
        os.kill(pid, signal.SIGKILL)
    worker.close()
    worker = place.worker()
    until(lambda: worker.turn() == 0 and place.runs()[0].state.ended)
    (done,) = place.runs()
    assert actions.result(place.ctx, done.id) == ("yes", 3)
    assert place.notes() == ["add 1", "add 2"]


def test_a_worker_lets_a_waiting_run_go_and_takes_it_up_again(place: Place) -> None:
    place.call("run", "asks", "--no-wait")
    worker = place.worker()
    until(lambda: worker.turn() == 0 and place.runs()[0].state is RunState.WAITING)
    (run,) = place.runs()
    assert queue.list_jobs(place.ctx)[0].state is JobState.DONE
    actions.answer(place.ctx, run.id, "ship", "no")
    until(lambda: worker.turn() == 0 and place.runs()[0].state.ended)
    assert actions.result(place.ctx, run.id) == ("no", 3)
    assert place.notes() == ["add 1", "add 2"]
    assert queue.list_jobs(place.ctx)[0].state is JobState.DONE
