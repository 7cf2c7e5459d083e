"""What canary, metrics and log cost of an answer: each timed alone, as a share of an answer's whole CPU."""

from __future__ import annotations

import tempfile
import time
from bisect import bisect_left
from collections.abc import Callable
from functools import partial
from pathlib import Path

from modelloop.deploy.gateway.answer import Answerer
from modelloop.deploy.gateway.counting import BOUNDS, Tally
from modelloop.deploy.gateway.plans import moment_of, plan_of
from modelloop.deploy.gateway.runtime import Live, assemble, load_arm
from modelloop.deploy.log import PredictionLog
from modelloop.deploy.records import Route, RoutingTable, Stage
from modelloop.ground.core.clock import SystemClock
from modelloop.ground.store.blobs import Blobs

from ..answering import gateway, interleaved, request, tensor_body
from ..measure import Measured, Work
from ..served import linear, put, trees

CALLS, ROUNDS = 4000, 9


def _run() -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        made = trees(rounds=5)
        one, two = (put(home, made, number=number, tensor=linear()) for number in (1, 2))
        route = Route("bench", one, two, Stage.CANARY, 0.1, "salt")
        parts = _parts(home, route)
        with gateway(home, route) as server:
            whole = interleaved([server], request(tensor_body()[0]), 8)[server.name].cpu * 1e6
    notes: dict[str, float | str] = {f"{name}, us": cost for name, cost in parts.items()}
    notes |= {f"{name}, share": cost / whole for name, cost in parts.items()} | {"an answer, us": whole}
    return Measured(parts["log"], whole, "CPU us", notes)


def _parts(home: Path, route: Route) -> dict[str, float]:
    loader = partial(load_arm, Blobs(f"file://{home / 'blobs'}"))
    serving, failed = assemble(RoutingTable(1, (route,)), {}, loader)
    assert not failed
    log = PredictionLog(home / "parts", "parts", time.time_ns())
    answerer = Answerer(Live(serving), SystemClock(), dict, log=log)
    plan = plan_of(serving.routes["bench"], 1, answerer.desk)
    assert plan is not None
    body, _ = tensor_body()
    read = plan.read(body, None)
    assert read is not None
    scored = plan.champion.score(read[0], read[1])
    assert scored is not None
    name, tally = answerer.desk.ids.new(1_790_000_000_000_000), Tally()
    key = name.encode()

    def logged() -> None:
        moment = moment_of(key, 1_790_000_000_000_000, 0.1, 0.2)
        plan.write(plan.champion.record(moment, read, scored, ""))

    def counted() -> None:
        tally.buckets[bisect_left(BOUNDS, 0.0002)] += 1
        tally.rows += 1
        tally.seconds += 0.0002
        tally.scoring += 0.0001
        tally.last = 1.0

    found = {"log": _cost(logged), "metrics": _cost(counted), "canary": _cost(partial(plan.choose, read, name))}
    log.close()
    return found


def _cost(do: Callable[[], object]) -> float:
    """Return the CPU microseconds of a call, its loop's own left out; the best of several rounds."""
    best = []
    for work in (do, _nothing):
        spent = []
        for _ in range(ROUNDS):
            before = time.process_time()
            for _ in range(CALLS):
                work()
            spent.append(time.process_time() - before)
        best.append(min(spent) / CALLS * 1e6)
    return best[0] - best[1]


def _nothing() -> None:
    return None


WORK = Work("the prediction log of an answer", "the whole answer on the wire, linear model", 0.1, _run)
