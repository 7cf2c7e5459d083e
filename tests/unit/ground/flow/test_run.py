"""What a run does and records."""

from __future__ import annotations

import importlib
import json
import os
import random
import re
import subprocess
import sys
from datetime import timedelta

import pytest
from flow_project import Project

from modelloop.ground.core.errors import Conflict, IdInvalid, NotFound, StaleState
from modelloop.ground.flow import actions
from modelloop.ground.flow.actions.running import begin
from modelloop.ground.flow.records import InputRef, RunState, Usage
from modelloop.ground.store import audit
from modelloop.ground.store.context import Context

BRANCHES = """
    from modelloop import artifact, log, pipeline, step

    @step
    def halve(n):
        log("n", n)
        return n // 2

    @pipeline
    def main(n, seed):
        rounds = 0
        while n > 1:
            n = halve(n) if n % 2 == 0 else 3 * n + 1
            rounds += 1
            log("rounds", rounds, step=rounds)
        artifact("story", "it ends")
        print("printed")
        return {"rounds": rounds, "seed": seed}
"""


def test_a_pipeline_branches_and_loops_on_values(project: Project) -> None:
    project.write("steps.py", BRANCHES)
    run = project.run(n=6, seed=7)
    assert run.state is RunState.DONE
    assert project.result(run) == {"rounds": 8, "seed": 7}
    assert [s.name for s in project.steps(run)] == ["halve"] * 6
    assert [s.number for s in project.steps(run)] == list(range(6))


def test_a_run_is_recorded_with_all_that_is_needed_to_repeat_it(project: Project) -> None:
    project.write("steps.py", BRANCHES)
    project.inputs = {}
    run = project.run(n=6, seed=7)
    ctx = project.ctx
    assert (run.pipeline, run.function, run.seed, dict(run.params)) == ("test", "steps:main", 7, {"n": 6})
    assert run.metrics == {"n": 2.0, "rounds": 8.0}
    assert [(p.step, p.value) for p in actions.metric(ctx, run.id, "rounds")] == [(i, float(i)) for i in range(1, 9)]
    assert ctx.blobs.get(run.artifacts["story"]) == b"it ends"
    assert run.code.commit == ""
    assert run.code.diff is not None
    assert b"+def halve(n):" in ctx.blobs.get(run.code.diff)
    assert run.environment is not None
    assert "polars" in json.loads(ctx.blobs.get(run.environment))["packages"]
    assert run.usage.wall_seconds > 0
    assert run.started_at
    assert run.finished_at
    assert actions.get_run(ctx, run.id) == run
    assert actions.list_runs(ctx, pipeline="test", states=[RunState.DONE]) == [run]
    assert actions.list_runs(ctx, pipeline="other") == []
    with ctx.db.reading() as connection:
        assert [e.action for e in audit.entries(connection, subject=run.id)] == ["run.submitted", "run.done"]


def test_metrics_of_a_kept_result_are_those_of_its_making(project: Project) -> None:
    project.write("steps.py", BRANCHES)
    first = project.run(n=8)
    second = project.run(n=8)
    assert project.states(second) == ["cached"] * 3
    assert second.metrics == first.metrics


def test_git_commit_and_uncommitted_difference_are_recorded(project: Project) -> None:
    git = ["git", "-C", str(project.folder), "-c", "user.name=t", "-c", "user.email=t@t"]
    project.write("steps.py", BRANCHES)
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "first"], check=True)
    clean = project.run(n=1).code
    assert (len(clean.commit), clean.dirty, clean.diff) == (40, False, None)
    project.write("steps.py", BRANCHES.replace("n // 2", "n >> 1"))
    project.write("new.py", "x = 1")
    dirty = project.run(n=1).code
    assert (dirty.commit, dirty.dirty) == (clean.commit, True)
    assert dirty.digest != clean.digest
    diff = project.ctx.blobs.get(dirty.diff or "")
    assert b"+        return n >> 1" in diff or b"+    return n >> 1" in diff
    assert b"+++ b/new.py\n@@ -0,0 +1,1 @@\n+x = 1" in diff


def test_a_failing_step_is_recorded_with_a_traceback_of_user_code_only(project: Project) -> None:
    text = """
        from modelloop import step, pipeline
        def broken(n):
            return 1 / n
        @step
        def fails(n):
            return broken(n)
        @pipeline
        def main():
            return fails(0)
    """
    project.write("steps.py", text)
    run = project.run()
    assert run.state is RunState.FAILED
    assert run.error is not None
    assert (run.error.kind, run.error.message, run.error.step) == ("ZeroDivisionError", "division by zero", "fails")
    assert "return 1 / n" in run.error.traceback
    assert "modelloop/ground" not in run.error.traceback
    (step,) = project.steps(run)
    assert step.state == "failed"
    assert step.error is not None
    assert step.error.traceback.splitlines()[-4:] == run.error.traceback.splitlines()[-4:]
    with pytest.raises(Conflict, match="failed"):
        actions.result(project.ctx, run.id)


