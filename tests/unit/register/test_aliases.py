"""Aliases: what they name, what they named then, and whose they are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelloop.deploy import actions as deploy
from modelloop.ground.core.errors import Conflict, InvalidInput, NotFound
from modelloop.ground.store.context import Context
from modelloop.register import actions
from modelloop.register.names import check_alias, check_model, is_model, split
from modelloop.register.records import Routed
from modelloop.register.source import Source, read_source
from modelloop.testing.fakes import FakeClock
from packages import make_candidate, make_evidence
from served import ENDPOINT, Gateway, fair, make_project, put_version

ALL = {f"delay:{number}": fair for number in (1, 2, 3)}


def three(ctx: Context) -> None:
    for weight in (0.1, 0.2, 0.3):
        actions.register(ctx, "delay", make_candidate((weight, 0, 0)), make_evidence())


def test_every_move_is_kept_with_who_and_why(ctx: Context) -> None:
    three(ctx)
    clock = ctx.clock
    assert isinstance(clock, FakeClock)
    start = ctx.now()
    actions.set_alias(ctx, "delay", "best", 1, why="first")
    clock.advance(timedelta(hours=1))
    actions.set_alias(ctx, "delay", "best", 3, why="better")
    actions.set_alias(ctx, "delay", "best", 3, why="the same again makes no line")
    clock.advance(timedelta(hours=1))
    assert actions.drop_alias(ctx, "delay", "best", why="over")
    assert not actions.drop_alias(ctx, "delay", "best")
    moves = actions.alias_history(ctx, "delay", "best")
    assert [(m.before, m.number, m.why, m.by) for m in moves] == [
        (None, 1, "first", "tester"),
        (1, 3, "better", "tester"),
        (3, None, "over", "tester"),
    ]
    at = [actions.alias_at(ctx, "delay", "best", start + timedelta(minutes=m)) for m in (-1, 0, 59, 60, 119, 120)]
    assert at == [None, 1, 1, 3, 3, None]
    with pytest.raises(NotFound, match="no alias"):
        actions.by_alias(ctx, "delay", "best")


def test_what_is_not_there_is_said(ctx: Context) -> None:
    three(ctx)
    with pytest.raises(NotFound, match="no version 9"):
        actions.set_alias(ctx, "delay", "best", 9)
    with pytest.raises(NotFound, match="no model"):
        actions.set_alias(ctx, "other", "best", 1)
    actions.set_alias(ctx, "delay", "best", 2)
    assert actions.get_version(ctx, "delay@best").number == 2
    with pytest.raises(NotFound, match="It has: best"):
        actions.get_version(ctx, "delay@worst")
    for wrong in ("", "a b", "a/b", "latest", "V12", "x" * 256, "ä:1"):
        with pytest.raises(InvalidInput):
            check_alias(wrong)


def test_champion_and_challenger_follow_the_routing(ctx: Context) -> None:
    """`which version was live then?` answers by both clocks, and nobody but a deployment moves it."""
    for number in (1, 2):
        put_version(ctx, number)
    clock = ctx.clock
    assert isinstance(clock, FakeClock)
    project, gateway = make_project(), Gateway(ctx, ALL)
    first = deploy.start_rollout(ctx, project, ENDPOINT, "delay:1", reason="first")
    assert actions.get_model(ctx, "delay").aliases == {"challenger": 1}
    gateway.report()
    deploy.advance(ctx, first.id)
    live_since = ctx.now()
    assert actions.get_model(ctx, "delay").aliases == {"champion": 1}
    gateway.ask(3, at=datetime(2013, 5, 1, tzinfo=UTC))
    deploy.collect(ctx)
    clock.advance(timedelta(hours=5))
    deploy.start_rollout(ctx, project, ENDPOINT, "delay:2", reason="second")
    assert actions.get_model(ctx, "delay").aliases == {"champion": 1, "challenger": 2}
    deploy.rollback(ctx, ENDPOINT, reason="no")
    assert actions.get_model(ctx, "delay").aliases == {"champion": 1}
    for alias in ("champion",):
        with pytest.raises(Conflict, match="answers at the endpoint"):
            actions.set_alias(ctx, "delay", alias, 2)
        with pytest.raises(Conflict, match="answers at the endpoint"):
            actions.drop_alias(ctx, "delay", alias)
    found = actions.live_at(ctx, ENDPOINT, live_since)
    assert found is not None
    assert (found.version, found.since.endpoint) == ("delay:1", ENDPOINT)
    assert actions.live_at(ctx, ENDPOINT, live_since - timedelta(seconds=1)) is None
    by_event = actions.live_at(ctx, ENDPOINT, datetime(2013, 5, 3, tzinfo=UTC), by_event=True)
    assert by_event is not None
    assert by_event.number == 1
    challenged = [(m.number, m.before) for m in actions.alias_history(ctx, "delay", "challenger")]
    assert challenged == [(1, None), (None, 1), (2, None), (None, 2)]


def test_rollback_moves_the_champion_back(ctx: Context) -> None:
    for number in (1, 2):
        put_version(ctx, number)
    project, gateway = make_project(), Gateway(ctx, ALL)
    for version in ("delay:1", "delay:2"):
        started = deploy.start_rollout(ctx, project, ENDPOINT, version, reason="x", skip_gates=True)
        while deploy.rollout(ctx, started.id).stage.value not in ("live", "back"):
            gateway.report()
            gateway.tell(gateway.ask(300))
            deploy.advance(ctx, started.id)
    assert actions.by_alias(ctx, "delay", "champion").number == 2
    deploy.rollback(ctx, ENDPOINT, reason="worse")
    assert actions.by_alias(ctx, "delay", "champion").number == 1
    assert actions.alias_history(ctx, "delay", "champion")[-1].why == "rollback: worse"
    with pytest.raises(Conflict, match="answers or answered at delay"):
        actions.delete_version(ctx, "delay", 2, force=True)
    with pytest.raises(Conflict, match="cannot be deleted"):
        actions.delete_model(ctx, "delay")
    with pytest.raises(Conflict, match="cannot be renamed"):
        actions.rename_model(ctx, "delay", "other")


def test_a_second_endpoint_has_aliases_of_its_own(ctx: Context) -> None:
    three(ctx)

    def move(endpoint: str, version: str) -> None:
        with ctx.db.transaction() as connection:
            actions.route_moved(connection, ctx, Routed(endpoint, version, None, None, "x"))

    move("eu", "delay:1")
    move("us", "delay:2")
    move("us", "delay:3")
    assert actions.get_model(ctx, "delay").aliases == {"champion": 1, "champion-us": 3}
    for endpoint, version in (("eu", "delay:1"), ("us", "delay:3")):
        found = actions.live_at(ctx, endpoint, ctx.now())
        assert found is not None
        assert found.version == version


def test_deleting_a_version_keeps_its_number_and_its_history(ctx: Context) -> None:
    three(ctx)
    actions.set_alias(ctx, "delay", "best", 3)
    with pytest.raises(Conflict, match="it is best"):
        actions.delete_version(ctx, "delay", 3)
    actions.delete_version(ctx, "delay", 3, force=True, why="a mistake")
    assert actions.register(ctx, "delay", make_candidate((0.9, 0, 0)), make_evidence()).number == 4
    assert actions.alias_history(ctx, "delay", "best")[-1].number is None
    with pytest.raises(NotFound, match="no version 3"):
        actions.of_number(ctx, "delay", 3)


@given(st.text(max_size=300))
@settings(max_examples=300)
def test_names_of_models_are_mlflows(name: str) -> None:
    if is_model(name):
        assert check_model(name) == name
        assert split(f"{name}:12") == (name, 12)
        assert not {"/", ":", "\0", "\n"} & set(name)
    else:
        with pytest.raises(InvalidInput):
            check_model(name)


def test_what_a_source_names() -> None:
    model = "m-" + "0a" * 16
    assert read_source("runs:/abc/model/x") == Source("run", "abc", "model/x")
    assert read_source(f"models:/{model}") == Source("model", model)
    assert read_source(f"mlflow-artifacts:/1/models/{model}/artifacts") == Source("model", model)
    assert read_source("mlflow-artifacts:/0/abc/artifacts/model") == Source("run", "abc", "model")
    assert read_source("models:/iris ü/3") == Source("version", "iris ü:3")
    assert read_source("models:/iris@best") == Source("version", "iris@best")
    assert read_source(f"mlflow-artifacts:/versions/{'iris ü'.encode().hex()}/2") == Source("version", "iris ü:2")
    for text in ("s3://bucket/x", "/etc/passwd", "file:///etc", "", "runs:/../x", "mlflow-artifacts:/versions/ff/1"):
        assert read_source(text).kind == "elsewhere"
