"""`python -m modelloop.deploy.gateway`: one gateway process."""

from __future__ import annotations

import argparse
import ipaddress
import json
import os
import signal
import socket
import sys
import time
from functools import partial
from pathlib import Path

from ...ground.core.clock import SystemClock
from ...ground.core.errors import AddressRefused, ModelloopError
from ...ground.core.ids import check_name
from ...ground.store.blobs import Blobs
from ..log import LogWriter
from .answer import Answerer
from .routing import Follower, FollowerThread, Reporter
from .runtime import Live, load_arm
from .server import App, Commit, Gate, Server, configuration
from .shadow import Shadow

FIRST_LOOK_SECONDS = 5.0
"""How long callers are kept waiting for the first versions to be loaded, before they are told that nothing is."""


def main(argv: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; return the exit status."""
    options = _options(argv)
    try:
        _serve(options)
    except ModelloopError as error:
        print(f"gateway: {error}", file=sys.stderr)  # noqa: T201 - its log
        return 2
    return 0


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m modelloop.deploy.gateway", description=__doc__)
    parser.add_argument("--blobs", required=True, help="URL of the object store: packages, routing table, reports")
    parser.add_argument("--predictions", required=True, type=Path, help="folder of the prediction log")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free one; the address is the first line of output")
    parser.add_argument("--id", required=True, help="name of this gateway; no two that run may share one")
    parser.add_argument(
        "--allow-remote", action="store_true", help="listen beyond loopback: what stands before it checks callers"
    )
    return parser.parse_args(argv)


def _serve(options: argparse.Namespace) -> None:
    gateway = check_name(options.id, "gateway")
    listener, hosts = _listen(options.host, options.port, remote=options.allow_remote)
    address = f"http://{_shown(options.host)}:{listener.getsockname()[1]}"
    blobs, clock, live = Blobs(options.blobs), SystemClock(), Live()
    log = LogWriter(options.predictions, gateway, time.time_ns())
    shadow = Shadow(log.write)
    reporter = Reporter(blobs, live, shadow, log, clock, gateway, address)
    follower = FollowerThread(Follower(blobs, live, partial(load_arm, blobs)), reporter, live)
    answerer = Answerer(live, clock, lambda: {"log_failed": log.failed, "log": log.failing or "ok"})
    app = App(answerer, Commit(log.write), shadow.offer, Gate(hosts))
    server = Server(configuration(app), partial(_say, {"gateway": gateway, "address": address, "pid": os.getpid()}))
    # A stop is a clean one from here on: before uvicorn listens, and after it, when it raises the signal once more.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, server.handle_exit)
    shadow.start()
    follower.start(FIRST_LOOK_SECONDS)
    server.run([listener])
    shadow.stop()
    follower.stop()
    log.close()


def _listen(host: str, port: int, *, remote: bool) -> tuple[socket.socket, frozenset[str] | None]:
    """Return a bound socket and the Host headers it answers to (None: any)."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        if not remote and not ipaddress.ip_address(found[4][0]).is_loopback:
            raise AddressRefused(
                f"{host} can be reached from other machines, and the gateway does not ask callers who they are.",
                hint="Use 127.0.0.1, or put an authenticating proxy before it and say --allow-remote.",
            )
        listener = socket.socket(found[0], socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(found[4])
    except OSError as error:
        raise AddressRefused(f"Cannot listen at {host}:{port}: {error}.", hint="Choose another --port.") from error
    if remote:
        return listener, None
    number = listener.getsockname()[1]
    names = {host.lower(), "127.0.0.1", "localhost", "[::1]"}
    return listener, frozenset(f"{name}:{number}" for name in names)


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _say(facts: dict[str, object]) -> None:
    print(json.dumps(facts), flush=True)  # noqa: T201 - the first line of output is the address


if __name__ == "__main__":
    sys.exit(main())
