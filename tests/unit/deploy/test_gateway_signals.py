"""How busy, how fresh, what is kept: measured by clocks that jump and disks that are full."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelloop.deploy.gateway.keeping import Keep, KeptBlobs
from modelloop.deploy.gateway.routing import KEPT, Follower
from modelloop.deploy.gateway.runtime import Live
from modelloop.deploy.gateway.signals import STALE_SECONDS, Busy, Freshness, allowed_cores
from modelloop.deploy.records import Route, RoutingTable
from modelloop.deploy.table import encode_table
from modelloop.ground.core.errors import BlobMissing, StoreUnavailable
from modelloop.ground.core.hashing import hash_bytes
from modelloop.ground.store.blobs import Blobs
from modelloop.testing.fakes import FakeClock
from table_places import ONE, TWO, loaded


class Ticks:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_table_is_old_after_some_seconds_and_the_moment_stands_still() -> None:
    ticks, clock = Ticks(), FakeClock()
    fresh = Freshness(clock, ticks)
    ticks.now += STALE_SECONDS
    assert fresh.since is None
    assert "since the start" in fresh.why, "who asks while the first look hangs is told something"
    ticks.now += 1
    since = fresh.since
    assert since == clock.now() - timedelta(seconds=STALE_SECONDS + 1)
    clock.advance(timedelta(days=-400))  # somebody sets the clock
    ticks.now += 60
    assert fresh.since == since
    assert fresh.seconds == pytest.approx(STALE_SECONDS + 61)
    fresh.seen()
    assert (fresh.since, fresh.seconds) == (None, 0.0)


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(-1, 100)), max_size=50))
def test_the_busy_share_is_a_share(steps: list[tuple[float, float]]) -> None:
    ticks, cpu = Ticks(), Ticks()
    busy = Busy(cpu, ticks, cores=0.5)
    for passed, used in steps:
        ticks.now += passed
        cpu.now += used
        assert 0 <= busy.ratio() <= 1


def test_a_loop_that_works_half_the_time_is_half_busy_and_wholly_so_on_half_a_core() -> None:
    ticks, cpu = Ticks(), Ticks()
    whole, half = Busy(cpu, ticks), Busy(cpu, ticks, cores=0.5)
    for _ in range(30):
        ticks.now += 1.0
        cpu.now += 0.5
        shares = whole.ratio(), half.ratio()
    assert shares == (pytest.approx(0.5), pytest.approx(1.0))
    for _ in range(11):
        ticks.now += 1.0
        idle = whole.ratio()
    assert idle == 0.0, "what was long ago is forgotten"


@pytest.mark.parametrize(("text", "cores"), [("150000 100000\n", 1.5), ("50000 100000\n", 0.5)])
def test_a_limit_of_the_container_is_read(tmp_path: Path, text: str, cores: float) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(text)
    assert allowed_cores(file) == cores


def test_without_a_limit_all_cores_count(tmp_path: Path) -> None:
    file = tmp_path / "cpu.max"
    file.write_text("max 100000\n")
    assert allowed_cores(file) >= 1
    assert allowed_cores(tmp_path / "none") >= 1


def test_a_disk_that_takes_nothing_is_told_and_takes_nothing_away(tmp_path: Path) -> None:
    (tmp_path / "g1").write_text("a file where the folder should be")
    keep = Keep(tmp_path / "g1")
    keep.keep_table(b"table")
    keep.put(hash_bytes(b"x"), b"x")
    assert keep.failing
    assert keep.table() is None
    assert keep.get(hash_bytes(b"x")) is None


def test_a_digest_never_becomes_a_path(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    keep = Keep(tmp_path / "state")
    with pytest.raises(BlobMissing):
        keep.get("../../secret")
    with pytest.raises(BlobMissing):
        KeptBlobs((tmp_path / "blobs").as_uri(), keep).get("../../secret")


class Away:
    """A source that does not answer."""

    name = "away"

    def tag(self) -> str | None:
        raise StoreUnavailable("Nobody answers.")

    def read(self) -> bytes:
        raise StoreUnavailable("Nobody answers.")


class Given:
    """A source that holds what it was given."""

    name = "given"

    def __init__(self, *tables: bytes) -> None:
        self.tables = list(tables)

    def tag(self) -> str | None:
        return str(len(self.tables))

    def read(self) -> bytes:
        return self.tables[-1]


def table(generation: int, epoch: int = 0) -> bytes:
    return encode_table(RoutingTable(generation, (Route("late", ONE if generation % 2 else TWO),), epoch))


def follower(source: Away | Given, live: Live, keep: Keep | None) -> Follower:
    return Follower(source, live, loaded, freshness=Freshness(FakeClock()), keep=keep)


def test_a_start_without_its_source_goes_on_with_what_was_kept(tmp_path: Path) -> None:
    keep = Keep(tmp_path)
    follower(Given(table(4)), Live(), keep).first()
    live = Live()
    node = follower(Away(), live, keep)
    assert node.first()
    assert (live.serving.generation, node.origin) == (4, KEPT)
    with pytest.raises(StoreUnavailable):
        node.step()
    assert live.serving.generation == 4
    assert "Nobody" in node.freshness.why


def test_what_was_kept_is_a_floor_for_generations(tmp_path: Path) -> None:
    keep = Keep(tmp_path)
    follower(Given(table(4)), Live(), keep).first()
    live = Live()
    source = Given()
    node = follower(Away(), live, keep)
    node.first()
    node._source = source
    source.tables = [table(3)]
    assert not node.step()
    assert "older" in live.failed["given"]
    source.tables = [table(3), table(3, epoch=1)]
    assert node.step()
    assert (live.serving.generation, live.failed) == (3, {})


def test_a_start_with_its_source_does_not_serve_what_was_kept(tmp_path: Path) -> None:
    keep = Keep(tmp_path)
    follower(Given(table(4)), Live(), keep).first()
    live = Live()
    node = follower(Given(table(7)), live, keep)
    assert node.first()
    assert (live.serving.generation, node.origin) == (7, "given")


def test_a_torn_copy_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "table.json").write_bytes(b"{torn")
    live = Live()
    assert not follower(Away(), live, Keep(tmp_path)).first()
    assert not live.serving.routes
    assert KEPT in live.failed


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 9)), max_size=30))
def test_what_is_served_never_goes_back(tables: list[tuple[int, int]]) -> None:
    source, live = Given(), Live()
    node = follower(source, live, None)
    newest = (-1, -1)
    for epoch, generation in tables:
        source.tables.append(table(generation, epoch))
        node.step()
        newest = max(newest, (epoch, generation))
        assert live.serving.generation == newest[1]


def test_bytes_of_a_folder_are_not_copied(tmp_path: Path) -> None:
    keep = Keep(tmp_path / "state")
    blobs = KeptBlobs((tmp_path / "blobs").as_uri(), keep)
    digest = Blobs((tmp_path / "blobs").as_uri()).put(b"bytes")
    assert blobs.get(digest) == b"bytes"
    assert keep.get(digest) is None
