"""Faces of evaluation: experiments, their leaderboards, runs side by side."""

from __future__ import annotations

from typing import Any

from ..ground.core.errors import InvalidInput
from ..ground.core.rights import Right
from ..ground.http import Call, Route
from .experiments import actions
from .experiments.actions import Wanted


def experiments(call: Call) -> dict[str, Any]:
    """List experiments, the one changed last first, each with its best run."""
    return {"experiments": actions.overview(call.ctx, call.project.objective, limit=call.limit(100))}


def board(call: Call) -> dict[str, Any]:
    """Show an experiment's leaderboard (metric, direction, where, confidence, limit): which differences are noise."""
    confidence = _number(call, "confidence", 0.95)
    found = actions.board(call.ctx, call.project.objective, wanted(call), confidence=confidence)
    return {"experiment": actions.find(call.ctx, call.path["name"]), "board": found}


def front(call: Call) -> dict[str, Any]:
    """Show the runs that no other beats in all metrics (metrics=a,b lower=b where limit)."""
    metrics, lower = listed(call, "metrics"), listed(call, "lower")
    return {"front": actions.front(call.ctx, call.project.objective, wanted(call), metrics, lower)}


def groups(call: Call) -> dict[str, Any]:
    """Show the best run for each value of a parameter or tag (by, metric, direction, where, limit)."""
    by = call.query.get("by", "")
    if not by:
        raise InvalidInput("The query has no `by`.", hint="For instance ?by=model.")
    headline, found = actions.groups(call.ctx, call.project.objective, wanted(call), by)
    return {"headline": headline, "groups": found}


def compare(call: Call) -> dict[str, Any]:
    """Show runs side by side (runs=a,b,c metric): what differs, what came out, and the headline metric's curves."""
    ids = listed(call, "runs")
    found = actions.compare(call.ctx, call.project.objective, ids, metric=call.query.get("metric") or None)
    drawn = call.query.get("curve") or found.headline.metric
    curves = actions.curves(call.ctx, ids, drawn) if drawn in found.metrics else []
    return {"comparison": found, "curve": drawn, "curves": curves}


def wanted(call: Call) -> Wanted:
    """Return which runs a call is about."""
    query = call.query
    return Wanted(
        call.path["name"],
        query.get("metric") or None,
        query.get("direction") or None,
        query.get("where", ""),
        call.limit(1000),
    )


def listed(call: Call, name: str) -> list[str]:
    """Return the words of a query's field, which are parted by commas."""
    return [word for word in call.query.get(name, "").split(",") if word]


def _number(call: Call, name: str, default: float) -> float:
    try:
        return float(call.query.get(name, default))
    except ValueError:
        raise InvalidInput(f"{name}={call.query[name][:40]!r} is not a number.") from None


ROUTES = (
    Route("GET", "/experiments", experiments, Right.READ),
    Route("GET", "/experiments/{name}/board", board, Right.READ),
    Route("GET", "/experiments/{name}/front", front, Right.READ),
    Route("GET", "/experiments/{name}/groups", groups, Right.READ),
    Route("GET", "/compare", compare, Right.READ),
)
