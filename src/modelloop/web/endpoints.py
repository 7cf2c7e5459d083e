"""Pages of endpoints: what answers, what is being rolled out and on what evidence, which gateways have it."""

from __future__ import annotations

from typing import Any

from ..deploy import actions
from ..deploy.reach import Reach
from ..deploy.records import Rollout
from ..deploy.watch import EndpointView
from ..ground.core.ids import check_id
from ..ground.core.rights import Right
from ..ground.http import Call, Page, Route
from .forms import Form
from .rolling import tell_rollout

_STEPS = ("deploy", "approve", "pause", "resume", "promote", "abort", "rollback", "retire")
FORMS = {
    f"/endpoints/{{name}}/{step}": Form(f"/endpoints/{{name}}/{step}", "refused.html", back="/endpoints/{name}")
    for step in _STEPS
}
"""What the page of an endpoint has forms for; programs send the same as JSON."""


def listing(call: Call) -> dict[str, Any]:
    """Show all endpoints, and the newest rollouts."""
    views = actions.endpoint_views(call.ctx, call.project)
    found = actions.rollouts(call.ctx, limit=call.limit(50))
    return {"endpoints": [_listed(one) for one in views], "rollouts": [_line(one) for one in found]}


def endpoint(call: Call) -> dict[str, Any]:
    """Show one endpoint: its rollout with the evidence, its gateways, what it may go back to."""
    seen = actions.endpoint_view(call.ctx, call.project, call.path["name"])
    return {
        **_listed(seen),
        "rollout": tell_rollout(seen.open) if seen.open else None,
        "earlier": seen.earlier,
        "startable": seen.startable,
        "lives": seen.lives,
        "rollouts": [_line(one) for one in seen.rollouts],
        "gateways": list(seen.reach.gateways),
        "generation": seen.reach.generation,
    }


def rollout(call: Call) -> dict[str, Any]:
    """Show one rollout, also one that is over."""
    return tell_rollout(actions.rollout_view(call.ctx, check_id(call.path["id"], "rollout")))


def _listed(seen: EndpointView) -> dict[str, Any]:
    rolling = seen.open.rollout if seen.open else None
    stage = str(rolling.stage) if rolling else "live" if seen.champion else "empty"
    return {
        "endpoint": seen.endpoint,
        "declared": seen.declared,
        "model": seen.model,
        "champion": seen.champion,
        "standby": seen.standby,
        "stage": stage,
        "paused_by": rolling.paused_by if rolling else None,
        "challenger": rolling.challenger if rolling else None,
        "since": seen.lives[0].at if seen.lives else None,
        "why": seen.lives[0].reason if seen.lives else "",
        "reach": _reach(seen.reach),
    }


def _reach(found: Reach) -> dict[str, Any]:
    return {"text": found.told(), "done": found.done, "alive": found.alive, "reached": found.reached}


def _line(one: Rollout) -> dict[str, Any]:
    return {
        "id": one.id,
        "endpoint": one.endpoint,
        "challenger": one.challenger,
        "champion": one.champion,
        "stage": str(one.stage),
        "started_at": one.started_at,
        "said": one.verdicts[-1].reason if one.verdicts else one.reason,
    }


ROUTES = (
    Route("GET", "/pages/endpoints", listing, Right.READ, Page("/endpoints", "endpoints.html")),
    Route("GET", "/pages/endpoints/{name}", endpoint, Right.READ, Page("/endpoints/{name}", "endpoint.html")),
    Route("GET", "/pages/rollouts/{id}", rollout, Right.READ, Page("/rollouts/{id}", "rollout.html")),
)
"""Pages, each with its JSON twin."""
