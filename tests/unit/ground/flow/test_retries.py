"""Further attempts, limits, and where a call is carried out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flow_project import Project

from modelloop import StepTimeout, WorkerDied, step
from modelloop.ground.core.errors import PipelineInvalid
from modelloop.ground.flow import actions
from modelloop.ground.flow.amounts import duration, size
from modelloop.ground.flow.attempts import LONGEST_PAUSE, is_retried, pause_before
from modelloop.ground.flow.records import RunError, RunState
from modelloop.ground.flow.step import Care

FLAKY = """
    import builtins
    from pathlib import Path
    from modelloop import log, pipeline, step
    HERE = str(Path(__file__).parent)

    def tries(name):
        with open(f"{HERE}/{name}", "a") as out:
            out.write("x")
        return len(Path(f"{HERE}/{name}").read_text())

    @step(retries=3, pause="1s", retry_on=(ConnectionError,))
    def fetch(name, fails, kind):
        made = tries(name)
        log("made", made)
        if made <= fails:
            raise getattr(builtins, kind)(f"attempt {made}")
        return made

    @pipeline
    def main(fails=2):
        return fetch("a", fails, "ConnectionResetError")

    @pipeline
    def mapped():
        return fetch.map(["b", "c", "d"], 2, "ConnectionError")

    @pipeline
    def wrong():
        return fetch("e", 2, "ValueError")
"""


def test_a_step_is_tried_again_with_growing_pauses(project: Project) -> None:
    project.write("steps.py", FLAKY)
    run = project.run()
    assert project.result(run) == 3
    (made,) = project.steps(run)
    assert (made.attempts, str(made.state)) == (3, "done")
    assert made.reason.endswith("attempt 3 of 4, after ConnectionResetError: attempt 2")
    first, second = project.pauses
    assert 0.75 <= first <= 1.25
    assert 1.5 <= second <= 2.5
    assert [p.value for p in actions.metric(project.ctx, run.id, "made")] == [3], "of the attempt that counts"
    assert project.states(project.run()) == ["cached"]


def test_the_last_attempt_is_the_end(project: Project) -> None:
    project.write("steps.py", FLAKY)
    run = project.run(fails=9)
    assert run.error is not None
    assert (run.error.kind, run.error.message, run.error.step) == ("ConnectionResetError", "attempt 4", "fetch")
    (made,) = project.steps(run)
    assert (made.attempts, str(made.state), len(project.pauses)) == (4, "failed", 3)


def test_what_is_not_listed_is_not_tried_again(project: Project) -> None:
    project.write("steps.py", FLAKY)
    run = project.run("steps:wrong")
    assert run.error is not None
    assert run.error.kind == "ValueError"
    assert [s.attempts for s in project.steps(run)] == [1]
    assert project.pauses == []


@pytest.mark.parametrize("elsewhere", [False, True])
def test_items_of_a_map_are_tried_again(project: Project, elsewhere: bool) -> None:
    project.write("steps.py", FLAKY)
    run = project.run("steps:mapped", processes=2, elsewhere=elsewhere)
    assert project.result(run) == [3, 3, 3]
    assert [s.attempts for s in project.steps(run)] == [3, 3, 3]
    assert all(bool(s.place) is elsewhere for s in project.steps(run))


def test_attempts_go_on_counting_after_a_crash(project: Project) -> None:
    project.write("steps.py", FLAKY)
    run = project.submit(fails=9)

    def killed(_seconds: float) -> None:
        if len((project.folder / "a").read_text()) == 2:
            raise KeyboardInterrupt  # as a process that is killed

    with pytest.raises(KeyboardInterrupt):
        actions.execute(project.ctx, run.id, resolve=lambda ref: ref, sleep=killed)
    (made,) = project.steps(run)
    assert (made.attempts, str(made.state)) == (2, "failed")
    assert project.execute(run.id).state is RunState.FAILED
    assert len((project.folder / "a").read_text()) == 4


LIMITED = """
    import time
    from modelloop import StepTimeout, pipeline, step

    @step(timeout=0.5)
    def slow(seconds: float) -> str:
        time.sleep(seconds)
        return "done"

    @step(timeout="0.3s", retries=1, pause=0, retry_on=(StepTimeout,))
    def tried(seconds):
        time.sleep(seconds)

    @step(cpus=0.5, memory="1GB")
    def small(n: int) -> str:
        return "x" * n

    @pipeline
    def main(seconds=0.0):
        return slow(seconds)

    @pipeline
    def caught():
        try:
            slow(30)
        except StepTimeout as error:
            return str(error)

    @pipeline
    def twice():
        tried(30)

    @pipeline
    def shares():
        return small(3), small.map([1, 2])

    @pipeline
    def nested():
        @step(timeout=1)
        def inside():
            return 1
        return inside()
