"""Which path is answered by what. Whatever is not found, not allowed or fails ends here as `{"error": ...}`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from ....ground.core.errors import ModelloopError, NotFound
from ..answer import Answerer, MethodError, Request, Response, refusal
from ..edge import ForeignError, contained
from . import documents, invocations, metrics, openapi, pages, predict
from .looking import meant
from .visit import Visit

Face: TypeAlias = "Callable[[Visit], Response | None]"
"""Answers now; or returns None and calls `visit.done` later."""


@dataclass(frozen=True, slots=True)
class Place:
    """A path, its varying pieces written `*`, and what is done there, by method."""

    path: str
    faces: Mapping[str, Face]

    @property
    def methods(self) -> str:
        """Return what may be sent here, as an Allow header says it."""
        return ", ".join([*self.faces, "HEAD"] if "GET" in self.faces else self.faces)

    def match(self, pieces: list[str]) -> tuple[str, ...] | None:
        """Return the varying pieces, or None where the path is another one."""
        mine = self.path.split("/")
        if len(mine) != len(pieces):
            return None
        pairs = list(zip(mine, pieces, strict=True))
        if any(a != b and not (a == "*" and b) for a, b in pairs):
            return None
        return tuple(b for a, b in pairs if a == "*")


_OF_A_MODEL: dict[str, Mapping[str, Face]] = {
    "": {"GET": documents.metadata},
    "/ready": {"GET": documents.model_ready},
    "/config": {"GET": documents.config},
    "/stats": {"GET": documents.stats},
    "/infer": {"POST": documents.infer},
}
PLACES = (
    Place("v2", {"GET": documents.server}),
    Place("v2/health/live", {"GET": documents.alive}),
    Place("v2/health/ready", {"GET": documents.ready}),
    Place("v2/models/stats", {"GET": documents.all_stats}),
    *(Place(f"v2/models/*{end}", faces) for end, faces in _OF_A_MODEL.items()),
    *(Place(f"v2/models/*/versions/*{end}", faces) for end, faces in _OF_A_MODEL.items()),
    Place("v2/repository/index", {"POST": documents.index}),
    Place("v2/repository/models/*/load", {"POST": documents.load_refused}),
    Place("v2/repository/models/*/unload", {"POST": documents.load_refused}),
    Place("predict", {"GET": predict.endpoints}),
    Place("predict/*", {"GET": predict.expected, "POST": predict.predict}),
    Place("invocations", {"POST": invocations.invoke}),
    Place("invocations/*", {"POST": invocations.invoke}),
    Place("ping", {"GET": invocations.ping}),
    Place("health", {"GET": invocations.ping}),
    Place("version", {"GET": invocations.release}),
    Place("metrics", {"GET": metrics.metrics}),
    Place("openapi.json", {"GET": openapi.document}),
    Place("docs", {"GET": pages.docs}),
)


def answer(answerer: Answerer, request: Request, done: Callable[[Response], None]) -> None:
    """Answer anything but an inference; `done` is called once, on this thread or later on the event loop's."""
    try:
        response = contained(partial(_answer, answerer, request, done))
    except ForeignError as error:  # we are wrong somewhere, and a caller gets an answer all the same
        answerer.live.errors += 1
        print(f"gateway: {error} at {request.path[:200]!r}", file=sys.stderr, flush=True)  # noqa: T201 - its log
        response = refusal(ModelloopError("The gateway failed on this request; its log says why."))
    except ModelloopError as error:
        response = refusal(error)
    if response is not None:
        done(response)


def _answer(answerer: Answerer, request: Request, done: Callable[[Response], None]) -> Response | None:
    pieces = request.path.removeprefix("/").removesuffix("/").split("/")
    for place in PLACES:
        words = place.match(pieces)
        if words is not None:
            return _at(place, Visit(answerer, request, words, done))
    raise _nothing(answerer, request, pieces)


def _at(place: Place, visit: Visit) -> Response | None:
    method = visit.request.method
    face = place.faces.get("GET" if method == "HEAD" else method)
    if face is None:
        raise MethodError(
            f"{method[:20]} is not answered at {visit.request.path[:80]!r}.",
            hint=f"Use {place.methods}.",
            detail={"allow": place.methods},
        )
    return face(visit)


def _nothing(answerer: Answerer, request: Request, pieces: list[str]) -> NotFound:
    """Return the error for a path that is none; the nearest one that is, is named with what the caller filled in.

    One that takes the caller's method is nearer than any other.
    """
    endpoints = sorted(answerer.live.serving.routes)
    named = next((piece for piece in pieces if piece in answerer.live.serving.routes), None)
    method, whole = "GET" if request.method == "HEAD" else request.method, "/" + "/".join(pieces)
    hint = ""
    for places in ([place for place in PLACES if method in place.faces], PLACES):
        real = [f"/{place.path}" for place in places if "*" not in place.path]
        for endpoint in [named] if named else endpoints[:20]:
            real += [f"/{place.path}".replace("*", endpoint, 1) for place in places if place.path.count("*") == 1]
        hint = hint or meant(whole, real)
    hint = hint or "Predictions are asked with POST /v2/models/ENDPOINT/infer."
    return NotFound(f"There is nothing at {request.path[:80]!r}.", hint=hint)
