"""Runs that wait for a person."""

from __future__ import annotations

import pytest
from flow_project import Project

import modelloop
from modelloop.ground.core.errors import Conflict, InvalidInput, NotFound, PipelineInvalid
from modelloop.ground.core.records import Actor, Role
from modelloop.ground.flow import actions
from modelloop.ground.flow.records import RunState
from modelloop.ground.store import audit

STEPS = """
    from pathlib import Path
    from modelloop import ask, log, pipeline, step
    NOTES = str(Path(__file__).parent / "notes")

    @step(cache=False)
    def note(text):
        with open(NOTES, "a") as out:
            out.write(text + "\\n")
        return text

    @pipeline
    def main():
        log("begun", 1)
        note("before")
        said = ask("ship", "Ship it?", choices=("yes", "no", "later"))
        note(said)
        again = [ask("sure", f"Sure about {said}, {n}?") for n in range(2)]
        return said, again

    @step
    def asks():
        return ask("inside", "May I?")

    @pipeline
    def wrong():
        return asks()
"""


def test_a_run_waits_goes_on_with_the_answer_and_repeats_nothing(project: Project) -> None:
    project.write("steps.py", STEPS)
    ctx = project.ctx
    run = project.run()
    assert run.state is RunState.WAITING
    assert (run.worker, run.finished_at) == (None, None)
    (wait,) = actions.waiting(ctx)
    assert (wait.run, wait.name, wait.question, wait.choices) == (run.id, "ship", "Ship it?", ("yes", "no", "later"))
    assert project.execute(run.id).state is RunState.WAITING, "asked to go on without an answer it still waits"
    boss = ctx.by(Actor("boss", Role.ENGINEER))
    assert actions.answer(boss, run.id, "ship", "yes", comment="looks good").state is RunState.QUEUED
    assert actions.queued(ctx) == [run.id]
    assert project.execute(run.id).state is RunState.WAITING
    assert actions.answer(boss, run.id, "sure", "yes").state is RunState.QUEUED
    assert project.execute(run.id).state is RunState.WAITING
    assert actions.waiting(ctx, run.id)[0].question == "Sure about yes, 1?"
    actions.answer(boss, run.id, "sure", "no")
    done = project.execute(run.id)
    assert project.result(done) == ("yes", ["yes", "no"])
    assert (project.folder / "notes").read_text().split() == ["before", "yes"]
    assert [p.value for p in actions.metric(ctx, run.id, "begun")] == [1]
    assert actions.waiting(ctx) == []
    first = next(asked for asked in actions.questions(ctx, run.id) if asked.name == "ship")
    assert (first.answer, first.comment, first.answered_by) == ("yes", "looks good", "boss")
    with ctx.db.reading() as connection:
        found = [(e.action, e.actor) for e in audit.entries(connection, subject=run.id)]
        audit.verify(connection)
    assert found.count(("run.waiting", "tester")) == 3
    assert found.count(("run.answered", "boss")) == 3


def test_only_an_allowed_answer_only_once_only_while_it_waits(project: Project) -> None:
    project.write("steps.py", STEPS)
    ctx = project.ctx
    run = project.run()
    with pytest.raises(InvalidInput, match=r"'maybe' is no answer to 'ship'.*yes, no, later"):
        actions.answer(ctx, run.id, "ship", "maybe")
    with pytest.raises(NotFound, match=r"asks nothing under the name 'shop'.*ship"):
        actions.answer(ctx, run.id, "shop", "yes")
    actions.answer(ctx, run.id, "ship", "no")
    with pytest.raises(Conflict, match="was answered: 'no', by tester"):
        actions.answer(ctx, run.id, "ship", "yes")
    other = project.run()
    assert actions.cancel(ctx, other.id).state is RunState.CANCELLED
    with pytest.raises(Conflict, match="waits no longer: it is cancelled"):
        actions.answer(ctx, other.id, "ship", "yes")
    assert actions.waiting(ctx) == []


def test_a_step_cannot_ask_and_neither_can_a_plain_call(project: Project) -> None:
    project.write("steps.py", STEPS)
    run = project.run("steps:wrong")
    assert run.error is not None
    assert "a step cannot wait for a person" in run.error.message
    with pytest.raises(PipelineInvalid, match="outside of a run"):
        modelloop.ask("x", "y?")
    with pytest.raises(PipelineInvalid, match="choices"):
        modelloop.ask("x", "y?", choices="yes")
    with pytest.raises(PipelineInvalid, match="needs a name"):
        modelloop.ask("", "y?")
