"""The work of `modelloop runs`."""

from __future__ import annotations

import sys

from rich.text import Text

from ...ground.core.errors import InvalidInput, NotFound
from ...ground.core.ids import check_id
from ...ground.flow import actions
from ...ground.flow.records import Run, RunError, Wait, Why
from ..desk import Desk
from ..face import Answer
from .tables import facts, printed, table


def listing(desk: Desk, *, limit: int) -> Answer:
    """List runs."""
    found = actions.list_runs(desk.ctx, limit=limit)
    rows = [(r.id, r.pipeline, r.state, r.queued_at, r.usage.wall_seconds, _metrics(r)) for r in found]
    return Answer({"runs": found}, printed(table(("run", "pipeline", "state", "queued", "seconds", "metrics"), rows)))


def show(desk: Desk, *, run: str) -> Answer:
    """Show a run."""
    found = actions.get_run(desk.ctx, check_id(run, "run"))
    steps = actions.steps_of(desk.ctx, found.id)
    taken = found.usage
    pairs = [
        ("run", found.id),
        ("pipeline", f"{found.pipeline} ({found.function})"),
        ("state", found.state),
        ("inputs", ", ".join(f"{ref.dataset} v{ref.version}" for ref in found.inputs.values())),
        ("params", dict(found.params)),
        ("seed", found.seed),
        ("code", (found.code.commit[:12] or "no commit") + (" with uncommitted changes" if found.code.dirty else "")),
        ("metrics", _metrics(found)),
        (
            "took",
            f"{taken.wall_seconds:.1f} s, cpu {taken.cpu_seconds:.1f} s, {taken.peak_bytes / 1e6:.0f} MB",
        ),
        ("episode", found.episode),
        *((f"asked: {wait.name}", _asked(wait)) for wait in actions.questions(desk.ctx, found.id)),
    ]
    rows = [(step.number, step.name, step.state, step.seconds, step.reason) for step in steps]
    error = [Text(f"\n{_told(found.error)}", style="red")] if found.error else []
    shown = printed(facts(pairs), table(("", "step", "state", "seconds", "why"), rows, empty="no step yet"), *error)
    return Answer({"run": found, "steps": steps, "questions": actions.questions(desk.ctx, found.id)}, shown)


def stdout(desk: Desk, *, run: str) -> Answer:
    """Print what a run printed: of a running one, what there is so far."""
    found = actions.get_run(desk.ctx, check_id(run, "run"))
    live = desk.settings.home / "runs" / f"{found.id}.log"
    if found.stdout is not None:
        text = desk.ctx.blobs.get(found.stdout).decode(errors="replace")
    elif live.is_file():
        text = live.read_text(errors="replace")
    else:
        raise NotFound(f"Run {found.id} has printed nothing yet; it is {found.state}.")
    return Answer({"run": found.id, "stdout": text}, lambda _console: print(text, file=sys.stdout, end=""))  # noqa: T201 - as printed


def why(desk: Desk, *, subject: str, step: str | None) -> Answer:
    """Say why the steps of a run, or the newest call of a step, were carried out."""
    is_run = subject.startswith("run_")
    found = actions.why(desk.ctx, check_id(subject, "run"), step) if is_run else actions.newest_call(desk.ctx, subject)
    if step is not None and not is_run:
        raise InvalidInput(f"{subject[:60]!r} is no run.", hint="Write `runs why RUN STEP`, or `runs why STEP`.")
    parts = [part for one in found for part in _why_shown(one)]
    return Answer({"why": found}, printed(*parts or [Text("The run has called no step yet.")]))


def waiting(desk: Desk) -> Answer:
    """List what runs wait for."""
    found = actions.waiting(desk.ctx)
    rows = [(wait.run, wait.name, wait.question, ", ".join(wait.choices), wait.asked_at) for wait in found]
    shown = table(("run", "name", "question", "choices", "asked"), rows, empty="no run waits for an answer")
    return Answer({"waiting": found}, printed(shown))


def answer(desk: Desk, *, run: str, name: str, choice: str, comment: str) -> Answer:
    """Answer what a run asks."""
    made = actions.answer(desk.ctx, check_id(run, "run"), name, choice, comment=comment)
    told = f"{made.id} has its answer and is {made.state}: a worker goes on with it."
    return Answer({"run": made}, lambda console: console.print(told))


def cancel(desk: Desk, *, run: str) -> Answer:
    """Cancel a run."""
    made = actions.cancel(desk.ctx, check_id(run, "run"))
    told = f"{made.id} is {made.state}" + (", to be cancelled." if not made.state.ended else ".")
    return Answer({"run": made}, lambda console: console.print(told))


def _why_shown(found: Why) -> list[Text]:
    head = f"{found.number} {found.step} ({found.state}): {found.reason}"
    compared = f"  compared with {found.compared}" if found.compared and found.changes else ""
    shown = [Text(head + compared, style="bold")]
    for change in found.changes:
        shown.append(Text(f"  {change.what} {change.name}: {change.before or 'nothing'} -> {change.now or 'nothing'}"))
        if change.diff:
            shown.append(Text("\n".join(f"    {line}" for line in change.diff.splitlines())))
    return shown


def _asked(wait: Wait) -> str:
    if wait.answer is None:
        return f"{wait.question} ({', '.join(wait.choices)}) - not answered"
    comment = f": {wait.comment}" if wait.comment else ""
    return f"{wait.question} - {wait.answer}, by {wait.answered_by}{comment}"


def _told(error: RunError) -> str:
    """Return the traceback, which ends with kind and message; or only these where no code of the user is in it."""
    return error.traceback if '  File "' in error.traceback else f"{error.kind}: {error.message}"


def _metrics(run: Run) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in list(run.metrics.items())[:4])
