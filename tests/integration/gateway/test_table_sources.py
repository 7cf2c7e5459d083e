"""One behaviour for every place a routing table can come from: a folder, S3, a file, an address."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from modelloop.deploy.gateway.routing import Follower
from modelloop.deploy.gateway.runtime import Live
from modelloop.deploy.gateway.signals import Freshness
from modelloop.deploy.gateway.sources import Caller, HttpTable, read_token, table_source
from modelloop.deploy.records import Route, RoutingTable
from modelloop.deploy.table import encode_table
from modelloop.ground.core.errors import BlobMissing, InvalidInput, StoreUnavailable
from modelloop.ground.store.blobs import Blobs
from modelloop.testing.fakes import FakeClock
from table_places import ONE, TWO, FilePlace, HttpPlace, StorePlace, TablePlace, http_place, loaded

FIRST = encode_table(RoutingTable(1, (Route("late", ONE),)))
SECOND = encode_table(RoutingTable(2, (Route("late", TWO),)))


@pytest.fixture(params=["folder", "s3", "file", "http", "http without tags"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TablePlace]:
    with ExitStack() as stack:
        if request.param == "folder":
            yield StorePlace((tmp_path / "blobs").as_uri())
        elif request.param == "s3":
            yield StorePlace(request.getfixturevalue("s3_url"))
        elif request.param == "file":
            yield FilePlace(tmp_path)
        else:
            served = stack.enter_context(http_place(tmp_path))
            served.server.tagged = request.param == "http"
            yield served


def test_there_is_no_table_before_the_first(place: TablePlace) -> None:
    assert place.source.tag() is None
    with pytest.raises(BlobMissing):
        place.source.read()


def test_the_tag_stands_still_until_the_table_changes(place: TablePlace) -> None:
    place.write(FIRST)
    first = place.source.tag()
    assert first is not None
    assert place.source.read() == FIRST
    assert place.source.tag() == first
    place.write(SECOND)
    assert place.source.tag() not in (None, first)
    assert place.source.read() == SECOND


def test_a_table_that_is_taken_away_is_none_again(place: TablePlace) -> None:
    place.write(FIRST)
    assert place.source.tag() is not None
    place.remove()
    assert place.source.tag() is None
    place.write(FIRST)
    assert place.source.tag() is not None
    assert place.source.read() == FIRST


def test_a_follower_serves_what_is_written_and_keeps_what_was(place: TablePlace) -> None:
    live, ticks = Live(), [100.0]
    follower = Follower(place.source, live, loaded, freshness=Freshness(FakeClock(), lambda: ticks[0]))
    assert not follower.step()
    place.write(FIRST)
    assert follower.step()
    assert not follower.step()
    place.write(SECOND)
    assert follower.step()
    assert live.serving.routes["late"].champion.arm == TWO
    place.write(b"{torn")
    assert not follower.step()
    assert live.serving.generation == 2
    assert "not a RoutingTable" in next(iter(live.failed.values()))
    place.remove()
    ticks[0] += 5
    assert not follower.step()
    assert live.serving.generation == 2
    assert "any more" in next(iter(live.failed.values()))
    assert follower.freshness.seconds == 5, "callers and scrapers are told, as of any source that does not answer"
    assert "any more" in follower.freshness.why
    place.write(encode_table(RoutingTable(3, (Route("late", ONE),))))
    assert follower.step()
    assert (live.serving.generation, live.failed) == (3, {})
    assert (follower.freshness.seconds, follower.freshness.why) == (0, "")


def test_an_unchanged_table_costs_no_body(tmp_path: Path) -> None:
    with http_place(tmp_path) as served:
        served.write(FIRST)
        for _ in range(5):
            served.source.tag()
        assert (served.server.whole, served.server.unchanged) == (1, 4)


def test_a_server_in_trouble_is_told_and_asked_again(tmp_path: Path) -> None:
    with http_place(tmp_path) as served:
        served.write(FIRST)
        tag = served.source.tag()
        served.server.status = 503
        with pytest.raises(StoreUnavailable, match="503: out of order"):
            served.source.tag()
        served.server.status = 0
        assert served.source.tag() == tag
        address = served.url
    with pytest.raises(StoreUnavailable, match="does not answer"):
        served.source.tag()
    assert "token" not in address


def test_a_wrong_token_is_named(tmp_path: Path) -> None:
    with http_place(tmp_path) as served:
        served.write(FIRST)
        other = tmp_path / "other"
        other.write_text("wrong\n")
        other.chmod(0o600)
        caller = Caller(served.url, other)
        with pytest.raises(StoreUnavailable, match="--routing-token"):
            HttpTable(caller).tag()
        caller.close()


def test_a_token_that_others_may_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("secret\n")
    file.chmod(0o644)
    with pytest.raises(InvalidInput, match="chmod 600"):
        read_token(file)
    file.chmod(0o600)
    assert read_token(file) == "secret"
    file.write_text("two words\n")
    with pytest.raises(InvalidInput, match="no token"):
        read_token(file)
    with pytest.raises(StoreUnavailable):
        read_token(tmp_path / "missing")


@pytest.mark.parametrize("where", ["ftp://host/table", "table.json", "file://elsewhere/table", "http://user:pw@host/x"])
def test_what_is_no_place_is_refused(where: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput):
        table_source(where, Blobs((tmp_path / "blobs").as_uri()))


def test_a_folder_is_no_table(tmp_path: Path) -> None:
    source = table_source(tmp_path.as_uri(), Blobs((tmp_path / "blobs").as_uri()))
    with pytest.raises(StoreUnavailable, match="not a file"):
        source.tag()


def test_the_connection_is_opened_anew_after_the_server_went_away(tmp_path: Path) -> None:
    with http_place(tmp_path) as served:
        served.write(FIRST)
        assert isinstance(served, HttpPlace)
        assert served.source.tag() is not None
        served.server.protocol_version = "HTTP/1.0"
        for _ in range(3):
            assert served.source.tag() is not None
