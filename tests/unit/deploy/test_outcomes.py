"""Outcomes: by id and by key, late, early, twice, contradicting."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelloop.deploy import actions, tables
from modelloop.deploy.actions import make_log_key
from modelloop.deploy.labels import number_of
from modelloop.deploy.log import frame
from modelloop.deploy.log_key import log_key_path, read_log_key
from modelloop.deploy.privacy import business_key, covered, covered_key, covered_tensors, masked
from modelloop.deploy.records import LogPolicy, Outcome, Truth
from modelloop.deploy.sent import Place, truth_of, truths_in
from modelloop.ground.core.errors import InvalidInput, OutcomeInvalid, UnknownPrediction
from modelloop.ground.store.context import Context
from modelloop.testing.fakes import make_context
from served import ENDPOINT, T0, Gateway, fair, make_project, micro, put_version, serve_first

HOUR = timedelta(hours=1)


@pytest.fixture
def gateway(ctx: Context) -> Gateway:
    """A gateway that serves a first version."""
    return serve_first(ctx)


def answer(gateway: Gateway, name: str, key: str | list[str] | None = None, hours: float = 0, rows: int = 1) -> None:
    """Let the log have an answered request."""
    record: dict[str, Any] = {"k": "a", "id": name, "at": micro(gateway.ctx.now()), "et": micro(T0 + hours * HOUR)}
    record |= {"ep": ENDPOINT, "gen": 1, "arm": "champion", "v": "delay:1", "x": {"x": [0.5] * rows}}
    record |= {"s": [0.5] * rows, "ms": 1.0} | ({} if key is None else {"bk": key})
    assert gateway.log.append(frame(record))


def label(ctx: Context, name: str, row: int = 0) -> float | None:
    actions.collect(ctx)
    return actions.prediction(ctx, name)[row].label


def test_a_key_means_its_latest_prediction_at_or_before(ctx: Context, gateway: Gateway) -> None:
    for hours in (0, 2, 4):
        answer(gateway, f"p{hours}", "order-1", hours)
    told = Truth(1.0, key="order-1", event_time=T0 + 3 * HOUR)
    assert actions.record_outcomes(ctx, ENDPOINT, [told]).accepted == 1
    assert [label(ctx, name) for name in ("p0", "p2", "p4")] == [None, 1.0, None]
    actions.record_outcomes(ctx, ENDPOINT, [Truth(0.0, key="order-1")])
    assert [label(ctx, name) for name in ("p0", "p2", "p4")] == [None, 1.0, 0.0]
    assert [p.id for p in actions.predictions_of_key(ctx, ENDPOINT, "order-1")] == ["p4", "p2", "p0"]


def test_rows_of_a_request_have_their_own_keys(ctx: Context, gateway: Gateway) -> None:
    answer(gateway, "many", ["a", "b", "7"], rows=3)
    actions.record_outcomes(ctx, ENDPOINT, [Truth(1.0, key="b"), Truth(0.0, key="7")])
    assert [label(ctx, "many", row) for row in range(3)] == [None, 1.0, 0.0]


def test_an_outcome_may_come_before_its_prediction(ctx: Context, gateway: Gateway) -> None:
    early = [Truth(1.0, prediction="p1", event_time=T0), Truth(0.0, key="k2", event_time=T0 + HOUR)]
    told = actions.record_outcomes(ctx, ENDPOINT, early)
    assert (told.accepted, told.unknown, told.waiting) == (0, ("p1",), 2)
    assert actions.record_outcomes(ctx, ENDPOINT, early).waiting == 2
    assert len(actions.waiting_outcomes(ctx, ENDPOINT)) == 2
    answer(gateway, "p1")
    answer(gateway, "after", "k2", hours=2)  # not the one that is meant: it comes after the outcome
    answer(gateway, "p2", "k2", hours=0)
    assert (label(ctx, "p1"), label(ctx, "p2"), label(ctx, "after")) == (1.0, 0.0, None)
    assert actions.waiting_outcomes(ctx, ENDPOINT) == []
    assert len(actions.outcomes_of(ctx, "p1")) == 1


def test_unknown_ids_are_refused_and_wait(ctx: Context, gateway: Gateway) -> None:
    with pytest.raises(UnknownPrediction):
        actions.record_outcomes(ctx, ENDPOINT, [Truth(1.0, prediction="p1")])
    answer(gateway, "p1")
    assert label(ctx, "p1") == 1.0
    with pytest.raises(UnknownPrediction):  # all rows of a request come together: this one never comes
        actions.record_outcomes(ctx, ENDPOINT, [Truth(1.0, prediction="p1", row=5)])
    assert actions.waiting_outcomes(ctx, ENDPOINT) == []


def test_contradictions_years_later_are_kept_and_the_last_one_counts(ctx: Context, gateway: Gateway) -> None:
    answer(gateway, "p1", "k")
    for years, value in ((0, 1.0), (5, 0.0), (9, 1.0)):
        actions.record_outcomes(ctx, ENDPOINT, [Truth(value, key="k", event_time=T0 + timedelta(365 * years))] * 2)
    assert label(ctx, "p1") == 1.0
    assert [one.label for one in actions.outcomes_of(ctx, "p1")] == [1.0, 0.0, 1.0]


def test_without_a_time_the_same_again_counts_once(ctx: Context, gateway: Gateway) -> None:
    answer(gateway, "p1")
    for value in (1.0, 1.0, 0.0, 1.0):
        cast(Any, ctx.clock).advance(timedelta(seconds=1))
        actions.record_outcomes(ctx, ENDPOINT, [Truth(value, prediction="p1")])
    assert [one.label for one in actions.outcomes_of(ctx, "p1")] == [1.0, 0.0, 1.0]


@settings(deadline=None, max_examples=24)
@given(order=st.permutations(["answer", "shadowless", "id", "key"]))
def test_the_order_in_which_things_come_does_not_matter(order: list[str], tmp_path_factory: Any) -> None:
    ctx = make_context(tmp_path_factory.mktemp("ctx"))
    put_version(ctx, 1)
    rollout = actions.start_rollout(ctx, make_project(), ENDPOINT, "delay:1", reason="first")
    gateway = Gateway(ctx, {"delay:1": fair})
    gateway.report()
    actions.advance(ctx, rollout.id)
    steps = {
        "answer": lambda: answer(gateway, "p1", "k1"),
        "shadowless": lambda: answer(gateway, "p2", "k2"),
        "id": lambda: actions.join_outcomes(ctx, ENDPOINT, [Outcome("p1", 1.0, T0)]),
        "key": lambda: actions.join_outcomes(ctx, ENDPOINT, [Truth(0.0, key="k2", event_time=T0)]),
    }
    for step in order:
        steps[step]()
    assert (label(ctx, "p1"), label(ctx, "p2")) == (1.0, 0.0)
    assert actions.waiting_outcomes(ctx, ENDPOINT) == []
    gateway.log.close()
    ctx.db.close()


def serve(ctx: Context, **serving: Any) -> None:
    with ctx.db.transaction() as connection:
        assert tables.change(connection, tables.endpoint, {"name": ENDPOINT}, {"serving": serving})


def test_a_masked_key_joins_is_found_and_goes(ctx: Context, gateway: Gateway) -> None:
    serve(ctx, outcome_key="order", log={"mask": ["order"]})
    secret = make_log_key(ctx.home)
    assert log_key_path(ctx.home).stat().st_mode & 0o777 == 0o600
    assert read_log_key(ctx.home / "secrets" / "log-key") == secret
    written = masked("order", 17, secret)
    assert written is not None
    answer(gateway, "p1", written)
    answer(gateway, "p2", masked("order", 18, secret))
    assert actions.record_outcomes(ctx, ENDPOINT, [Truth(1.0, key="17", event_time=T0)]).accepted == 1
    assert [p.id for p in actions.predictions_of_key(ctx, ENDPOINT, "17")] == ["p1"]
    assert actions.record_outcomes(ctx, ENDPOINT, [Truth(1.0, key="19")]).waiting == 1
    with pytest.raises(InvalidInput, match="reason"):
        actions.erase_answers(ctx, ENDPOINT, "17", reason=" ")
    done = actions.erase_answers(ctx, ENDPOINT, "17", reason="asked for it")
    assert (done.predictions, done.outcomes, done.rewritten) == (1, 1, 1)
    assert actions.erase_answers(ctx, ENDPOINT, "19", reason="asked for it").waiting == 1
    with pytest.raises(UnknownPrediction):
        actions.prediction(ctx, "p1")
    assert actions.inputs_between(ctx, ENDPOINT, T0, T0 + HOUR)["_id"].to_list() == ["p2"]
    assert actions.erase_answers(ctx, ENDPOINT, "17", reason="again").predictions == 0


def test_what_is_too_old_goes(ctx: Context, gateway: Gateway) -> None:
    answer(gateway, "old", "k")
    actions.record_outcomes(ctx, ENDPOINT, [Truth(1.0, key="k", event_time=T0), Truth(1.0, key="never")])
    cast(Any, ctx.clock).advance(timedelta(days=31))
    answer(gateway, "new")
    actions.record_outcomes(ctx, ENDPOINT, [Truth(1.0, prediction="new", event_time=T0)])
    kept = SimpleNamespace(endpoints={ENDPOINT: SimpleNamespace(log=SimpleNamespace(keep_days=0))})
    assert actions.forget_old(ctx, cast(Any, kept)).predictions == 0
    kept.endpoints[ENDPOINT].log.keep_days = 30
    done = actions.forget_old(ctx, cast(Any, kept))
    assert (done.predictions, done.outcomes, done.waiting, done.parts) == (1, 1, 1, 1)
    assert actions.inputs_between(ctx, ENDPOINT, T0, T0 + HOUR)["_id"].to_list() == ["new"]
    assert label(ctx, "new") == 1.0
    assert actions.forget_old(ctx, cast(Any, kept)).predictions == 0
    cast(Any, ctx.clock).advance(timedelta(days=31))
    actions.forget_old(ctx, cast(Any, kept))
    answer(gateway, "newer")
    assert actions.record_outcomes(ctx, ENDPOINT, [Truth(0.0, prediction="newer")]).accepted == 1


def test_names_of_classes_are_labels() -> None:
    names = ("cat", "dog", "2")
    assert [number_of(one, "multiclass", names) for one in ("cat", "dog", "2", 1, "0", "bird", 3, 0.5, "nan")] == [
        *(0.0, 1.0, 2.0, 1.0, 0.0),
        *(None, None, None, None),
    ]
    assert [number_of(one, "binary", ()) for one in (1, "0", 0.5, "yes")] == [1.0, 0.0, None, None]
    assert number_of(float("inf"), "regression", ()) is None


def test_columns_are_dropped_and_masked() -> None:
    policy = LogPolicy(drop=("name",), mask=("mail",))
    values = {"name": ["Ann"], "mail": ["a@b", None], "x": [1]}
    found = covered(values, policy, b"k" * 32)
    assert found["x"] == [1]
    assert found["mail"] == [masked("mail", "a@b", b"k" * 32), None]
    assert "name" not in found
    assert list(covered(values, policy, None)) == ["x"]
    assert covered(values, LogPolicy(), None) is values
    tensors = {"mail": ["BYTES", [1], ["a@b"]], "name": ["FP32", [1], b"...."], "x": ["FP32", [1], b"...."]}
    assert list(covered_tensors(tensors, policy, b"k" * 32)) == ["mail", "x"]
    assert covered_key("mail", "a@b", policy, b"k" * 32) == masked("mail", "a@b", b"k" * 32)
    assert covered_key("mail", "a@b", policy, None) is None
    assert covered_key("name", "Ann", policy, b"k" * 32) is None
    assert "Ann" not in str(masked("mail", "Ann", b"k" * 32))


def test_a_key_is_the_same_however_it_is_sent() -> None:
    assert business_key(7) == business_key(7.0) == business_key("7") == "7"
    assert business_key(True) == "true"
    assert business_key("x" * 201) == business_key("x" * 201) != business_key("x" * 202)
    assert len(business_key("x" * 9999)) <= 200


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ({"label": 1}, "neither"),
        ({"prediction_id": "p", "key": "k", "label": 1}, "both"),
        ({"prediction_id": 3, "label": 1}, "prediction_id"),
        ({"prediction_id": "p"}, r"outcomes\[3\]\.label is missing"),
        ({"prediction_id": "p", "label": [1]}, "label"),
        ({"prediction_id": "p", "label": 1, "row": -1}, "row"),
        ({"prediction_id": "p", "label": 1, "event_time": "soon"}, r"outcomes\[3\]\.event_time is 'soon'"),
        ({"prediction_id": "p", "label": 1, "event_tme": "2020-01-01"}, "Did you mean 'event_time'"),
        ({"key": [], "label": 1}, "key"),
        ({"key": "k", "label": 10**400}, "label"),
    ],
)
def test_what_is_no_outcome_is_told(item: dict[str, Any], said: str) -> None:
    with pytest.raises(OutcomeInvalid, match=said):
        truth_of(item, Place("outcomes[3]", "."))


def test_files_of_outcomes() -> None:
    text = "key,label,event_time,row,remark\n7,1,2020-01-01T00:00:00Z,2,x\n8,cat,,,\n"
    first, second = truths_in(text, lines=False)
    assert (first.key, first.label, first.row, second.event_time, second.label) == ("7", "1", 2, None, "cat")
    (one,) = truths_in('\n{"prediction_id": "p", "label": true}\n', lines=True)
    assert (one.prediction, one.label) == ("p", 1.0)
    for bad, lines in (("a,b\n1,2\n", False), ('key,label\n"x', False), ("{", True), ("[1]", True)):
        with pytest.raises(OutcomeInvalid):
            truths_in(bad, lines=lines)
    with pytest.raises(OutcomeInvalid, match="Line 3: label is missing"):
        truths_in("key,label\n7,1\n8,\n", lines=False)
