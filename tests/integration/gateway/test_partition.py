"""A gateway that is cut off goes on, says so, comes back with the same routing, and follows again when it can."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from gateway_process import Place, gateway, request, wait_for, wait_ready
from modelloop.deploy.gateway.routing import KEPT
from modelloop.deploy.records import Arm, Route, RoutingTable
from modelloop.deploy.table import TABLE_DOCUMENT, encode_table
from packages import make_candidate, put_package
from wire import Wire, wire

INFER = "/v2/models/late/infer"


@pytest.fixture
def line(s3_url: str) -> Iterator[tuple[Wire, str]]:
    """The wire to the store, and the store's URL through it."""
    endpoint = re.search(r"endpoint=([^&]+)", s3_url)
    assert endpoint is not None
    parts = urlsplit(endpoint[1])
    with wire((parts.hostname or "", parts.port or 0)) as made:
        yield made, s3_url.replace(parts.netloc, f"127.0.0.1:{made.port}")


def put(place: Place, number: int, weight: float = 0.5) -> Arm:
    return Arm(f"delay:{number}", put_package(place.blobs, make_candidate((weight, -0.01, 0.2))))


def version(client: httpx.Client) -> str:
    answer = client.post(INFER, json=request())
    assert answer.status_code == 200, answer.text
    found: str = answer.json()["parameters"]["version"]
    return found


def test_cut_off_it_answers_and_restarts_with_the_same_routing(
    s3_url: str, line: tuple[Wire, str], tmp_path: Path
) -> None:
    cable, through = line
    control = Place(tmp_path, s3_url)
    node = replace(control, blobs_url=through)
    both = Route("late", put(control, 1), put(control, 2, 0.4))
    control.publish(5, both)
    state = ("--state", str(tmp_path / "state"))
    with gateway(node, *state) as running, httpx.Client(base_url=running.address) as client:
        wait_ready(client)
        assert client.get("/v2/health/ready").json()["stale_since"] is None
        control.wait_for_generation(5)
        cable.cut()
        told = wait_for(lambda: (found := client.get("/v2/health/ready").json())["stale_since"] and found)
        assert told["ready"] is True
        assert told["generation"] == 5
        assert told["stale"]
        assert version(client) == "delay:1"
        assert "modelloop_gateway" in client.get("/metrics").text
        running.kill()
    with gateway(node, *state) as running, httpx.Client(base_url=running.address) as client:
        wait_ready(client)
        told = client.get("/v2/health/ready").json()
        assert (told["generation"], told["routing"]) == (5, KEPT)
        assert version(client) == "delay:1"
        assert wait_for(lambda: client.get("/v2/health/ready").json()["stale_since"])
        control.publish(6, Route("late", put(control, 2, 0.4)))
        cable.mend()
        wait_for(lambda: version(client) == "delay:2")
        report = control.wait_for_generation(6)
        assert report.stale_since is None
        assert report.source == "routing/table.json"
        assert running.stop() == 0


def test_damaged_copies_are_fetched_again(s3_url: str, line: tuple[Wire, str], tmp_path: Path) -> None:
    cable, through = line
    control = Place(tmp_path, s3_url)
    node = replace(control, blobs_url=through)
    control.publish(1, Route("late", put(control, 1)))
    state = tmp_path / "state" / "g1"
    with gateway(node, "--state", str(tmp_path / "state")) as running, httpx.Client(base_url=running.address) as client:
        wait_ready(client)
        running.stop()
    copies = list((state / "content").glob("*/*"))
    assert copies
    for path in copies:
        path.write_bytes(path.read_bytes()[:-1] + b"!")
    with gateway(node, "--state", str(tmp_path / "state")) as running, httpx.Client(base_url=running.address) as client:
        wait_ready(client)
        assert version(client) == "delay:1"
    assert all(path.read_bytes()[-1:] != b"!" for path in copies), "they were fetched and kept anew"
    (state / "table.json").write_bytes(b"{torn")
    cable.cut()
    with gateway(node, "--state", str(tmp_path / "state")) as running, httpx.Client(base_url=running.address) as client:
        assert client.get("/v2/health/ready").status_code == 503, "nothing is better than something wrong"
        assert client.post(INFER, json=request()).status_code == 503


def test_only_what_is_served_is_kept(s3_url: str, tmp_path: Path) -> None:
    control = Place(tmp_path, s3_url)
    first = put(control, 1)
    control.publish(1, Route("late", first))
    state = tmp_path / "state" / "g1" / "content"
    with (
        gateway(control, "--state", str(tmp_path / "state")) as running,
        httpx.Client(base_url=running.address) as client,
    ):
        wait_ready(client)
        kept = {path.name for path in state.glob("*/*")}
        assert first.package in kept
        control.publish(2, Route("late", put(control, 2, 0.4)))
        control.wait_for_generation(2)
        assert wait_for(lambda: first.package not in {path.name for path in state.glob("*/*")})
        assert version(client) == "delay:2"


def test_an_older_table_is_not_followed_unless_its_epoch_is_newer(tmp_path: Path) -> None:
    place = Place(tmp_path, (tmp_path / "blobs").as_uri())
    one, two = put(place, 1), put(place, 2, 0.4)
    place.publish(5, Route("late", one))
    with gateway(place) as running, httpx.Client(base_url=running.address) as client:
        wait_ready(client)
        place.publish(3, Route("late", two))
        report = wait_for(lambda: (found := place.report()).failed and found)
        assert "older than generation 5" in report.failed["routing/table.json"]
        assert (report.generation, version(client)) == (5, "delay:1")
        again = RoutingTable(3, (Route("late", two),), epoch=1)
        place.blobs.write_document(TABLE_DOCUMENT, encode_table(again))
        wait_for(lambda: version(client) == "delay:2")
        assert wait_for(lambda: not place.report().failed)
