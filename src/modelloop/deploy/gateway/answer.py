"""From a request to a response, free of any HTTP server's types: what a later, faster front end calls as it is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from functools import partial
from importlib.metadata import version as installed_version
from typing import Any

import orjson

from ...ground.core.clock import Clock
from ...ground.core.errors import InvalidInput, ModelloopError, NotFound, NotReady, RequestInvalid
from ...ground.core.ids import new_id
from ..log import frame
from ..route import ArmName, choose, shadowed
from . import protocol
from .edge import ForeignError, contained
from .protocol import Asked
from .runtime import ArmError, Live, LoadedArm, LoadedRoute, Scored, Serving, score, values_for
from .shadow import ShadowJob
from .tensors import checked

DEFAULT_LIMIT = 1_000_000
JSON = (b"content-type", b"application/json")


@dataclass(frozen=True, slots=True)
class Request:
    """What came in. `path` is decoded; header names are lower case."""

    method: str
    path: str
    headers: Mapping[bytes, bytes]
    body: bytes


@dataclass(frozen=True, slots=True)
class Response:
    """What goes out: after `record`, if any, is in the log; then `shadow`, if any, is queued."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = (JSON,)
    record: bytes | None = None
    shadow: ShadowJob | None = None


class MethodError(InvalidInput):
    """The path does not take this method."""

    status = 405


