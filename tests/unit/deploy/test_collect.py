"""From log to facts: every row once, shadows joined, labels by id."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from modelloop.deploy import actions
from modelloop.deploy.collect import read
from modelloop.deploy.log import frame
from modelloop.deploy.log.counts import Counts
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
    gateway.log.close()
    (path,) = (ctx.home / "predictions" / "g1").glob("*.log")
    whole = path.read_bytes()
    path.chmod(0o600)  # as if it were still written
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
    batch = read([answer, {"k": "s", "id": "p", "v": "m:2", "s": None}, {"k": "?", "id": "q"}], "g")
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


def test_what_lies_far_ahead_does_not_move_the_datas_clock(ctx: Context, gateway: Gateway) -> None:
    (name, _), *_ = gateway.ask(1)
    ahead = ctx.now() + timedelta(hours=20)
    for at in (ahead, ctx.now() + timedelta(days=400), datetime.max.replace(tzinfo=UTC)):
        assert actions.record_outcomes(ctx, ENDPOINT, [Outcome(name, 1.0, at)]).accepted == 1
    assert actions.watermark(ctx, ENDPOINT)[1] == ahead
    ctx.clock.advance(timedelta(days=400))  # type: ignore[attr-defined]
    assert actions.watermark(ctx, ENDPOINT)[1] == ahead + timedelta(days=400) - timedelta(hours=20)


def test_the_same_outcome_again_counts_once(ctx: Context, gateway: Gateway) -> None:
    (name, label), *_ = gateway.ask(1)
    for _ in range(2):
        assert actions.record_outcomes(ctx, ENDPOINT, [Outcome(name, label, T0)] * 2).accepted == 2
    assert len(actions.outcomes_of(ctx, name)) == 1


def test_what_cannot_be_an_outcome_is_refused(ctx: Context, gateway: Gateway) -> None:
    (name, _), *_ = gateway.ask(1)
    with pytest.raises(UnknownPrediction) as unknown:
        actions.record_outcomes(ctx, ENDPOINT, [Outcome("x", 1.0, T0), Outcome("y", 0.0, T0)])
    assert unknown.value.detail == {"unknown": ["x", "y"], "waiting": 2}
    for label in (math.nan, math.inf, 0.5):
        with pytest.raises(OutcomeInvalid):
            actions.record_outcomes(ctx, ENDPOINT, [Outcome(name, label, T0)])
    with pytest.raises(NotFound, match="delay"):
        actions.record_outcomes(ctx, "dealy", [Outcome(name, 1.0, T0)])
    assert actions.prediction(ctx, name)[0].label is None


def record(name: str, **more: object) -> dict[str, Any]:
    """Return a record as gateways write it."""
    found: dict[str, Any] = {"k": "a", "id": name, "at": micro(T0), "et": micro(T0), "ep": ENDPOINT, "gen": 1}
    return found | {"arm": "champion", "v": "delay:1", "x": {"x": [0.5]}, "s": [0.5], "ms": 1.0} | more


def put(gateway: Gateway, *records: dict[str, Any]) -> None:
    assert gateway.log.write([frame(one) for one in records])


def test_everything_that_was_written_is_read(ctx: Context, gateway: Gateway) -> None:
    several = {"o": {"p": [[0.2, 0.8], [0.5, math.nan]], "word": ["a", "b\0"]}, "bk": ["o-1", None], "lat": 2.5}
    asked = {"x": {"a": [None, 2], "b": ["u", None]}, "s": [1.0, 0.0], "sl": {"b": ["u", None]}}
    shadow = {"k": "s", "id": "many", "v": "delay:2", "s": [0.0, 1.0], "ms": 0.25, "o": {"p": [[1.0, 0.0], [0.0, 1.0]]}}
    put(gateway, record("many", **several, **asked), shadow)
    put(gateway, {"k": "s", "id": "one", "v": "delay:2", "s": None, "err": "bang"})
    actions.collect(ctx)
    first, second = actions.prediction(ctx, "many")
    assert first.answer == {"p": [0.2, 0.8], "word": "a"}
    assert second.answer == {"p": [0.5, None], "word": "b\N{REPLACEMENT CHARACTER}"}
    assert (first.business_key, second.business_key) == ("o-1", None)
    assert (first.missing, second.missing) == (("a",), ("b",))
    assert (first.slices, second.slices) == ({"b": "u"}, {"b": None})
    assert (first.latency, first.gateway, first.shadow_milliseconds) == (2.5, "g1", 0.25)
    assert (first.shadow_answer, first.shadow_version) == ({"p": [1.0, 0.0]}, "delay:2")


def test_a_shadow_that_failed_in_a_later_batch_marks_all_rows(ctx: Context, gateway: Gateway) -> None:
    put(gateway, record("two", s=[0.1, 0.2], x={"x": [1.0, 2.0]}))
    actions.collect(ctx)
    put(gateway, {"k": "s", "id": "two", "v": "delay:2", "s": None, "err": "bang"})
    actions.collect(ctx)
    assert [(p.shadow_version, p.shadow_error) for p in actions.prediction(ctx, "two")] == [("delay:2", "bang")] * 2


def test_requests_that_nobody_answered_are_known(ctx: Context, gateway: Gateway) -> None:
    put(gateway, record("f1", k="f", err="it crashed", rows=3) | {"s": None})
    actions.collect(ctx)
    (one,) = actions.failures(ctx, ENDPOINT)
    assert (one.id, one.error, one.rows, one.version, one.at) == ("f1", "it crashed", 3, "delay:1", T0)
    assert actions.failures(ctx, ENDPOINT, since=T0 + timedelta(1)) == []


def test_tensors_become_columns_with_their_shapes(ctx: Context, gateway: Gateway) -> None:
    picture = np.arange(12, dtype="<f4").reshape(2, 3, 2)
    tensors = {"picture": ["FP32", [2, 3, 2], picture.tobytes()], "word": ["BYTES", [2, 1], ["a", "b"]]}
    put(gateway, record("t", s=[0.1, 0.2], t=tensors, x={}))
    put(gateway, record("bad", t={"picture": ["FP32", [1, 3, 2], b"short"]}, x={}))
    assert actions.collect(ctx) == 3
    found = actions.inputs_between(ctx, ENDPOINT, T0, T0 + timedelta(1)).sort("_id", "_row")
    assert found["picture"].to_list() == [None, [0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]]
    assert found["_shape_picture"].to_list() == [None, [3, 2], [3, 2]]
    assert found["word"].to_list() == [None, ["a"], ["b"]]


def test_what_no_reader_knows_stops_nobody(ctx: Context, gateway: Gateway) -> None:
    """A newer gateway's record, and a clock that jumped out of every calendar and back."""
    strange = [{"k": "a"}, {"k": "a", "id": "x", "s": 3}, {"nothing": 1}, {"k": "s"}]
    put(gateway, record("early", at=-(2**62)), *strange, record("late", at=2**62), record("after"))
    assert actions.collect(ctx) == 3
    assert rows_of(ctx) == 3
    assert actions.prediction(ctx, "early")[0].at.year == 1
    assert actions.prediction(ctx, "late")[0].at.year == 9999


