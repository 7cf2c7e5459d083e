"""Pure: the endpoint and the version that a caller named, or why there is none."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from ..answer import no_endpoint
from ..asking import pinned_arm
from ..runtime import Live, LoadedArm, LoadedRoute


def route_of(live: Live, endpoint: str) -> LoadedRoute:
    """Return an endpoint that answers; raises NotFound or NotReady."""
    route = live.serving.routes.get(endpoint)
    if route is None:
        raise no_endpoint(endpoint, live.serving)
    return route


def arm_of(route: LoadedRoute, number: str | None) -> LoadedArm:
    """Return the version with this number, or without one the champion; raises NotFound."""
    return pinned_arm(route, number) if number else route.champion


def meant(word: str, known: Iterable[str]) -> str:
    """Return `Did you mean ...?`, or nothing where nothing is close."""
    close = get_close_matches(word[:100], list(known), n=1)
    return f"Did you mean {close[0]!r}?" if close else ""
