"""What each call of the service answers: bytes in, bytes out, or a ModelloopError."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, TypeAlias

from ....ground.core.errors import ModelloopError, NotFound, NotReady, RequestInvalid
from ....ground.core.later import needed
from .. import protocol
from ..answer import Answerer
from ..asked import Answered, Asked
from ..edge import contained
from ..faces.documents import config_facts, index_facts, model_facts, server_facts, trouble_of
from ..faces.looking import arm_of, route_of
from ..faces.statistics import statistics_of
from ..protocol import too_large
from ..reply import body_of
from . import wire
from .messages import messages

Call: TypeAlias = "Callable[[bytes], Awaitable[bytes]]"


class Answers:
    """The calls of `inference.GRPCInferenceService` by name."""

    def __init__(self, answerer: Answerer) -> None:
        self._answerer = answerer
        self._messages = messages()
        self._from_dict = needed("google.protobuf.json_format", "grpc").ParseDict
        self._broken = needed("google.protobuf.message", "grpc").DecodeError

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Say on which loop calls are answered."""
        self._answerer.attach(loop.call_soon_threadsafe)

    @property
    def calls(self) -> Mapping[str, Call]:
        """Return what answers each call."""
        plain: dict[str, Callable[[Any], Mapping[str, Any]]] = {
            "ServerLive": lambda _: {"live": True},
            "ServerReady": lambda _: {"ready": bool(self._answerer.live.serving.routes)},
            "ModelReady": self._model_ready,
            "ServerMetadata": lambda _: server_facts(),
            "ModelMetadata": self._model_metadata,
            "ModelConfig": self._model_config,
            "ModelStatistics": self._model_statistics,
            "RepositoryIndex": lambda request: {"models": index_facts(self._answerer.live, ready_only=request.ready)},
        }
        return {name: partial(self._told, name, tell) for name, tell in plain.items()} | {"ModelInfer": self._infer}

    async def _told(self, name: str, tell: Callable[[Any], Mapping[str, Any]], data: bytes) -> bytes:
        request = self._read(f"{name}Request", data)
        return bytes(contained(partial(self._document, name, tell, request)))

    def _document(self, name: str, tell: Callable[[Any], Mapping[str, Any]], request: Any) -> bytes:
        answer = self._messages[f"{name}Response"]()
        self._from_dict(dict(tell(request)), answer)
        return bytes(answer.SerializeToString())

    async def _infer(self, data: bytes) -> bytes:
        request = self._read("ModelInferRequest", data)
        asked = contained(partial(self._asked, request, len(data)))
        answered: asyncio.Future[Answered | ModelloopError] = asyncio.get_running_loop().create_future()

        def done(found: Answered | ModelloopError) -> None:
            if not answered.done():  # the caller may have gone away
                answered.set_result(found)

        number = request.model_version or None
        contained(partial(self._answerer.ask, request.model_name, number, asked, done))
        found = await answered
        if isinstance(found, ModelloopError):
            raise found
        return contained(partial(self._written, request, asked, found))

    def _asked(self, request: Any, size: int) -> Asked:
        """Read a request in the binary form over HTTP, so that both say the same about the same mistake."""
        route = route_of(self._answerer.live, request.model_name)
        arm = arm_of(route, request.model_version)
        if size > route.route.max_body:
            raise too_large(route.route.max_body)
        body, head = wire.body_of(request)
        outputs = [spec.name for spec in arm.signature.answered]
        return protocol.parse(body, route.form, outputs=outputs, head=head)

    def _written(self, request: Any, asked: Asked, found: Answered) -> bytes:
        body, head = body_of(asked, found)
        answer = self._messages["ModelInferResponse"]()
        wire.fill(answer, body, head or len(body), raw=not wire.is_typed(request))
        return bytes(answer.SerializeToString())

    def _read(self, name: str, data: bytes) -> Any:
        try:
            return self._messages[name].FromString(data)
        except self._broken as error:
            raise RequestInvalid(f"The message is not a {name}: {error}.") from error

    def _model_ready(self, request: Any) -> Mapping[str, Any]:
        try:
            arm = arm_of(route_of(self._answerer.live, request.name), request.version)
        except (NotFound, NotReady):  # the question is answered, as Triton answers it
            return {"ready": False}
        return {"ready": not trouble_of(arm)}

    def _model_metadata(self, request: Any) -> Mapping[str, Any]:
        route = route_of(self._answerer.live, request.name)
        return model_facts(route, arm_of(route, request.version))

    def _model_config(self, request: Any) -> Mapping[str, Any]:
        route = route_of(self._answerer.live, request.name)
        return {"config": config_facts(route, arm_of(route, request.version))}

    def _model_statistics(self, request: Any) -> Mapping[str, Any]:
        serving = self._answerer.live.serving
        routes = [route_of(self._answerer.live, request.name)] if request.name else list(serving.routes.values())
        counts = self._answerer.counters.snapshot()
        found = [(route, [arm_of(route, request.version)] if request.version else list(route.arms)) for route in routes]
        return {"model_stats": [statistics_of(counts, route, arm) for route, arms in found for arm in arms]}
