"""One row of 30 features as one tensor, a linear model: the gateway, all on, beside the bare limit."""

from __future__ import annotations

import tempfile
from pathlib import Path

from modelloop.deploy.records import Route, Stage

from ..answering import beside_the_limit, request, tensor_body
from ..measure import Measured, Work, versions
from ..served import linear, put, trees

BAR = 4 / 3
"""At least .75 of the limit's answers on a saturated core, in CPU."""


def measured(graph: bytes | None) -> Measured:
    """Return the worst of 1, 8 and 32 connections; `graph`: None for 200 trees."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        made = trees(rounds=200 if graph is None else 5)
        champion, challenger = (put(home, made, number=number, tensor=graph or made.onnx) for number in (1, 2))
        body, _ = tensor_body()
        route = Route("bench", champion, challenger, Stage.CANARY, 0.1, "salt")
        ours, theirs, notes = beside_the_limit(home, request(body), route)
    return Measured(ours.cpu * 1e6, theirs.cpu * 1e6, "CPU us an answer", notes)


def _run() -> Measured:
    return measured(linear())


REFERENCE = (
    "bare asyncio protocol, same session, no checks, no log "
    f"({versions('httptools', 'uvloop', 'orjson', 'onnxruntime', 'uvicorn')})"
)
WORK = Work("one row, linear model: canary, metrics and log on", REFERENCE, BAR, _run)
