"""A gateway's gRPC face on a port, for tests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

from modelloop.deploy.gateway import grpc
from modelloop.deploy.gateway.answer import Answerer


@contextmanager
def served(answerer: Answerer) -> Iterator[str]:
    """Serve in a thread; give the address."""
    port: Future[int] = Future()
    stop: Future[None] = Future()

    def run() -> None:
        try:
            grpc.serve(answerer, host="127.0.0.1", port=0, remote=False, listening=port.set_result, stop=stop)
        except BaseException as error:
            if not port.done():
                port.set_exception(error)
            raise

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{port.result(20)}"
    finally:
        stop.set_result(None)
        thread.join(20)
        assert not thread.is_alive()
