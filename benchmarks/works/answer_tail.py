"""The latency that 1 answer in 100 exceeds, at 32 connections, of a linear model: ours beside the limit's."""

from __future__ import annotations

import tempfile
from pathlib import Path

from modelloop.deploy.records import Route, Stage

from ..answering import notes_of, request, side_by_side, tensor_body
from ..measure import Measured, Work
from ..served import linear, put, trees
from .answer import REFERENCE


def _run() -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        made = trees(rounds=5)
        champion, challenger = (put(home, made, number=number, tensor=linear()) for number in (1, 2))
        body, _ = tensor_body()
        route = Route("bench", champion, challenger, Stage.CANARY, 0.1, "salt")
        found = side_by_side(home, request(body), route, connections=(32,), rounds=9)
    loads = found[32]
    return Measured(loads["gateway"].p99 * 1e3, loads["limit"].p99 * 1e3, "ms, 99th percentile", notes_of(found))


WORK = Work("the slowest answer of 100, 32 connections", REFERENCE, 1.3, _run)
