"""Faces of data."""

from __future__ import annotations

from typing import Any

from ..ground.core.ids import check_name
from ..ground.core.rights import Right
from ..ground.http import Call, Route, number
from . import actions


def datasets(call: Call) -> dict[str, Any]:
    """List datasets."""
    return {"datasets": actions.datasets(call.ctx)}


def dataset(call: Call) -> dict[str, Any]:
    """Show the versions of a dataset."""
    name = check_name(call.path["name"], "dataset")
    return {"dataset": name, "versions": actions.versions(call.ctx, name)}


def report(call: Call) -> Any:
    """Show what was checked on the arrival that made a version."""
    name = check_name(call.path["name"], "dataset")
    return actions.report(call.ctx, name, number(call.path["number"], "version"))


def quarantine(call: Call) -> dict[str, Any]:
    """List rows that broke a dataset's contract, and arrivals that were refused."""
    name = check_name(call.path["name"], "dataset")
    rows = actions.quarantined(call.ctx, name, limit=call.limit())
    return {"dataset": name, "rows": rows, "refused": actions.refused(call.ctx, name)}


ROUTES = (
    Route("GET", "/data", datasets, Right.READ),
    Route("GET", "/data/{name}", dataset, Right.READ),
    Route("GET", "/data/{name}/versions/{number}/report", report, Right.READ),
    Route("GET", "/data/{name}/quarantine", quarantine, Right.READ),
)