def test_a_pipeline_may_catch_what_a_step_raises(project: Project) -> None:
    text = """
        from modelloop import step, pipeline
        @step
        def fails():
            raise KeyError("gone")
        @step
        def instead():
            return 1
        @pipeline
        def main():
            try:
                return fails()
            except KeyError:
                return instead()
    """
    project.write("steps.py", text)
    run = project.run()
    assert project.result(run) == 1
    assert project.states(run) == ["failed", "done"]


@pytest.mark.parametrize(
    ("function", "params", "expected"),
    [
        (
            "steps:main",
            {},
            r"main cannot be called with \(seed\): missing a required argument: 'n'. Expected main\(n, seed\)",
        ),
        ("steps:main", {"n": 1, "m": 2}, "unexpected keyword argument 'm'"),
        ("steps:mian", {"n": 1}, "Did you mean steps:main"),
        ("step:main", {"n": 1}, "Did you mean steps"),
        ("steps:calls_wrongly", {}, r"steps.py:22: halve cannot be called like this: .*'k'. Expected halve\(n\)"),
        ("steps:calls_at_run_time", {}, r"halve cannot be called with \(int, k\): .* Expected halve\(n\)"),
    ],
)
def test_wrong_calls_say_what_is_expected(
    project: Project, function: str, params: dict[str, int], expected: str
) -> None:
    wrong = "\n    @pipeline\n    def calls_wrongly():\n        halve(1, k=2)\n"
    unseen = "\n    @pipeline\n    def calls_at_run_time():\n        [halve][0](1, k=2)\n"
    project.write("steps.py", BRANCHES + wrong + unseen)
    run = project.run(function, **params)
    assert run.error is not None
    assert run.error.kind == "PipelineInvalid"
    assert re.search(expected, run.error.message), run.error.message


@pytest.mark.parametrize("body", ["return object()", "return [open]", "import sys; sys.exit(3)", "raise SystemExit"])
def test_what_cannot_be_kept_and_exits_fail_the_run(project: Project, body: str) -> None:
    project.write("steps.py", f"from modelloop import step\n@step\ndef main():\n    {body}\n")
    run = project.run()
    assert run.state is RunState.FAILED
    assert run.error is not None
    assert run.error.kind in ("ValueNotStorable", "SystemExit")
    if run.error.kind == "ValueNotStorable":
        assert "Step main returned what cannot be kept" in run.error.message
        assert "to_bytes" in run.error.message


def test_seeds_make_randomness_repeatable_and_leave_the_process_as_it_was(project: Project) -> None:
    text = """
        import random
        import numpy as np
        from modelloop import step, pipeline
        @step(cache=False)
        def draw(k):
            return random.random(), float(np.random.rand()), k
        @pipeline
        def main(seed=0):
            before = random.random()
            return before, draw(1), random.random(), draw(2), draw(1)
    """
    project.write("steps.py", text)
    random.seed(5)
    state = random.getstate()
    first = project.result(project.run(seed=3))
    assert random.getstate() == state
    assert project.result(project.run(seed=3)) == first
    other = project.result(project.run(seed=4))
    assert isinstance(first, tuple)
    assert isinstance(other, tuple)
    assert not {first[0], *first[1][:2]} & {other[0], *other[1][:2]}
    assert first[1] != first[4], "each call draws anew"


def test_map_is_recorded_item_by_item_and_keeps_the_order(project: Project) -> None:
    text = """
        from modelloop import log, step, pipeline
        @step
        def square(n, plus=0):
            log("square", n * n)
            return n * n + plus
        @pipeline
        def main(numbers):
            return square.map(numbers, plus=1)
    """
    project.write("steps.py", text)
    run = project.run(numbers=[3, 1, 3, 2])
    assert project.result(run) == [10, 2, 10, 5]
    assert project.states(run) == ["done", "done", "cached", "done"]
    run = project.run(numbers=[2, 4])
    assert project.result(run) == [5, 17]
    assert project.states(run) == ["cached", "done"]


def test_a_step_called_within_a_step_is_part_of_it(project: Project) -> None:
    text = """
        from modelloop import log, step, pipeline
        @step
        def inner(n):
            log("inner", n)
            return n + 1
        @step
        def outer(n):
            return sum(inner.map([n, n])) + inner(n)
        @pipeline
        def main():
            return outer(1)
    """
    project.write("steps.py", text)
    run = project.run()
    assert project.result(run) == 6
    assert [s.name for s in project.steps(run)] == ["outer"]
    assert run.metrics == {"inner": 1.0}
    project.write("steps.py", text.replace("n + 1", "n + 2"))
    assert project.states(project.run()) == ["done"]


