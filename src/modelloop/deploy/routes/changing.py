"""Faces of answering: rollouts, outcomes, one prediction."""

from __future__ import annotations

from typing import Any

from ...ground.core.ids import check_id
from ...ground.core.rights import Right
from ...ground.http import Call, Route
from ...ground.replies import plain
from .. import actions

MOST_OUTCOMES = 50_000


def rollouts(call: Call) -> dict[str, Any]:
    """List rollouts, newest first."""
    return {"rollouts": actions.rollouts(call.ctx, call.query.get("endpoint"), limit=call.limit(100))}


def rollout(call: Call) -> dict[str, Any]:
    """Show one rollout: its way, its verdicts, both versions side by side, what is left to wait for."""
    found = actions.rollout_view(call.ctx, check_id(call.path["id"], "rollout"))
    told = plain(found)
    return {**told.pop("rollout"), **told}


def endpoints(call: Call) -> dict[str, Any]:
    """List endpoints: what answers, what is being rolled out, how far gateways have got."""
    return {"endpoints": actions.endpoint_views(call.ctx, call.project)}


def endpoint(call: Call) -> Any:
    """Show one endpoint with its open rollout, what answered before, and the gateways with their generation."""
    return actions.endpoint_view(call.ctx, call.project, call.path["name"])


def deploy(call: Call) -> Any:
    """Begin to roll a version out."""
    endpoint, version = call.text("endpoint"), call.text("version")
    return actions.start_rollout(call.ctx, call.project, endpoint, version, reason=call.text("reason", "by the API"))


def rollback(call: Call) -> dict[str, Any]:
    """Let an earlier version answer again."""
    endpoint = call.text("endpoint")
    to = call.text("to") if call.body.get("to") is not None else None
    return {
        "endpoint": endpoint,
        "answers": actions.rollback(call.ctx, endpoint, to=to, reason=call.text("reason", "by the API")),
    }


def approve(call: Call) -> Any:
    """Agree that the rollout that waits at an endpoint goes on."""
    return actions.approve(call.ctx, call.text("endpoint"), reason=str(call.body.get("reason") or ""))


def start(call: Call) -> Any:
    """Begin to roll a version out at this endpoint."""
    name, version = call.path["name"], call.text("version")
    return actions.start_rollout(call.ctx, call.project, name, version, reason=_reason(call))


def agree(call: Call) -> Any:
    """Agree that the rollout that waits at this endpoint goes on."""
    return actions.approve(call.ctx, call.path["name"], reason=_reason(call, ""))


def pause(call: Call) -> Any:
    """Hold the rollout where it is: its exposure stays, harm still leads back."""
    return actions.pause(call.ctx, call.path["name"], reason=_reason(call, ""))


def resume(call: Call) -> Any:
    """Let a paused rollout go on."""
    return actions.resume(call.ctx, call.path["name"], reason=_reason(call, ""))


def promote(call: Call) -> Any:
    """Let the challenger answer everybody now, without the evidence that is missing; a bake still follows."""
    return actions.promote(call.ctx, call.path["name"], reason=_reason(call))


def abort(call: Call) -> Any:
    """Send the rollout back."""
    return actions.abort(call.ctx, call.path["name"], reason=_reason(call))


def go_back(call: Call) -> dict[str, Any]:
    """Let an earlier version answer again at this endpoint, at once."""
    name, to = call.path["name"], call.text("to") if call.body.get("to") else None
    return {"endpoint": name, "answers": actions.rollback(call.ctx, name, to=to, reason=_reason(call))}


def retire(call: Call) -> dict[str, Any]:
    """Let nothing answer any more at an endpoint that the project file no longer declares."""
    actions.retire(call.ctx, call.project, call.path["name"], reason=_reason(call))
    return {"endpoint": call.path["name"], "answers": None}


def _reason(call: Call, default: str = "no reason given") -> str:
    """Return why; a form sends an empty field where nobody wrote anything."""
    return call.text("reason") if call.body.get("reason") else default


ROUTES = (
    Route("GET", "/rollouts", rollouts, Right.READ),
    Route("GET", "/rollouts/{id}", rollout, Right.READ),
    Route("GET", "/endpoints", endpoints, Right.READ),
    Route("GET", "/endpoints/{name}", endpoint, Right.READ),
    Route("POST", "/deploy", deploy, Right.DEPLOY),
    Route("POST", "/rollback", rollback, Right.DEPLOY),
    Route("POST", "/approve", approve, Right.DEPLOY),
    Route("POST", "/endpoints/{name}/deploy", start, Right.DEPLOY),
    Route("POST", "/endpoints/{name}/approve", agree, Right.DEPLOY),
    Route("POST", "/endpoints/{name}/pause", pause, Right.DEPLOY),
    Route("POST", "/endpoints/{name}/resume", resume, Right.DEPLOY),
    Route("POST", "/endpoints/{name}/promote", promote, Right.DEPLOY),
    Route("POST", "/endpoints/{name}/abort", abort, Right.DEPLOY),
    Route("POST", "/endpoints/{name}/rollback", go_back, Right.DEPLOY),
    Route("POST", "/endpoints/{name}/retire", retire, Right.DEPLOY),
)
