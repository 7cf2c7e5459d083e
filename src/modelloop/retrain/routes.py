"""Faces of turning the loop. One episode with its evidence is told in `web.routes`."""

from __future__ import annotations

from typing import Any

from ..ground.core.rights import Right
from ..ground.http import Call, Route
from . import actions
from .policy import Cause


def episodes(call: Call) -> dict[str, Any]:
    """List episodes, newest first."""
    return {"episodes": actions.episodes(call.ctx, call.query.get("endpoint"), limit=call.limit(1000))}


def open_episode(call: Call) -> Any:
    """Open an episode by hand: run a pipeline for an endpoint, judge and try what it makes."""
    return actions.open_episode(
        call.ctx,
        call.project,
        endpoint=call.text("endpoint"),
        pipeline=call.text("pipeline"),
        why=Cause(call.text("reason", "by the API")),
        params=call.mapping("params"),
    )


def triggers(call: Call) -> dict[str, Any]:
    """List triggers with the next instant of their calendar and what became of the last causes."""
    return {"triggers": actions.triggers(call.ctx, call.project)}


ROUTES = (
    Route("GET", "/episodes", episodes, Right.READ),
    Route("POST", "/episodes", open_episode, Right.RUN),
    Route("GET", "/triggers", triggers, Right.READ),
)
