"""The work of `modelloop runs`."""

from __future__ import annotations

import sys

from rich.text import Text

from ...ground.core.errors import NotFound
from ...ground.core.ids import check_id
from ...ground.flow import actions
from ...ground.flow.records import Run, RunError
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
    ]
    rows = [(step.number, step.name, step.state, step.seconds, step.reason) for step in steps]
    error = [Text(f"\n{_told(found.error)}", style="red")] if found.error else []
    shown = printed(facts(pairs), table(("", "step", "state", "seconds", "why"), rows, empty="no step yet"), *error)
    return Answer({"run": found, "steps": steps}, shown)


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


def _told(error: RunError) -> str:
    """Return the traceback, which ends with kind and message; or only these where no code of the user is in it."""
    return error.traceback if '  File "' in error.traceback else f"{error.kind}: {error.message}"


def _metrics(run: Run) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in list(run.metrics.items())[:4])
