"""From a request to a response, free of any HTTP server's types: what every front end calls as it is."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from typing import Any

import orjson

from ...ground.core.clock import Clock
from ...ground.core.errors import InvalidInput, ModelloopError, NotFound, NotReady, RequestInvalid
from . import protocol, reply
from .asked import Answered, Asked
from .asking import Call, Desk, Done, Explains, Fills, Log, pinned_arm
from .edge import ForeignError, contained
from .runtime import Live, LoadedRoute, Serving
from .shadow import ShadowJob

DEFAULT_LIMIT = 1_000_000
JSON = (b"content-type", b"application/json")
OCTETS = (b"content-type", b"application/octet-stream")


@dataclass(frozen=True, slots=True)
class Request:
    """What came in. `path` is decoded; header names are lower case."""

    method: str
    path: str
    headers: Mapping[bytes, bytes]
    body: bytes


@dataclass(frozen=True, slots=True)
class Response:
    """What goes out."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = (JSON,)


Told = Callable[[Response], None]


class MethodError(InvalidInput):
    """The path does not take this method."""

    status = 405


class Answerer:
    """Answers requests with whatever is live. One thread."""

    def __init__(
        self,
        live: Live,
        clock: Clock,
        health: Callable[[], Mapping[str, Any]],
        *,
        log: Log | None = None,
        shadow: Callable[[ShadowJob], None] | None = None,
        online: Fills | None = None,
        explains: Explains | None = None,
        log_key: bytes | None = None,
    ) -> None:
        """`health`: what the readiness answer also tells, such as the state of the log; `shadow`: where jobs go.

        Without a `log` nothing is written. `log_key`: what masked columns are hashed with; without one they are left
        out.
        """
        self.live = live
        self.desk = Desk(clock, log, shadow, online, explains, log_key)
        self._health = health

    @property
    def counters(self) -> Any:
        """Return what was counted."""
        return self.desk.counters

    def attach(self, hop: Callable[[Callable[[], None]], object]) -> None:
        """Say how to get back to the event loop's thread (`loop.call_soon_threadsafe`)."""
        self.desk.hop = hop

    def body_limit(self, path: str) -> int:
        """Return how many bytes of body the path takes."""
        parts = path.strip("/").split("/")
        route = self.live.serving.routes.get(parts[2]) if len(parts) > 3 else None
        return DEFAULT_LIMIT if route is None else route.route.max_body

    def health(self) -> dict[str, Any]:
        """Return whether there is something to answer with, and with what."""
        serving = self.live.serving
        return {"ready": bool(serving.routes), "generation": serving.generation, **self._health()}

    def ask(
        self,
        endpoint: str,
        number: str | None,
        asked: Asked,
        done: Done,
        *,
        prediction: str | None = None,
        started: float | None = None,
    ) -> None:
        """Let the version with this number, or the one whose turn it is, answer.

        `done` is called exactly once on the event loop's thread, with the answer or an error: within this call where
        nothing has to be waited for. Never raises.
        """
        calls: list[Call] = []

        def begin() -> None:
            serving = self.live.serving
            route = serving.routes.get(endpoint)
            if route is None:
                raise no_endpoint(endpoint, serving)
            pinned = None if number is None else pinned_arm(route, number)
            at = self.desk.microseconds()
            name = prediction or self.desk.ids.new(at)
            begun = time.perf_counter() if started is None else started
            calls.append(Call(self.desk, serving, route, pinned, asked, partial(self._told, done), name, at, begun))
            calls[0].guarded(calls[0].start)

        try:
            contained(begin)
        except ForeignError as error:
            self._say(error, endpoint)
            if not (calls and calls[0].finished):
                done(ModelloopError("The gateway failed on this request; its log says why."))
        except ModelloopError as error:
            self.desk.counters.refuse("", error.status)
            done(error)

    def infer(
        self, request: Request, done: Told, *, prediction: str | None = None, started: float | None = None
    ) -> None:
        """Answer a request of the Open Inference Protocol at `/v2/models/ENDPOINT[/versions/NUMBER]/infer`."""
        started = time.perf_counter() if started is None else started
        parts = request.path.strip("/").split("/")
        name, number = parts[2], parts[4] if len(parts) == 6 else None
        try:
            asked = contained(partial(self._read, request, name, number))
        except ModelloopError as error:
            if isinstance(error, ForeignError):
                self._say(error, request.path)
                error = ModelloopError("The gateway failed on this request; its log says why.")
            self.desk.counters.refuse(name if name in self.live.serving.routes else "", error.status)
            done(refusal(error))
            return
        accepted = request.headers.get(b"accept-encoding", b"")
        self.ask(name, number, asked, partial(_respond, asked, accepted, done), prediction=prediction, started=started)

    def answer(self, request: Request) -> Response:
        """Answer an inference here and now; for callers whose versions need not be waited for."""
        found: list[Response] = []
        self.infer(request, found.append)
        return found[0] if found else refusal(NotReady("The answer is not there yet."))

    def _read(self, request: Request, name: str, number: str | None) -> Asked:
        if request.method != "POST":
            raise MethodError(
                f"{request.method[:20]} is not answered at {request.path[:80]!r}.",
                hint="Use POST.",
                detail={"allow": "POST"},
            )
        serving = self.live.serving
        route = serving.routes.get(name)
        if route is None:
            raise no_endpoint(name, serving)
        return read(request, route, number)

    def _told(self, done: Done, found: Answered | ModelloopError) -> None:
        if not isinstance(found, ModelloopError):
            self.live.answered += 1
        elif found.status >= 500:
            self.live.errors += 1
            if isinstance(found, ForeignError):
                self._say(found, "an inference")
                found = ModelloopError("The gateway failed on this request; its log says why.")
        done(found)

    def _say(self, error: ModelloopError, where: str) -> None:
        self.live.errors += 1
        print(f"gateway: {error} at {where[:200]!r}", file=sys.stderr, flush=True)  # noqa: T201 - its log


