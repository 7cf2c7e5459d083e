"""A process that makes calls as it is asked: `python -m modelloop.ground.pool.callee PIPE LIFELINE PARENT HOLDERS
PROJECT BLOBS`.

It answers over a pipe, in JSON. Its first message is an empty one: it is ready, and the time of the first call counts
from there.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from multiprocessing.connection import Connection
from pathlib import Path

from ..core.hashing import canonical_json
from ..flow.bound import bind_to, second_holder
from ..flow.caller import Caller
from ..flow.codecs import from_text
from ..store.blobs import Blobs
from .measure import Measured, cpu_seconds


def main(words: list[str]) -> None:
    """Serve until the parent closes the pipe."""
    pipe_fd, lifeline, parent, holders, project, url = words
    bind_to(int(parent), int(lifeline))
    with second_holder(int(lifeline)) if holders == "2" else nullcontext():
        _serve(int(pipe_fd), Path(project), url)


def _serve(pipe_fd: int, project: Path, url: str) -> None:
    caller = Caller(project, Blobs(url))
    pipe = Connection(pipe_fd)
    pipe.send_bytes(b"")
    while True:
        try:
            asked = from_text(pipe.recv_bytes())
        except EOFError:
            return
        measured = Measured(asked["memory"], asked["gpus"])
        told = caller.answer(asked, measured)
        pipe.send_bytes(canonical_json({**told, "usage": measured.usage(), "cpu_so_far": cpu_seconds()}))


if __name__ == "__main__":
    main(sys.argv[1:])
