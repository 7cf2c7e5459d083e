"""An endpoint with real packages and a routing table, for exports: no gateway, no rollout."""

from __future__ import annotations

from dataclasses import replace

from modelloop.deploy.records import Arm, Route, RoutingTable, Stage
from modelloop.deploy.table import TABLE_DOCUMENT, encode_table
from modelloop.ground.store.blobs import Blobs
from packages import make_candidate, put_package

CHAMPION, CHALLENGER = (0.5, -0.01, 0.2), (0.4, -0.01, 0.2)


def route(blobs: Blobs, stage: Stage = Stage.CANARY, share: float = 0.25) -> Route:
    """Put two packages; return a route over them."""
    champion = Arm("delay:1", put_package(blobs, make_candidate(CHAMPION)))
    challenger = Arm("delay:2", put_package(blobs, make_candidate(CHALLENGER)))
    return Route("late_flights", champion, challenger, stage, share, "ro_1")


def publish(blobs: Blobs, *routes: Route, generation: int = 7) -> None:
    """Write the routing table."""
    blobs.write_document(TABLE_DOCUMENT, encode_table(RoutingTable(generation, routes)))


def live(found: Route) -> Route:
    """Return the route with its champion alone."""
    return replace(found, challenger=None, stage=Stage.LIVE, share=0.0)
