"""The work of status, monitor and audit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.text import Text

from ... import supervise
from ...ground.store import audit
from ...monitor import actions as monitor
from ...web.facts import gather
from ...web.picture import picture
from ..desk import Desk
from ..face import Answer
from .tables import facts, printed, table

_REASON = 300
"""Letters of a reason that are shown; `--json` has all of it."""


def status(desk: Desk) -> Answer:
    """Show the loop and the processes."""
    project = desk.project  # mistakes in it are told before a store is made
    up = supervise.running(desk.settings.home)
    seen = picture(gather(desk.ctx, project))
    head = seen["headline"]
    processes: Any = up["processes"] if up else []
    stages = [
        (stage["word"], "" if stage["state"] in ("ok", "idle") else stage["state"], "; ".join(stage["lines"]))
        for stage in seen["stages"]
    ]
    listed = [
        (p["name"], "up" if p["pid"] else "down", p["pid"] and str(p["pid"]), p["address"], p["restarts"] or None)
        for p in processes
    ]
    data = {name: seen[name] for name in ("headline", "number", "busy", "stages", "endpoints", "alerts", "troubles")}
    return Answer(
        {"project": project.project.name, "folder": desk.project_dir, **data, "processes": processes},
        printed(
            Text(f"{project.project.name}: {project.objective.question}", style="bold"),
            facts(((head["metric"], f"{head['text']}  ({head['about']})"),)),
            table(("stage", "", "what it has"), stages),
            table(
                ("process", "", "pid", "address", "restarts"),
                listed,
                empty="no process is up: `modelloop up` starts them",
            ),
            *(Text(trouble, style="red") for trouble in seen["troubles"]),
        ),
    )


def signals(desk: Desk, *, limit: int) -> Answer:
    """List signals."""
    found = monitor.signals(desk.ctx, limit=limit)
    rows = [(s.window.end, s.monitor, s.verdict, s.value, s.bound, s.rows, s.version, s.reason) for s in found]
    columns = ("window's end", "monitor", "verdict", "value", "bound", "rows", "version", "why")
    return Answer({"signals": found}, printed(table(columns, rows, empty="no window is complete yet")))


def alerts(desk: Desk, *, limit: int) -> Answer:
    """List alerts."""
    found = monitor.alerts(desk.ctx, limit=limit)
    rows = [(a.event_time, a.severity, a.monitor, "over" if a.resolved_at else "open", a.message) for a in found]
    return Answer(
        {"alerts": found}, printed(table(("event time", "", "monitor", "", "message"), rows, empty="no alert yet"))
    )


def audit_verify(desk: Desk) -> Answer:
    """Verify the chain."""
    count = audit.verify_store(desk.ctx)
    told = Text(f"The audit chain holds: {count:,} entries, none changed, added or taken out.", style="green")
    return Answer({"valid": True, "entries": count}, printed(told))


def audit_list(desk: Desk, *, limit: int, subject: str | None) -> Answer:
    """List the newest entries."""
    with desk.ctx.db.reading() as connection:
        found = audit.newest(connection, subject=subject, limit=limit)
    rows = [(e.seq, e.at, e.actor, e.action, e.subject, _why(e.detail)) for e in found]
    names = ("", "at", "who", "did", "to", "why")
    empty = "the log is empty" if subject is None else f"the log holds nothing about {subject[:80]!r}"
    return Answer({"entries": found}, printed(table(names, rows, empty=empty)))


def _why(detail: Mapping[str, Any]) -> str:
    """Return why something was done: what a person gave as reason, or what a verdict says."""
    verdict = detail.get("verdict")
    told = detail.get("reason") or (verdict.get("reason") if isinstance(verdict, Mapping) else None)
    return str(told or "")[:_REASON]
