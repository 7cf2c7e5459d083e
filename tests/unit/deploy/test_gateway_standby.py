"""Going back waits for nothing: what is kept loaded answers before anything else is loaded."""

from __future__ import annotations

from gateway_parts import arm, constant
from modelloop.deploy.gateway.routing import Follower
from modelloop.deploy.gateway.runtime import Live, LoadedArm
from modelloop.deploy.gateway.signals import Freshness
from modelloop.deploy.gateway.sources import StoredTable
from modelloop.deploy.records import Arm, Route, RoutingTable
from modelloop.deploy.table import TABLE_DOCUMENT, encode_table
from modelloop.ground.store.context import Context

ONE, TWO, THREE = (Arm(f"delay:{number}", str(number) * 64) for number in (1, 2, 3))


class Shelf:
    """Loads versions; those that are broken cannot be loaded. `seen`: what answered while one was loaded."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self.broken: set[str] = set()
        self.seen: list[tuple[str, list[str]]] = []

    def __call__(self, wanted: Arm) -> LoadedArm:
        self.seen.append((wanted.version, answering(self._live)))
        if wanted.version in self.broken:
            raise ValueError("bad bytes")
        return arm(wanted, constant(0.5))


def answering(live: Live) -> list[str]:
    return [route.champion.arm.version for route in live.serving.routes.values()]


def publish(ctx: Context, generation: int, *routes: Route) -> None:
    ctx.blobs.write_document(TABLE_DOCUMENT, encode_table(RoutingTable(generation, routes)))


def third_answers(ctx: Context) -> tuple[Live, Shelf, Follower]:
    live = Live()
    shelf = Shelf(live)
    follower = Follower(StoredTable(ctx.blobs), live, shelf, freshness=Freshness(ctx.clock))
    publish(ctx, 1, Route("late", THREE, standby=(TWO,)))
    assert follower.step()
    assert {held.version for held in live.serving.arms} == {"delay:2", "delay:3"}
    shelf.seen.clear()
    return live, shelf, follower


def test_what_is_kept_answers_before_the_next_one_is_loaded(ctx: Context) -> None:
    live, shelf, follower = third_answers(ctx)
    publish(ctx, 2, Route("late", TWO, standby=(ONE,)))
    assert follower.step()
    assert (answering(live), live.serving.generation, shelf.seen) == (["delay:2"], 2, [])
    assert not follower.step()
    assert shelf.seen == [("delay:1", ["delay:2"])]
    assert {held.version for held in live.serving.arms} == {"delay:1", "delay:2"}
    assert not follower.step()
    assert len(shelf.seen) == 1


def test_a_version_that_cannot_be_loaded_and_answers_nobody_keeps_nobody_from_going_back(ctx: Context) -> None:
    live, shelf, follower = third_answers(ctx)
    shelf.broken.add("delay:1")
    publish(ctx, 2, Route("late", TWO, standby=(ONE,)))
    assert follower.step()
    assert not follower.step()
    assert (answering(live), live.serving.generation) == (["delay:2"], 2)
    assert live.failed == {"delay:1": "ValueError: bad bytes"}
    shelf.broken.clear()
    assert not follower.step(again=True)
    assert live.failed == {}
    assert {held.version for held in live.serving.arms} == {"delay:1", "delay:2"}


def test_one_that_is_to_answer_and_cannot_is_tried_again_later(ctx: Context) -> None:
    live, shelf, follower = third_answers(ctx)
    shelf.broken.add("delay:1")
    publish(ctx, 2, Route("late", ONE, standby=(TWO,)), Route("other", TWO, standby=(ONE,)))
    for _ in range(3):
        assert not follower.step()
    assert answering(live) == ["delay:3"]
    assert [version for version, _ in shelf.seen] == ["delay:1"]
    assert set(live.failed) == {"delay:1"}
