"""The addresses of gateways that do not reach the object store: the routing table, packages, online tables, a place to
report.

The table's answer carries an ETag like every JSON answer here, so a look that finds nothing new is one empty answer.
"""

from __future__ import annotations

from typing import Any

from ..deploy.actions import following
from ..ground.core.rights import Right
from ..ground.http import Call, Route
from ..ground.replies import encode
from .download import Download


def routing(call: Call) -> Any:
    """Show the routing table that gateways follow."""
    return following.routing(call.ctx)


def content(call: Call) -> Download:
    """Download bytes of a package that the routing table names, or of an online table that it reads."""
    digest = call.path["digest"]
    return Download(digest, following.routed_content(call.ctx, digest))


def online(call: Call) -> Any:
    """Show which bytes are the newest of an online table that a route reads."""
    return following.routed_online(call.ctx, call.path["name"])


def report(call: Call) -> dict[str, str]:
    """Take what a gateway says of itself."""
    return {"gateway": following.take_report(call.ctx, encode(call.mapping("report"))).gateway}


ROUTES = (
    Route("GET", "/routing", routing, Right.READ),
    Route("GET", "/routing/content/{digest}", content, Right.DEPLOY),
    Route("GET", "/routing/online/{name}", online, Right.DEPLOY),
    Route("POST", "/routing/reports", report, Right.DEPLOY),
)
