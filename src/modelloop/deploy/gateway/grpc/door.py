"""Listens, and stops. The one file that touches grpcio; it and `answering.py` are async."""

from __future__ import annotations

import asyncio
import ipaddress
import signal
import socket
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any

from ....ground.core.errors import AddressRefused, ModelloopError
from ....ground.core.later import needed
from ..answer import Answerer
from .answering import Answers, Call

SERVICE = "inference.GRPCInferenceService"
LARGEST = 256_000_000
"""Bytes of a message that is read at all. What an endpoint takes is its own `max_body`, looked at after that."""
GRACE = 10.0
"""Seconds that calls under way have when the gateway stops."""
_CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    409: "FAILED_PRECONDITION",
    413: "RESOURCE_EXHAUSTED",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def serve(
    answerer: Answerer,
    *,
    host: str,
    port: int,
    remote: bool,
    listening: Callable[[int], None],
    stop: Future[None],
    share: bool = False,
) -> None:
    """Serve gRPC until `stop` is resolved; in the main thread also until SIGTERM or SIGINT.

    `listening` is called with the port once calls are taken; `share`: other processes may listen at the same port.
    Raises AddressRefused, or ExtraMissing where grpcio or protobuf is not installed.
    """
    aio, answers = needed("grpc.aio", "grpc"), Answers(answerer)
    address = _address(host, port, remote=remote)
    asyncio.run(_serve(aio, answers, address, listening, stop, share=share))


async def _serve(
    aio: Any, answers: Answers, address: str, listening: Callable[[int], None], stop: Future[None], *, share: bool
) -> None:
    server = aio.server(
        options=[
            ("grpc.max_receive_message_length", LARGEST),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", int(share)),
        ]
    )
    server.add_generic_rpc_handlers((_handlers(answers),))
    try:
        port = server.add_insecure_port(address)
    except RuntimeError as error:
        raise AddressRefused(f"Cannot listen at {address}: {error}.", hint="Choose another --port.") from error
    answers.attach(asyncio.get_running_loop())
    await server.start()
    stopped = asyncio.wrap_future(stop)
    _heed_signals(stopped)
    listening(port)
    await asyncio.wait([stopped])
    await server.stop(GRACE)


def _handlers(answers: Answers) -> Any:
    grpc = needed("grpc", "grpc")
    methods = {
        name: grpc.unary_unary_rpc_method_handler(partial(_answer, grpc.StatusCode, name, call))
        for name, call in answers.calls.items()
    }
    return grpc.method_handlers_generic_handler(SERVICE, methods)


async def _answer(codes: Any, name: str, call: Call, data: bytes, context: Any) -> bytes:
    try:
        return await call(data)
    except ModelloopError as error:
        if error.status not in _CODES:
            print(f"gateway: {error} in {name}", file=sys.stderr, flush=True)  # noqa: T201 - its log
        found = error
    await context.abort(getattr(codes, _CODES.get(found.status, "INTERNAL")), str(found))
    raise found


def _address(host: str, port: int, *, remote: bool) -> str:
    """Return where to listen, as grpcio writes it; raises AddressRefused by the same rule as over HTTP."""
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except OSError as error:
        raise AddressRefused(f"Cannot listen at {host}:{port}: {error}.", hint="Choose another --host.") from error
    number = str(found[4][0])
    if not remote and not ipaddress.ip_address(number).is_loopback:
        raise AddressRefused(
            f"{host} can be reached from other machines, and the gateway does not ask callers who they are.",
            hint="Use 127.0.0.1, or put an authenticating proxy before it and say --allow-remote.",
        )
    return f"[{number}]:{port}" if ":" in number else f"{number}:{port}"


def _heed_signals(stopped: asyncio.Future[None]) -> None:
    if threading.current_thread() is not threading.main_thread():
        return
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: None if stopped.done() else stopped.set_result(None))