@dataclass(frozen=True, slots=True)
class _Call:
    """One infer request on its way."""

    serving: Serving
    route: LoadedRoute
    pinned: LoadedArm | None
    asked: Asked
    prediction: str
    now: datetime

    def record(self, kind: str, name: ArmName, arm: LoadedArm, values: Mapping[str, list[Any]]) -> dict[str, Any]:
        event_time = self.asked.event_time or self.now
        facts = {
            "k": kind,
            "id": self.prediction,
            "at": _microseconds(self.now),
            "et": _microseconds(event_time),
            "ep": self.route.route.endpoint,
            "gen": self.serving.generation,
            "arm": str(name),
            "v": arm.arm.version,
            "x": self._with_others(values),
        }
        return facts if self.asked.id is None else facts | {"cid": self.asked.id}

    def _with_others(self, values: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """Return all inputs of their column's type; what only the other version reads is not checked yet."""
        found = dict(values)
        for name, tensor in self.asked.tensors.items():
            if name not in found:
                with suppress(RequestInvalid):
                    found[name] = checked(self.route.column(name), tensor.datatype, tensor.values)
        return found


class Answerer:
    """Answers requests with whatever is live. One thread."""

    def __init__(self, live: Live, clock: Clock, health: Callable[[], Mapping[str, Any]]) -> None:
        """`health`: what the readiness answer also tells, such as the state of the log."""
        self.live = live
        self._clock = clock
        self._health = health
        self._release = installed_version("modelloop")

    def body_limit(self, path: str) -> int:
        """Return how many bytes of body the path takes."""
        parts = _parts(path)
        route = self.live.serving.routes.get(parts[2]) if len(parts) > 3 else None
        return DEFAULT_LIMIT if route is None else route.route.max_body

    def answer(self, request: Request) -> Response:
        """Answer anything; never raises."""
        try:
            return contained(partial(self._dispatch, request))
        except ForeignError as error:  # we are wrong somewhere, and a caller gets an answer all the same
            self.live.errors += 1
            print(f"gateway: {error} at {request.path[:200]!r}", file=sys.stderr, flush=True)  # noqa: T201 - its log
            return refusal(ModelloopError("The gateway failed on this request; its log says why."))
        except ModelloopError as error:
            return refusal(error)

    def _dispatch(self, request: Request) -> Response:
        parts = _parts(request.path)
        match parts:
            case ["v2"]:
                return self._get(request, {"name": "modelloop", "version": self._release, "extensions": []})
            case ["v2", "health", "live"]:
                return self._get(request, {"live": True})
            case ["v2", "health", "ready"]:
                return self._ready(request)
            case ["v2", "models", name, *rest]:
                return self._model(request, name, rest)
        raise NotFound(
            f"There is nothing at {request.path[:80]!r}.",
            hint="Predictions are asked with POST /v2/models/ENDPOINT/infer.",
        )

    def _model(self, request: Request, name: str, rest: list[str]) -> Response:
        serving = self.live.serving
        route = serving.routes.get(name)
        if route is None:
            raise _no_endpoint(name, serving)
        pinned = None
        if len(rest) >= 2 and rest[0] == "versions":
            pinned = _pinned(route, rest[1])
            rest = rest[2:]
        match rest:
            case []:
                return self._metadata(request, route, pinned)
            case ["ready"]:
                return self._get(request, {"name": name, "ready": True})
            case ["infer"]:
                _require_method(request, "POST")
                return self._infer(request, serving, route, pinned)
        raise NotFound(f"There is nothing at {request.path[:80]!r}.", hint=f"Did you mean /v2/models/{name}/infer?")

    def _infer(self, request: Request, serving: Serving, route: LoadedRoute, pinned: LoadedArm | None) -> Response:
        encoding = request.headers.get(b"content-encoding", b"").decode("latin-1").strip().lower()
        body = protocol.unpack(request.body, encoding, route.route.max_body)
        known = route.known
        output = (pinned or route.champion).signature.output
        asked = protocol.parse(body, known, output=output, max_rows=route.route.max_rows)
        now = self._clock.now()
        call = _Call(serving, route, pinned, asked, new_id("pred", now), now)
        name, arm = _choose(call)
        try:
            return self._answered(call, *_scored(call, name, arm))
        except ArmError as failure:
            return self._failed(call, failure)

    def _answered(self, call: _Call, name: ArmName, arm: LoadedArm, scored: Scored, error: str | None) -> Response:
        record = call.record("a", name, arm, scored.values)
        record |= {"s": scored.scores, "ms": round(scored.milliseconds, 4)}
        if error is not None:
            record["err"] = error
        job = _shadow_job(call)
        if job is not None:
            record["sv"] = job.arm.arm.version
        ids = (call.prediction if call.asked.id is None else call.asked.id, call.prediction)
        endpoint = call.route.route.endpoint
        body = protocol.answer_body(endpoint, arm.arm.version, ids, arm.signature.output, scored.scores)
        self.live.answered += 1
        return Response(200, body, (JSON, _prediction_header(call)), frame(record), job)

    def _failed(self, call: _Call, failure: ArmError) -> Response:
        """A version failed and no other stood in: the champion, or one that was asked for by number."""
        self.live.errors += 1
        arm = call.pinned or call.route.champion
        name = ArmName.CHAMPION if arm is call.route.champion else ArmName.CHALLENGER
        record = call.record("f", name, arm, {}) | {"err": str(failure)[:500]}
        shown = ModelloopError(
            f"{arm.arm.version} could not answer: it failed in itself, not because of the request.",
            hint=f"Tell the endpoint's owner the prediction id {call.prediction}.",
        )
        answer = refusal(shown)
        return Response(answer.status, answer.body, (JSON, _prediction_header(call)), frame(record))

    def _metadata(self, request: Request, route: LoadedRoute, pinned: LoadedArm | None) -> Response:
        _require_method(request, "GET")
        arm = pinned or route.champion
        versions = [each.number for each in (route.champion, route.challenger) if each]
        name = route.route.endpoint
        return Response(200, protocol.metadata_body(name, versions, arm.signature.inputs, arm.signature.output))

    def _ready(self, request: Request) -> Response:
        ready = bool(self.live.serving.routes)
        body = {"ready": ready, "generation": self.live.serving.generation, **self._health()}
        return self._get(request, body, 200 if ready else NotReady.status)

    def _get(self, request: Request, body: Mapping[str, Any], status: int = 200) -> Response:
        _require_method(request, "GET")
        return Response(status, orjson.dumps(body))


def refusal(error: ModelloopError) -> Response:
    """Return an error as every face shows it."""
    extra = ((b"allow", error.detail["allow"].encode()),) if isinstance(error, MethodError) else ()
    return Response(error.status, orjson.dumps(error.as_json()), (JSON, *extra))


def _choose(call: _Call) -> tuple[ArmName, LoadedArm]:
    """Return the arm that is asked first. The champion must be able to take over, so its inputs are checked here."""
    route = call.route
    if call.pinned is not None:
        return (ArmName.CHAMPION if call.pinned is route.champion else ArmName.CHALLENGER), call.pinned
    if route.challenger is None or choose(route.route, _key(call)) is ArmName.CHAMPION:
        return ArmName.CHAMPION, route.champion
    values_for(route.champion, call.asked)
    return ArmName.CHALLENGER, route.challenger


def _scored(call: _Call, name: ArmName, arm: LoadedArm) -> tuple[ArmName, LoadedArm, Scored, str | None]:
    """Return the answer; the champion stands in for a challenger that fails in canary, and the reason is kept."""
    if name is ArmName.CHAMPION or call.pinned is not None:
        return name, arm, score(arm, call.asked), None
    try:
        return name, arm, score(arm, call.asked), None
    except ModelloopError as failure:
        champion = call.route.champion
        return ArmName.CHAMPION, champion, score(champion, call.asked), str(failure)[:500]


def _shadow_job(call: _Call) -> ShadowJob | None:
    challenger = call.route.challenger
    if challenger is None or call.pinned is not None or not shadowed(call.route.route, call.prediction):
        return None
    return ShadowJob(call.prediction, challenger, call.asked)


def _key(call: _Call) -> str:
    """Return what keeps a caller on one arm: the key column's first value, else the prediction id."""
    tensor = call.asked.tensors.get(call.route.route.key or "")
    if tensor is None:
        return call.prediction
    value = checked(call.route.column(tensor.name), tensor.datatype, tensor.values)[0]
    return call.prediction if value is None else str(value)


def _pinned(route: LoadedRoute, number: str) -> LoadedArm:
    arm = route.by_number(number)
    if arm is None:
        loaded = ", ".join(each.number for each in (route.champion, route.challenger) if each)
        raise NotFound(f"Version {number[:20]!r} of {route.route.endpoint!r} is not loaded.", hint=f"Loaded: {loaded}.")
    return arm


def _no_endpoint(name: str, serving: Serving) -> ModelloopError:
    if not serving.routes:
        return NotReady("The gateway has no endpoint loaded yet.", hint="Ask again when /v2/health/ready answers 200.")
    close = get_close_matches(name[:100], serving.routes, n=1)
    hint = f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(sorted(serving.routes))}."
    return NotFound(f"There is no endpoint {name[:80]!r}.", hint=hint)


def _require_method(request: Request, method: str) -> None:
    if request.method != method and not (method == "GET" and request.method == "HEAD"):
        raise MethodError(
            f"{request.method[:20]} is not answered at {request.path[:80]!r}.",
            hint=f"Use {method}.",
            detail={"allow": method},
        )


def _parts(path: str) -> list[str]:
    return path.strip("/").split("/")


def _prediction_header(call: _Call) -> tuple[bytes, bytes]:
    return (b"modelloop-prediction-id", call.prediction.encode())


def _microseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000)
