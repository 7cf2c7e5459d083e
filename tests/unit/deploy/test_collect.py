"""From log to facts: every row once, shadows joined, labels by id."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from modelloop.deploy import actions
from modelloop.deploy.collect import read
from modelloop.deploy.log import frame
from modelloop.deploy.records import Outcome
from modelloop.ground.core.errors import NotFound, OutcomeInvalid, UnknownPrediction
from modelloop.ground.store.context import Context
from served import ENDPOINT, T0, Gateway, fair, make_project, micro, put_version


@pytest.fixture
def gateway(ctx: Context) -> Gateway:
    """A gateway that serves a first version."""
    put_version(ctx, 1)
    rollout = actions.start_rollout(ctx, make_project(), ENDPOINT, "delay:1", reason="first")
    made = Gateway(ctx, {"delay:1": fair, "delay:2": fair})
    made.report()
    assert actions.advance(ctx, rollout.id).stage == "live"
    return made


def rows_of(ctx: Context) -> int:
    return len(actions.predictions_between(ctx, ENDPOINT, T0 - timedelta(1), T0 + timedelta(400)))


def test_every_row_once(ctx: Context, gateway: Gateway) -> None:
    gateway.ask(30)
    assert actions.collect(ctx) == 30
    assert actions.collect(ctx) == 0
    gateway.ask(5)
    assert actions.collect(ctx) == 5
    assert rows_of(ctx) == 35
    assert actions.counts(ctx) == (35, 0)


def test_two_workers_at_once_take_each_row_once(ctx: Context, gateway: Gateway) -> None:
    gateway.ask(200)
    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(lambda _: actions.collect(ctx), range(4)))
    assert sum(taken) == 200
    assert rows_of(ctx) == 200
    assert actions.inputs_between(ctx, ENDPOINT, T0, T0 + timedelta(1)).height == 200


def test_a_torn_frame_waits_for_its_rest(ctx: Context, gateway: Gateway) -> None:
    gateway.ask(3)
    (path,) = (ctx.home / "predictions" / "g1").glob("*.log")
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    assert actions.collect(ctx) == 2
    path.write_bytes(whole)
    assert actions.collect(ctx) == 1


def test_several_rows_and_inputs_of_a_window(ctx: Context, gateway: Gateway) -> None:
    record = {
        "k": "a",
        "id": "many",
        "at": micro(ctx.now()),
        "et": micro(T0),
        "ep": ENDPOINT,
        "gen": 1,
        "arm": "champion",
    }
    gateway.log.write(
        [frame({**record, "v": "delay:1", "x": {"a": [1.5, None], "b": ["u", "v"]}, "s": [0.1, 0.2], "ms": 1})]
    )
    gateway.ask(1, T0 + timedelta(hours=1))
    actions.collect(ctx)
    assert [(p.row, p.score) for p in actions.prediction(ctx, "many")] == [(0, 0.1), (1, 0.2)]
    inputs = actions.inputs_between(ctx, ENDPOINT, T0, T0 + timedelta(hours=2))
    assert inputs.select("_id", "_row", "a", "b").rows()[:2] == [("many", 0, 1.5, "u"), ("many", 1, None, "v")]
    assert actions.inputs_between(ctx, ENDPOINT, T0, T0 + timedelta(minutes=1)).height == 2


def test_a_shadow_may_come_in_a_later_batch(ctx: Context, gateway: Gateway) -> None:
    gateway.ask(2)
    actions.collect(ctx)
    gateway.log.write([frame(gateway.shadow("g1-000001", "delay:2", 0.25))])
    actions.collect(ctx)
    first, second = actions.predictions_between(ctx, ENDPOINT, T0, T0 + timedelta(1))
    assert (first.shadow_version, first.shadow_score, first.shadow_error) == ("delay:2", 0.25, None)
    assert second.shadow_version is None


def test_a_shadow_without_answer_is_a_failure() -> None:
    answer = {
        "k": "a",
        "id": "p",
        "at": 0,
        "et": 0,
        "ep": "e",
        "gen": 1,
        "arm": "champion",
        "v": "m:1",
        "s": [0.5],
        "ms": 1,
    }
    batch = read([answer, {"k": "s", "id": "p", "v": "m:2", "s": None}, {"k": "f", "id": "q"}], "g")
    (row,) = batch.predictions
    assert (row["shadow_version"], row["shadow_score"], row["shadow_error"]) == ("m:2", None, "no answer")
    assert batch.shadows == ()


def test_outcomes_join_and_the_last_one_counts(ctx: Context, gateway: Gateway) -> None:
    (name, _), *_ = gateway.ask(3)
    sent = [Outcome(name, 0.0, T0), Outcome("nobody", 1.0, T0), Outcome(name, 1.0, T0, row=7)]
    accepted = actions.record_outcomes(ctx, ENDPOINT, sent)
    assert (accepted.accepted, accepted.unknown) == (1, ("nobody", name))
    actions.record_outcomes(ctx, ENDPOINT, [Outcome(name, 1.0, T0 + timedelta(hours=1))])
    assert actions.prediction(ctx, name)[0].label == 1.0
    assert [o.label for o in actions.outcomes_of(ctx, name)] == [0.0, 1.0]
    assert actions.watermark(ctx, ENDPOINT)[1] == T0 + timedelta(hours=1)


def test_the_same_outcome_again_counts_once(ctx: Context, gateway: Gateway) -> None:
    (name, label), *_ = gateway.ask(1)
    for _ in range(2):
        assert actions.record_outcomes(ctx, ENDPOINT, [Outcome(name, label, T0)] * 2).accepted == 2
    assert len(actions.outcomes_of(ctx, name)) == 1


def test_what_cannot_be_an_outcome_is_refused(ctx: Context, gateway: Gateway) -> None:
    (name, _), *_ = gateway.ask(1)
    with pytest.raises(UnknownPrediction) as unknown:
        actions.record_outcomes(ctx, ENDPOINT, [Outcome("x", 1.0, T0), Outcome("y", 0.0, T0)])
    assert unknown.value.detail == {"unknown": ["x", "y"]}
    for label in (math.nan, math.inf, 0.5):
        with pytest.raises(OutcomeInvalid):
            actions.record_outcomes(ctx, ENDPOINT, [Outcome(name, label, T0)])
    with pytest.raises(NotFound, match="delay"):
        actions.record_outcomes(ctx, "dealy", [Outcome(name, 1.0, T0)])
    assert actions.prediction(ctx, name)[0].label is None
