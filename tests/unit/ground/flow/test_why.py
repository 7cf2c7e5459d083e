"""Why a step ran, down to the line; and what is forgotten."""

from __future__ import annotations

import pytest
from flow_project import Project

from modelloop.ground.core.errors import Conflict, NotFound
from modelloop.ground.flow import actions, environment
from modelloop.ground.flow.records import Change, RunState

STEPS = """
    from modelloop import pipeline, step

    RATE = 0.5

    def scale(n):
        # by the rate
        return n * RATE

    @step
    def scaled(n, plus=0):
        return scale(n) + plus

    @pipeline
    def main(numbers=(1, 2), plus=0):
        return [scaled(n, plus) for n in numbers]
"""


def changes(project: Project, run_id: str, number: str = "0") -> dict[str, Change]:
    (found,) = actions.why(project.ctx, run_id, number)
    return {f"{change.what} {change.name}": change for change in found.changes}


def test_the_line_the_constant_and_the_argument_that_changed(project: Project) -> None:
    project.write("steps.py", STEPS)
    first = project.run()
    assert {one.reason for one in actions.why(project.ctx, first.id)} == {"first call"}
    project.write("steps.py", STEPS.replace("n * RATE", "n / RATE").replace("RATE = 0.5", "RATE = 0.25"))
    second = project.run(plus=3)
    found = changes(project, second.id)
    assert sorted(found) == ["argument plus", "code steps:scale", "code value steps:RATE"]
    diff = found["code steps:scale"].diff.splitlines()
    assert "-    return n * RATE" in diff
    assert "+    return n / RATE" in diff
    assert found["code value steps:RATE"].diff.splitlines()[-2:] == ["-RATE = 0.5", "+RATE = 0.25"]
    assert found["argument plus"].before.startswith("0 (")
    assert found["argument plus"].now.startswith("3 (")
    assert actions.why(project.ctx, second.id, "scaled")[1].compared == first.id


def test_calls_are_compared_with_the_call_in_the_same_place_of_the_last_run(project: Project) -> None:
    project.write("steps.py", STEPS)
    project.run(numbers=[1, 2, 3])
    run = project.run(numbers=[1, 20, 3])
    assert project.states(run) == ["cached", "done", "cached"]
    assert [one.reason.split(" as ")[0] for one in actions.why(project.ctx, run.id)][1] == "argument n changed"
    assert list(changes(project, run.id, "1")) == ["argument n"]
    assert changes(project, run.id, "0") == {}


def test_packages_by_name_and_version(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write("steps.py", STEPS)
    project.run()
    there = environment.counted()
    monkeypatch.setattr(environment, "counted", lambda: {**there, "polars": "99.0"})
    run = project.run()
    assert changes(project, run.id)["package polars"].now == "99.0"
    assert changes(project, run.id)["package polars"].before == there["polars"]
    assert project.steps(run)[0].reason == "Python or package versions changed"


def test_the_newest_call_of_a_step_and_names_that_are_wrong(project: Project) -> None:
    project.write("steps.py", STEPS)
    run = project.run()
    (found,) = actions.newest_call(project.ctx, "scaled")
    assert (found.run, found.number) == (run.id, 1)
    with pytest.raises(NotFound, match="Did you mean 'scaled'"):
        actions.newest_call(project.ctx, "scale")
    with pytest.raises(NotFound, match="made no call of a step 'other'"):
        actions.why(project.ctx, run.id, "other")


def test_code_is_kept_once_for_all_calls(project: Project) -> None:
    project.write("steps.py", STEPS)
    project.run(numbers=list(range(30)))
    project.run(numbers=list(range(40)))
    with project.ctx.db.reading() as connection:
        count = connection.exec_driver_sql("SELECT count(*) FROM flow_part").scalar()
        largest = connection.exec_driver_sql("SELECT max(length(key_parts)) FROM flow_step").scalar()
    assert count == 5, "the map, two functions, one value, the environment"
    assert largest < 700


FRAMES = """
    import polars as pl
    from modelloop import artifact, log, pipeline, step

    @step
    def rows(name):
        artifact("page", name)
        return pl.DataFrame({"who": [name] * 10})

    @pipeline
    def main(name="somebody"):
        print("printed", name)
        return rows(name)
"""


def test_what_runs_kept_of_somebody_is_forgotten(project: Project) -> None:
    project.write("steps.py", FRAMES)
    ctx = project.ctx
    run, other = project.run(), project.run(name="another")
    blobs = set(ctx.blobs.hashes())
    assert actions.forget_results(ctx, [run.id]) > 0
    gone = blobs - set(ctx.blobs.hashes())
    assert len(gone) == 1, "the table; the page is a file, which may be part of a model"
    assert actions.steps_of(ctx, run.id)[0].key.shown == {}
    with pytest.raises(Conflict, match="was forgotten"):
        actions.result(ctx, run.id)
    assert project.result(other) is not None
    again = project.run()
    assert project.states(again) == ["done"]
    assert actions.forget_results(ctx, [again.id], spared=lambda _: False) > 0
    assert ctx.blobs.has(other.artifacts["page"])
    waiting = project.submit()
    with pytest.raises(Conflict, match="has not ended"):
        actions.forget_results(ctx, [waiting.id])
    assert actions.get_run(ctx, run.id).state is RunState.DONE
