"""Faces of training: runs."""

from __future__ import annotations

from typing import Any

from ..ground.core.ids import check_id
from ..ground.core.rights import Right
from ..ground.flow import actions
from ..ground.http import Call, Route


def runs(call: Call) -> dict[str, Any]:
    """List runs, newest first."""
    return {"runs": actions.list_runs(call.ctx, limit=call.limit(50))}


def run(call: Call) -> dict[str, Any]:
    """Show a run and the steps in it."""
    chosen = check_id(call.path["id"], "run")
    return {"run": actions.get_run(call.ctx, chosen), "steps": actions.steps_of(call.ctx, chosen)}


def cancel(call: Call) -> Any:
    """Ask a run to end."""
    return actions.cancel(call.ctx, check_id(call.path["id"], "run"))


def waiting(call: Call) -> dict[str, Any]:
    """List what runs ask people, and wait for."""
    return {"waiting": actions.waiting(call.ctx)}


def answer(call: Call) -> Any:
    """Answer what a run asks: {"name", "choice", "comment"?}. It goes on from there."""
    chosen, comment = check_id(call.path["id"], "run"), str(call.body.get("comment") or "")
    return actions.answer(call.ctx, chosen, call.text("name"), call.text("choice"), comment=comment)


def why(call: Call) -> dict[str, Any]:
    """Say why the steps of a run were carried out."""
    return {"why": actions.why(call.ctx, check_id(call.path["id"], "run"))}


ROUTES = (
    Route("GET", "/runs", runs, Right.READ),
    Route("GET", "/runs/waiting", waiting, Right.READ),
    Route("GET", "/runs/{id}/why", why, Right.READ),
    Route("POST", "/runs/{id}/answers", answer, Right.DEPLOY),
    Route("GET", "/runs/{id}", run, Right.READ),
    Route("POST", "/runs/{id}/cancel", cancel, Right.RUN),
)
