"""`python -m modelloop.deploy.gateway`: one gateway process."""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import sys
from concurrent.futures import Future
from functools import partial

from ...ground.core.errors import ModelloopError
from . import grpc
from .draining import DrainingServer
from .listening import Hosts, address_of, inherit, listen
from .options import read_options
from .server import App, Gate, configuration
from .standing import Place, Standing


def main(argv: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; return the exit status."""
    options = read_options(argv)
    try:
        if options.face == "grpc":
            _serve_grpc(options)
        else:
            _serve_http(options)
    except ModelloopError as error:
        print(f"gateway: {error}", file=sys.stderr)  # noqa: T201 - its log
        return 2
    return 0


def _serve_http(options: argparse.Namespace) -> None:
    listener, hosts = _listener(options)
    address = f"http://{address_of(options.host, listener)}"
    standing = Standing(_place(options), lambda: address)
    app = App(standing.answerer, Gate(hosts))
    server = DrainingServer(
        configuration(app, http=options.http), partial(_say, options, address), seconds=options.drain
    )
    # A stop is a clean one from here on: before uvicorn listens, and after it, when it raises the signal once more.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, server.handle_exit)
    standing.start()
    server.run([listener])
    standing.stop()


def _serve_grpc(options: argparse.Namespace) -> None:
    port: list[int] = []
    standing = Standing(_place(options), lambda: f"grpc://{options.host}:{port[0]}" if port else "")

    def listening(chosen: int) -> None:
        port.append(chosen)
        _say(options, f"grpc://{options.host}:{chosen}")

    stop: Future[None] = Future()
    signal.signal(signal.SIGTERM, lambda *_: None if stop.done() else stop.set_result(None))
    standing.start()
    try:
        grpc.serve(
            standing.answerer, host=options.host, port=options.port, remote=options.allow_remote,
            listening=listening, stop=stop, share=options.share_port,
        )  # fmt: skip
    finally:
        standing.stop()


def _listener(options: argparse.Namespace) -> tuple[socket.socket, Hosts]:
    if options.listen_fd is None:
        return listen(options.host, options.port, remote=options.allow_remote, share=options.share_port)
    return inherit(options.listen_fd, options.host, remote=options.allow_remote)


def _place(options: argparse.Namespace) -> Place:
    return Place(
        gateway=options.id,
        predictions=options.predictions,
        blobs=options.blobs,
        routing=options.routing,
        routing_token=options.routing_token,
        log_key=options.log_key,
        state=options.state,
        poll=options.poll,
        reports=not options.no_report,
    )


def _say(options: argparse.Namespace, address: str) -> None:
    facts = {"gateway": options.id, "address": address, "pid": os.getpid()}
    print(json.dumps(facts), flush=True)  # noqa: T201 - the first line of output is the address
    if options.ready_fd is not None:
        os.write(options.ready_fd, b"1")
        os.close(options.ready_fd)


if __name__ == "__main__":
    sys.exit(main())