def test_files_go_once_they_are_taken_in(ctx: Context, gateway: Gateway) -> None:
    folder = ctx.home / "predictions" / "g1"
    gateway.ask(5)
    assert actions.collect(ctx) == 5
    assert len(list(folder.glob("*.log"))) == 1  # it is still written
    gateway.log.close()
    assert actions.collect(ctx) == 0
    assert list(folder.iterdir()) == []
    gateway.ask(2)
    assert actions.collect(ctx) == 2
    assert actions.counts(ctx)[0] == rows_of(ctx) == 7


def test_a_damaged_file_is_kept_for_people(ctx: Context, gateway: Gateway) -> None:
    gateway.ask(5)
    gateway.log.close()
    (path,) = (ctx.home / "predictions" / "g1").glob("*.log")
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(whole)
    path.chmod(0o400)
    assert actions.collect(ctx) == 2
    assert [one.suffix for one in path.parent.iterdir()] == [".damaged"]
    assert actions.collect(ctx) == 0


def test_what_a_writer_could_not_keep_is_told(ctx: Context, gateway: Gateway) -> None:
    folder = ctx.home / "predictions" / "g1"
    page = Counts(folder / f"{77:020d}.counts")
    folder.mkdir(parents=True, exist_ok=True)
    page.settle()
    page.promise(10)
    page.note(settled=7, failed=2, lost=1)
    assert actions.collect(ctx) == 0
    (alive,) = actions.log_losses(ctx)
    assert (alive.alive, alive.killed, alive.failed, alive.lost) == (True, 0, 2, 1)
    page.close()
    actions.collect(ctx)
    (ended,) = actions.log_losses(ctx)
    assert (ended.alive, ended.killed, ended.failed, ended.lost) == (False, 3, 2, 1)
    assert list(folder.glob("*.counts")) == []
    actions.collect(ctx)
    assert actions.log_losses(ctx) == [ended]


def test_a_replay_goes_through_everything_in_order(ctx: Context, gateway: Gateway) -> None:
    gateway.ask(25)
    actions.collect(ctx)
    end = T0 + timedelta(1)
    found = list(actions.replay(ctx, ENDPOINT, T0, end, rows=4))
    assert found == actions.predictions_between(ctx, ENDPOINT, T0, end)
    assert len(found) == 25