"""


def test_a_step_with_a_limit_has_a_process_of_its_own_and_is_ended(project: Project) -> None:
    project.write("steps.py", LIMITED)
    run = project.run(elsewhere=True)
    assert project.result(run) == "done"
    assert project.steps(run)[0].place
    late = project.run(seconds=30.0, elsewhere=True)
    assert late.error is not None
    assert (late.error.kind, late.error.step) == ("StepTimeout", "slow")
    caught = project.run("steps:caught", elsewhere=True)
    assert project.result(caught) == late.error.message, "the pipeline sees it as a StepTimeout and may catch it"


def test_a_time_out_is_tried_again_only_where_it_is_listed(project: Project) -> None:
    project.write("steps.py", LIMITED)
    run = project.run("steps:twice", elsewhere=True)
    assert run.error is not None
    assert run.error.kind == "StepTimeout"
    assert [s.attempts for s in project.steps(run)] == [2]


def test_resources_send_a_call_elsewhere(project: Project) -> None:
    project.write("steps.py", LIMITED)
    run = project.run("steps:shares", elsewhere=True)
    assert project.result(run) == ("xxx", ["x", "xx"])
    assert all(s.place and s.usage.wall_seconds > 0 for s in project.steps(run))


def test_a_limit_that_cannot_be_kept_is_refused_before_anything_runs(project: Project) -> None:
    project.write("steps.py", LIMITED)
    run = project.run()
    assert run.error is not None
    assert "slow asks for a time limit or for resources" in run.error.message
    assert project.steps(run) == []
    run = project.run("steps:nested", elsewhere=True)
    assert run.error is not None
    assert "Define it at the top of a module" in run.error.message


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"retries": -1}, "retries is -1"),
        ({"retries": 1.5}, "retries is 1.5"),
        ({"pause": "soon"}, "pause is 'soon'"),
        ({"timeout": 0}, "timeout is 0"),
        ({"timeout": "5 parsecs"}, "no length of time"),
        ({"memory": "two"}, "no amount of memory"),
        ({"cpus": -1}, "cpus is -1"),
        ({"gpus": "all"}, "gpus is 'all'"),
        ({"retry_on": "ValueError"}, "retry_on is 'ValueError'"),
    ],
)
def test_what_makes_no_sense_above_a_step_is_refused(words: dict[str, Any], told: str) -> None:
    with pytest.raises(PipelineInvalid, match=told):
        step(**words)


def test_amounts() -> None:
    assert duration("90s", "x") == duration(90, "x") == duration("1.5m", "x") == timedelta(seconds=90)
    assert duration("250ms", "x") == timedelta(milliseconds=250)
    assert (size("2GB", "x"), size("1 MiB", "x"), size(7, "x"), size("0.5kb", "x")) == (2 * 10**9, 2**20, 7, 500)


def test_which_errors_are_tried_again() -> None:
    def retried(care: Care, kind: str, tried: int = 1) -> bool:
        return is_retried(care, RunError(kind, "", ""), tried)

    anything = Care(retries=2)
    assert retried(anything, "ValueError", 2)
    assert not retried(anything, "ValueError", 3)
    assert retried(anything, "WorkerDied")
    assert not retried(anything, "StepTimeout")
    assert not retried(anything, "RunCancelled")
    assert retried(Care(retries=1, retry_on=(StepTimeout, WorkerDied)), "StepTimeout")
    assert retried(Care(retries=1, retry_on=(OSError,)), "ConnectionResetError")
    assert not retried(Care(retries=1, retry_on=(OSError,)), "KeyError")


def test_pauses_double_up_to_a_bound_and_differ_by_call() -> None:
    care = Care(retries=99, pause=timedelta(seconds=1))
    pauses = [pause_before(care, attempt, "key") for attempt in range(2, 100)]
    assert all(0.75 * 2**n <= pause <= 1.25 * 2**n for n, pause in enumerate(pauses[:8]))
    assert max(pauses) <= 1.25 * LONGEST_PAUSE.total_seconds()
    assert pause_before(care, 2, "key") == pauses[0] != pause_before(care, 2, "other")
