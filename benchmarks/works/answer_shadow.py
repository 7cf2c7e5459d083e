"""A quarter of the traffic also scored by a challenger, off the path: the same gateway beside one without a shadow."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path

from modelloop.deploy.records import Route, Stage

from ..answering import gateway, pair, request, tensor_body
from ..measure import Measured, Work
from ..served import put, trees

QUARTER_COST = 1 / (1 - 0.12)
"""Under 12 % of the answers a second of a saturated core."""


def _run() -> Measured:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        home = Path(folder)
        made = trees(rounds=200)
        one, two = (put(home, made, number=number, tensor=made.onnx) for number in (1, 2))
        routes = {
            "plain": Route("bench", one),
            "quarter": Route("bench", one, two, Stage.SHADOW, 0.25, "salt"),
            "all": Route("bench", one, two, Stage.SHADOW, 1.0, "salt"),
        }
        plain, quarter, everything = [
            stack.enter_context(gateway(home, route, name=name)) for name, route in routes.items()
        ]
        asked = request(tensor_body()[0])
        part, without = pair(quarter, plain, asked, 8)
        whole, beside = pair(everything, plain, asked, 8)
    notes: dict[str, float | str] = {
        "a quarter: answers/s": f"{part.rate:.0f} of {without.rate:.0f}",
        "all: answers/s": f"{whole.rate:.0f} of {beside.rate:.0f}",
        "all of it costs, us a request": (whole.cpu - beside.cpu) * 1e6,
    }
    return Measured(part.cpu * 1e6, without.cpu * 1e6, "CPU us an answer", notes)


WORK = Work("a shadow of a quarter of the traffic, 200 trees", "the same gateway without it", QUARTER_COST, _run)
