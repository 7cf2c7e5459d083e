"""Runs that wait for a person: what they ask, and the answer that lets them go on."""

from __future__ import annotations

from ...core.errors import Conflict, InvalidInput, NotFound
from ...core.records import Event
from ...store import audit
from ...store.context import Context
from .. import rows, tables
from ..records import Run, RunState, Wait
from .looking import assembled, run_row

_LONGEST_COMMENT = 10_000


def waiting(ctx: Context, run_id: str | None = None) -> list[Wait]:
    """Return the questions that wait for an answer, oldest first: of one run, or of all."""
    with ctx.db.reading() as connection:
        if run_id is not None:
            run_row(connection, run_id)
        return [rows.wait(row) for row in tables.open_waits(connection, run_id)]


def questions(ctx: Context, run_id: str) -> list[Wait]:
    """Return all that a run asked, with the answers, in order."""
    with ctx.db.reading() as connection:
        run_row(connection, run_id)
        return [rows.wait(row) for row in tables.waits_of(connection, run_id)]


def answer(ctx: Context, run_id: str, name: str, choice: str, *, comment: str = "") -> Run:
    """Answer what a run asks, as `ctx.actor`; the run is queued again and goes on where it waits.

    Raises NotFound for a question that the run does not ask, InvalidInput for a choice that it does not offer, Conflict
    where the run waits no longer or somebody has answered.
    """
    if len(comment) > _LONGEST_COMMENT:
        raise InvalidInput(f"The comment has {len(comment)} letters; at most {_LONGEST_COMMENT} are kept.")
    with ctx.db.transaction() as connection:
        run = run_row(connection, run_id)
        asked = [rows.wait(row) for row in tables.waits_of(connection, run_id)]
        wait = _chosen(asked, run_id, name)
        if run.state != RunState.WAITING or wait.answer is not None:
            raise _too_late(run_id, str(run.state), wait)
        if choice not in wait.choices:
            raise InvalidInput(
                f"{choice[:60]!r} is no answer to {name!r} of {run_id}: {wait.question}",
                hint=f"It is one of: {', '.join(wait.choices)}.",
            )
        values = {"answer": choice, "comment": comment, "answered_at": ctx.now(), "answered_by": ctx.actor.name[:120]}
        if not tables.answer_wait(connection, wait.id, values):
            raise _too_late(run_id, str(run.state), wait)
        tables.change_run(connection, run_id, {"state": RunState.QUEUED}, states=[RunState.WAITING])
        detail = {"question": name, "answer": choice, "comment": comment}
        audit.append(connection, ctx, Event("run.answered", run_id, detail))
        return assembled(ctx, connection, [run_row(connection, run_id)])[0]


def _chosen(asked: list[Wait], run_id: str, name: str) -> Wait:
    """Return the newest question of a name: the only one that can still be open."""
    named = [wait for wait in asked if wait.name == name]
    if not named:
        names = ", ".join(dict.fromkeys(wait.name for wait in asked))
        hint = f"It asked: {names}." if names else "It asked nothing so far."
        raise NotFound(f"{run_id} asks nothing under the name {name[:60]!r}.", hint=hint)
    return next((wait for wait in named if wait.answer is None), named[-1])


def _too_late(run_id: str, state: str, wait: Wait) -> Conflict:
    if wait.answer is not None:
        when = f"{wait.answered_at:%Y-%m-%d %H:%M} UTC" if wait.answered_at else "before"
        return Conflict(
            f"{wait.name!r} of {run_id} was answered: {wait.answer!r}, by {wait.answered_by}, {when}.",
            hint="An answer is given once.",
        )
    return Conflict(f"{run_id} waits no longer: it is {state}.")
