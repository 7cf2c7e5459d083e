"""The latency that 1 answer in 100 exceeds, of a linear model: ours beside the limit's, the worst of three loads."""

from __future__ import annotations

import tempfile
from pathlib import Path

from modelloop.deploy.records import Route, Stage

from ..answering import beside_the_limit, request, tensor_body
from ..measure import Measured, Work
from ..served import linear, put, trees
from .answer import REFERENCE


def _run() -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        made = trees(rounds=5)
        champion, challenger = (put(home, made, number=number, tensor=linear()) for number in (1, 2))
        route = Route("bench", champion, challenger, Stage.CANARY, 0.1, "salt")
        ours, theirs, notes = beside_the_limit(home, request(tensor_body()[0]), route, by="p99")
    return Measured(ours.p99 * 1e3, theirs.p99 * 1e3, "ms, 99th percentile", notes)


WORK = Work("the slowest answer of 100, at 1, 8 and 32 connections", REFERENCE, 1.3, _run)