def test_executing_a_run_again_goes_on_where_it_was(project: Project) -> None:
    text = """
        from pathlib import Path
        from modelloop import log, step, pipeline
        HERE = str(Path(__file__).parent)
        @step(cache=False)
        def note(k):
            log("k", k)
            with open(HERE + "/notes", "a") as out:
                out.write(f"{k}\\n")
            return k
        @pipeline
        def main():
            log("begun", 1)
            first = [note(1), note(1), note(2)]
            if not Path(HERE + "/go").exists():
                raise KeyboardInterrupt  # as a process that is killed: nothing is recorded
            return [*first, note(3)]
    """
    project.write("steps.py", text)
    run = project.submit()
    with pytest.raises(KeyboardInterrupt):
        project.execute(run.id)
    assert actions.get_run(project.ctx, run.id).state is RunState.RUNNING
    (project.folder / "go").touch()
    done = project.execute(run.id)
    assert project.result(done) == [1, 1, 2, 3]
    assert (project.folder / "notes").read_text().split() == ["1", "1", "2", "3"]
    assert done.attempt == 2
    assert [p.value for p in actions.metric(project.ctx, run.id, "k")] == [1, 1, 2, 3]
    assert [p.value for p in actions.metric(project.ctx, run.id, "begun")] == [1]
    assert project.execute(run.id) == done, "an ended run is not executed again"


def test_a_process_that_lost_its_run_writes_nothing_more(project: Project) -> None:
    text = """
        from modelloop import step, pipeline
        @step
        def work():
            hook()
            return 1
        def hook():
            pass
        @pipeline
        def main():
            return work()
    """
    project.write("steps.py", text)
    run = project.submit()

    def other_worker() -> None:
        begin(project.ctx, run.id, "other")

    project.forget()
    sys.path.insert(0, str(project.folder))
    importlib.import_module("steps").hook = other_worker
    with pytest.raises(StaleState, match="attempt 2; this process is attempt 1"):
        actions.execute(project.ctx, run.id, resolve=lambda _: None)
    assert project.steps(run) == []


def test_cancel(project: Project) -> None:
    project.write("steps.py", BRANCHES)
    ctx = project.ctx
    run = project.submit(n=6)
    assert actions.queued(ctx) == [run.id]
    assert actions.cancel(ctx, run.id).state is RunState.CANCELLED
    assert project.execute(run.id).state is RunState.CANCELLED
    assert actions.queued(ctx) == []

    run = begin(ctx, project.submit(n=6).id, None)
    assert actions.cancel(ctx, run.id).cancel_asked
    assert project.execute(run.id).state is RunState.CANCELLED
    assert project.steps(run) == []


def test_end_and_account(project: Project) -> None:
    ctx = project.ctx
    run = begin(ctx, project.submit().id, "w")
    log = ctx.home / "log"
    log.write_text("printed\n")
    for _ in range(2):
        run = actions.account(ctx, run.id, 1, Usage(1.5, 100, 2.0), log=log)
    assert run.usage == Usage(1.5, 100, 2.0)
    assert ctx.blobs.get(run.stdout or "") == b"printed\n"
    run = actions.account(ctx, run.id, 2, Usage(1.0, 50, 1.0), log=None)
    assert run.usage == Usage(2.5, 100, 3.0)
    assert run.stdout is not None
    run = actions.end(ctx, run.id, RunState.FAILED, reason="It took longer than a second.")
    assert run.error is not None
    assert actions.end(ctx, run.id, RunState.CANCELLED, reason="") == run


def test_an_episode_has_one_run(ctx: Context, project: Project) -> None:
    def submit() -> str:
        ref = InputRef("flights", 3, "0" * 64)
        return actions.submit(
            ctx,
            pipeline="train",
            function="steps:train",
            project_dir=project.folder,
            inputs={"rows": ref},
            params={"span": timedelta(days=60), "share": 1e16},
            seed=1,
            time_limit=timedelta(minutes=5),
            episode="ep_1",
        ).id

    first = submit()
    assert submit() == first
    run = actions.get_run(ctx, first)
    assert run.params == {"span": timedelta(days=60), "share": 1e16}
    assert isinstance(run.params["share"], float)
    assert run.inputs == {"rows": InputRef("flights", 3, "0" * 64)}
    assert len(actions.list_runs(ctx)) == 1


def test_unknown_runs(ctx: Context) -> None:
    with pytest.raises(NotFound):
        actions.get_run(ctx, ctx.id("run"))
    with pytest.raises(IdInvalid):
        actions.get_run(ctx, "../etc")


def test_the_working_directory_and_path_do_not_matter(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write("steps.py", BRANCHES)
    monkeypatch.chdir(os.sep)
    assert project.run(n=2).state is RunState.DONE
