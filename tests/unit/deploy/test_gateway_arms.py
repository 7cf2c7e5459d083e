"""Champion, challenger and shadow: who answers, who stands in, what is logged, and that a bad table changes nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway_parts import (
    INPUTS,
    ONE,
    TWO,
    Made,
    answerer,
    answering,
    arm,
    ask,
    constant,
    fails,
    inputs,
    logged,
    tensor,
    told,
)
from modelloop.deploy.gateway.answer import Answerer
from modelloop.deploy.gateway.routing import Follower, FollowerThread, Reporter
from modelloop.deploy.gateway.runtime import Live, LoadedArm
from modelloop.deploy.gateway.shadow import Shadow, ShadowJob
from modelloop.deploy.gateway.signals import Freshness
from modelloop.deploy.gateway.sources import StoredTable
from modelloop.deploy.log import _DECODER, _HEAD, LogWriter
from modelloop.deploy.records import Arm, Route, RoutingTable, Stage
from modelloop.deploy.table import TABLE_DOCUMENT, encode_table
from modelloop.ground.core.errors import InvalidInput
from modelloop.ground.store.context import Context
from modelloop.prepare.records import Datatype, InputColumn

CANARY = Route("late", ONE, TWO, Stage.CANARY, 1.0, "salt", "carrier")
EXTRA = (*INPUTS, InputColumn("extra", Datatype.FP64))


def not_finite(columns: Any) -> Any:
    return np.full(len(columns["delay"]), np.nan)


def wrong_length(columns: Any) -> Any:
    return np.zeros(7)


def cannot(columns: Any) -> Any:
    raise InvalidInput("carrier 'AA' is not in the table")


def test_the_challenger_answers_its_share() -> None:
    gateway = answerer(replace(CANARY, share=0.5), arm(ONE, constant(0.125)), arm(TWO, constant(0.25)))
    versions = set()
    for number in range(40):
        body = {"inputs": [one | {"data": [f"C{number}"]} if one["name"] == "carrier" else one for one in inputs()]}
        first, second = ask(gateway, body), ask(gateway, body)
        assert logged(first)["v"] == logged(second)["v"]
        assert told(first)["outputs"][0]["data"] == [0.25 if logged(first)["arm"] == "challenger" else 0.125]
        versions.add(logged(first)["v"])
    assert versions == {"delay:1", "delay:2"}


@pytest.mark.parametrize("broken", [fails, not_finite, wrong_length, cannot])
def test_the_champion_stands_in_for_a_failing_challenger(broken: Any) -> None:
    response = ask(answerer(CANARY, arm(ONE, constant(0.125)), arm(TWO, Made(broken))), {"inputs": inputs()})
    record = logged(response)
    assert (response.status, record["arm"], record["v"], record["s"]) == (200, "champion", "delay:1", [0.125])
    assert record["err"]
    assert told(response)["parameters"]["version"] == "delay:1"


def test_inputs_that_only_the_challenger_needs() -> None:
    gateway = answerer(CANARY, arm(ONE, constant(0.125)), arm(TWO, constant(0.25), EXTRA))
    without = logged(ask(gateway, {"inputs": inputs()}))
    wrong = logged(ask(gateway, {"inputs": [*inputs(), tensor("extra", "BYTES", ["x"])]}))
    given = logged(ask(gateway, {"inputs": [*inputs(), tensor("extra", "FP64", [1.0])]}))
    assert (without["arm"], "extra" in without["err"]) == ("champion", True)
    assert (wrong["arm"], "extra" in wrong["err"], "extra" in wrong["x"]) == ("champion", True, False)
    assert (given["arm"], given["x"]["extra"]) == ("challenger", [1.0])


def test_inputs_that_the_champion_needs_are_needed_whoever_answers() -> None:
    gateway = answerer(CANARY, arm(ONE, constant(0.125), EXTRA), arm(TWO, constant(0.25)))
    assert ask(gateway, {"inputs": inputs()}).status == 400


@pytest.mark.parametrize("shadows", [True, False])
@pytest.mark.parametrize("broken", [fails, not_finite, wrong_length, cannot])
def test_in_a_bake_the_version_before_stands_in(broken: Any, shadows: bool) -> None:
    route = Route("late", TWO, ONE if shadows else None, Stage.BAKE, 1.0, "salt", standby=() if shadows else (ONE,))
    gateway = answerer(route, arm(TWO, Made(broken)), arm(ONE, constant(0.125)))
    response = ask(gateway, {"inputs": inputs()})
    record = logged(response)
    assert (response.status, record["v"], record["s"], "sv" in record) == (200, "delay:1", [0.125], False)
    assert record["err"]
    alone = ask(gateway, {"inputs": inputs()}, "/v2/models/late/versions/2/infer")  # by number: nobody stands in
    assert alone.status != 200


def test_in_a_bake_what_neither_version_can_read_is_the_callers_mistake() -> None:
    route = Route("late", TWO, ONE, Stage.BAKE, 1.0, "salt")
    gateway = answerer(route, arm(TWO, Made(cannot)), arm(ONE, Made(cannot), EXTRA))
    response = ask(gateway, {"inputs": inputs()})
    assert (response.status, "carrier 'AA'" in told(response)["error"]) == (400, True)
    both = answerer(route, arm(TWO, Made(fails)), arm(ONE, Made(fails)))
    failed = ask(both, {"inputs": inputs()})
    assert (failed.status, logged(failed)["k"]) == (500, "f")


@pytest.mark.parametrize("broken", [fails, not_finite, wrong_length])
def test_a_failing_champion_is_our_fault_and_logged_so(broken: Any) -> None:
    gateway = answerer(Route("late", ONE), arm(ONE, Made(broken)))
    response = ask(gateway, {"inputs": inputs()})
    assert response.status == 500
    assert "not because of the request" in told(response)["error"]
    assert (logged(response)["k"], logged(response)["v"]) == ("f", "delay:1")
    assert gateway.live.errors == 1


def test_a_champion_that_cannot_answer_this_request_says_why() -> None:
    response = ask(answerer(Route("late", ONE), arm(ONE, Made(cannot))), {"inputs": inputs()})
    assert (response.status, "not in the table" in told(response)["error"]) == (400, True)


def test_a_version_asked_for_by_number_answers_alone() -> None:
    gateway = answerer(CANARY, arm(ONE, constant(0.125)), arm(TWO, Made(fails)))
    first = ask(gateway, {"inputs": inputs()}, "/v2/models/late/versions/1/infer")
    second = ask(gateway, {"inputs": inputs()}, "/v2/models/late/versions/2/infer")
    assert (first.status, logged(first)["v"]) == (200, "delay:1")
    assert (second.status, logged(second)["v"]) == (500, "delay:2")


def test_a_key_that_is_no_input_is_welcome() -> None:
    gateway = answerer(replace(CANARY, key="customer"), arm(ONE, constant(0.125)), arm(TWO, constant(0.25)))
    assert ask(gateway, {"inputs": [*inputs(), tensor("customer", "BYTES", ["c1"])]}).status == 200
    assert ask(gateway, {"inputs": [*inputs(), tensor("customer", "INT64", [1])]}).status == 200


def shadow_jobs(gateway: Answerer, requests: list[dict[str, Any]]) -> list[ShadowJob]:
    responses = [ask(gateway, body) for body in requests]
    assert all(response.status == 200 for response in responses)
    return [response.shadow for response in responses if response.shadow is not None]


def drained(jobs: list[ShadowJob], **options: Any) -> tuple[Shadow, list[dict[str, Any]]]:
    frames: list[bytes] = []
    shadow = Shadow(frames.extend, **options)
    for job in jobs:
        shadow.offer(job)
    shadow.drain()
    return shadow, [_DECODER.decode(one[_HEAD.size :]) for one in frames]


def test_the_shadow_scores_each_request_as_alone() -> None:
    model = Made(lambda columns: columns["delay"] * 2)
    route = replace(CANARY, stage=Stage.SHADOW)
    gateway = answerer(route, arm(ONE, constant(0.125)), arm(TWO, model))
    requests = [
        {"inputs": [one | {"data": [float(n)] * rows} if one["name"] == "delay" else one for one in inputs(rows)]}
        for n, rows in enumerate([1, 3, 2, 1])
    ]
    jobs = shadow_jobs(gateway, requests)
    shadow, results = drained(jobs)
    assert [result["s"] for result in results] == [[0.0], [2.0] * 3, [4.0] * 2, [6.0]]
    assert [result["id"] for result in results] == [job.prediction for job in jobs]
    assert {(result["k"], result["v"]) for result in results} == {("s", "delay:2")}
    assert len(model.asked) == 1, "scored together"
    assert (shadow.scored, shadow.failed, shadow.dropped) == (4, 0, 0)


def test_one_bad_request_fails_alone_in_the_shadow() -> None:
    route = replace(CANARY, stage=Stage.SHADOW)
    gateway = answerer(route, arm(ONE, constant(0.125)), arm(TWO, constant(0.25), EXTRA))
    full = {"inputs": [*inputs(), tensor("extra", "FP64", [1.0])]}
    shadow, results = drained(shadow_jobs(gateway, [full, {"inputs": inputs()}, full]))
    assert [result["s"] for result in results] == [[0.25], None, [0.25]]
    assert "extra" in results[1]["err"]
    assert (shadow.scored, shadow.failed) == (2, 1)


def test_a_full_shadow_drops_and_counts() -> None:
    gateway = answerer(replace(CANARY, stage=Stage.SHADOW), arm(ONE, constant(0.125)), arm(TWO, constant(0.25)))
    shadow, results = drained(shadow_jobs(gateway, [{"inputs": inputs()}] * 5), capacity=3)
    assert (shadow.scored, shadow.dropped, len(results)) == (3, 2, 3)


def test_the_shadow_is_planned_in_the_log_for_its_share_only() -> None:
    route = replace(CANARY, stage=Stage.SHADOW, share=0.5)
    gateway = answerer(route, arm(ONE, constant(0.125)), arm(TWO, constant(0.25)))
    responses = [ask(gateway, {"inputs": inputs()}) for _ in range(60)]
    planned = [response for response in responses if "sv" in logged(response)]
    assert 10 < len(planned) < 50
    assert [response for response in responses if response.shadow] == planned


class Shelf:
    """Loads made-up versions; some cannot be loaded."""

    def __init__(self) -> None:
        self.broken: set[str] = set()
        self.loads: list[str] = []

    def __call__(self, wanted: Arm) -> LoadedArm:
        self.loads.append(wanted.version)
        if wanted.version in self.broken:
            raise ValueError("bad bytes")
        return arm(wanted, constant(0.5))


def following(ctx: Context, live: Live, shelf: Shelf) -> Follower:
    return Follower(StoredTable(ctx.blobs), live, shelf, freshness=Freshness(ctx.clock))


def publish(ctx: Context, generation: int, *routes: Route) -> None:
    ctx.blobs.write_document(TABLE_DOCUMENT, encode_table(RoutingTable(generation, routes)))


def test_the_follower_swaps_only_to_what_loads(ctx: Context) -> None:
    live, shelf = Live(), Shelf()
    follower = following(ctx, live, shelf)
    assert not follower.step()
    publish(ctx, 1, Route("late", ONE))
    assert follower.step()
    assert not follower.step()
    shelf.broken.add("delay:2")
    publish(ctx, 2, CANARY)
    before = live.serving
    assert not follower.step()
    assert live.serving is before
    assert live.failed == {"delay:2": "ValueError: bad bytes"}
    shelf.broken.clear()
    assert not follower.step()
    assert follower.step(again=True)
    assert (live.serving.generation, live.failed) == (2, {})
    assert shelf.loads == ["delay:1", "delay:2", "delay:2"], "what is loaded stays loaded"


def test_a_table_that_is_no_table_changes_nothing(ctx: Context) -> None:
    live = Live()
    follower = following(ctx, live, Shelf())
    publish(ctx, 1, Route("late", ONE))
    follower.step()
    ctx.blobs.write_document(TABLE_DOCUMENT, b"{}")
    assert not follower.step()
    assert live.serving.generation == 1
    assert TABLE_DOCUMENT in live.failed
    publish(ctx, 3, Route("late", TWO))
    assert follower.step()
    assert (live.serving.generation, live.failed) == (3, {})


def test_a_gateway_that_starts_beside_a_broken_challenger_serves_the_champion(ctx: Context) -> None:
    live, shelf = Live(), Shelf()
    shelf.broken.add("delay:2")
    publish(ctx, 4, CANARY)
    follower = following(ctx, live, shelf)
    follower.step()
    assert live.serving.generation == 0, "not what the table says"
    gateway = answering(live, ctx.clock)
    assert logged(ask(gateway, {"inputs": inputs()}))["arm"] == "champion"
    assert "delay:2" in live.failed
    shelf.broken.clear()
    follower.step(again=True)
    assert live.serving.generation == 4


def test_a_gateway_that_starts_again_has_loaded_before_it_listens(ctx: Context, tmp_path: Path) -> None:
    live, log = Live(), LogWriter(tmp_path, "g1", 1)
    publish(ctx, 1, Route("late", ONE))
    follower = following(ctx, live, Shelf())
    reporter = Reporter(ctx.blobs, live, Shadow(log.write), log, ctx.clock, "g1", "http://127.0.0.125:1", follower)
    thread = FollowerThread(follower, reporter, live)
    thread.start(patience=30)
    try:
        assert live.serving.generation == 1
    finally:
        thread.stop()


def test_nothing_loaded_is_not_ready(ctx: Context) -> None:
    gateway = answering(Live(), ctx.clock)
    assert ask(gateway, {"inputs": inputs()}).status == 503
    assert ask(gateway, b"", "/v2/health/ready", method="GET").status == 503


def test_our_own_mistake_is_still_an_answer(capfd: pytest.CaptureFixture[str]) -> None:
    gateway = answerer(Route("late", ONE), arm(ONE, constant(0.125)))
    gateway.desk.ids = None  # type: ignore[assignment]
    response = ask(gateway, {"inputs": inputs()})
    assert (response.status, gateway.live.errors) == (500, 1)
    assert "AttributeError" not in told(response)["error"], "the caller is not told our insides"
    assert "AttributeError" in capfd.readouterr().err