def read(request: Request, route: LoadedRoute, number: str | None) -> Asked:
    """Read an inference request; raises RequestInvalid, BodyTooLarge or NotFound."""
    arm = route.champion if number is None else pinned_arm(route, number)
    encoding = request.headers.get(b"content-encoding", b"").decode("latin-1").strip().lower()
    body = protocol.unpack(request.body, encoding, route.route.max_body)
    head = protocol.head_length(request.headers.get(b"inference-header-content-length"), len(body))
    outputs = {spec.name: spec.datatype for spec in arm.signature.answered}
    asked = protocol.parse(body, route.form, outputs=list(outputs), head=head)
    for one in asked.wanted:
        if one.classification and outputs.get(one.name) in ("BYTES", "BOOL"):
            raise RequestInvalid(
                f"The output {one.name!r} is no output of numbers, which alone can be classified.",
                hint="Leave `classification` out.",
            )
    return asked


def refusal(error: ModelloopError) -> Response:
    """Return an error as every face shows it."""
    extra = ((b"allow", error.detail["allow"].encode()),) if isinstance(error, MethodError) else ()
    return Response(error.status, orjson.dumps(error.as_json()), (JSON, *extra))


def no_endpoint(name: str, serving: Serving) -> ModelloopError:
    """Return the error for an endpoint that does not answer."""
    if not serving.routes:
        return NotReady("The gateway has no endpoint loaded yet.", hint="Ask again when /v2/health/ready answers 200.")
    close = get_close_matches(name[:100], serving.routes, n=1)
    hint = f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(sorted(serving.routes))}."
    return NotFound(f"There is no endpoint {name[:80]!r}.", hint=hint)


def is_inference(path: str) -> bool:
    """Say whether a path is one that `Answerer.infer` answers."""
    parts = path.strip("/").split("/")
    if parts[:2] != ["v2", "models"] or parts[-1] != "infer":
        return False
    return len(parts) == 4 or (len(parts) == 6 and parts[3] == "versions")


def _respond(asked: Asked, accepted: bytes, done: Told, found: Answered | ModelloopError) -> None:
    if isinstance(found, ModelloopError):
        done(refusal(found))
        return
    try:
        body, head = reply.body_of(asked, found)
    except ModelloopError as error:
        done(refusal(error))
        return
    headers = [JSON if head is None else OCTETS, (b"modelloop-prediction-id", found.prediction.encode())]
    if head is not None:
        headers.append((b"inference-header-content-length", str(head).encode()))
    if accepted:
        body, encoding = reply.compressed(body, accepted)
        headers += [(b"content-encoding", encoding)] if encoding else []
    done(Response(200, body, tuple(headers)))


__all__ = ["Answerer", "MethodError", "Request", "Response", "is_inference", "read", "refusal"]
