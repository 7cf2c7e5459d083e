"""A gateway is killed under load again and again: same routing afterwards, and the log has what it promised to have."""

from __future__ import annotations

import json
import random
import threading
import time
from pathlib import Path

import httpx
import pytest

from gateway_process import Place, gateway, request, wait_ready
from modelloop.deploy.log import read_counts
from modelloop.deploy.records import Arm, LogPolicy, Route, Stage
from packages import make_candidate, put_package

INFER = "/v2/models/late/infer"
KILLS = 10


def published(place: Place, durability: str) -> None:
    arms = [Arm(f"delay:{n}", put_package(place.blobs, make_candidate((n / 10, -0.01, 0.2)))) for n in (1, 2)]
    route = Route("late", arms[0], arms[1], Stage.CANARY, 0.4, "ro_1", key="distance", log=LogPolicy(durability))
    place.publish(7, route)


def keyed(key: int) -> bytes:
    asked = request()
    asked["inputs"][1]["data"] = [key]
    return json.dumps(asked).encode()


def routing(address: str) -> list[str]:
    """Return which version answers each of a few callers."""
    with httpx.Client(base_url=address) as client:
        wait_ready(client)
        assert client.get("/v2/health/ready").json()["generation"] == 7
        answers = [client.post(INFER, content=keyed(key)) for key in range(100, 130)]
        return [answer.json()["parameters"]["version"] for answer in answers]


def callers(address: str, answered: list[str]) -> list[threading.Thread]:
    def ask() -> None:
        with httpx.Client(base_url=address) as client:
            for number in range(1_000_000):
                try:
                    answer = client.post(INFER, content=keyed(100 + number % 40))
                except httpx.TransportError:
                    return
                assert answer.status_code == 200
                answered.append(answer.headers["modelloop-prediction-id"])

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    return threads


@pytest.mark.parametrize("durability", ["process", "disk", "buffered"])
def test_kills_at_any_moment(tmp_path: Path, durability: str) -> None:
    place = Place(tmp_path, (tmp_path / "blobs").as_uri())
    published(place, durability)
    noise = random.Random(20130301)
    answered: list[str] = []
    routes: list[list[str]] = []
    checks = 0
    for _ in range(KILLS):
        with gateway(place, "--state", str(tmp_path / "state")) as process:
            routes.append(routing(process.address))
            checks += len(routes[-1])
            threads = callers(process.address, answered)
            time.sleep(noise.uniform(0.02, 0.9))
            process.kill()
            for thread in threads:
                thread.join()
    assert set(routes[0]) == {"delay:1", "delay:2"}
    assert all(seen == routes[0] for seen in routes), "every start routes each caller as the one before"
    logged = [record["id"] for record in place.records()]
    assert len(answered) > 200
    assert len(logged) == len(set(logged))
    missing = len(answered) + checks - len(logged)
    told = [read_counts(page) for page in (tmp_path / "predictions" / "g1").glob("*.counts")]
    if durability == "buffered":
        assert 0 < missing <= sum(one.killed for one in told)
        assert all(one.lost == one.failed == 0 and not one.alive for one in told)
    else:
        assert set(answered) <= set(logged)
        assert sum(one.killed for one in told) == 0


def test_with_its_table_gone_it_comes_back_with_the_same_routing(tmp_path: Path) -> None:
    place = Place(tmp_path, (tmp_path / "blobs").as_uri())
    published(place, "process")
    state = ("--state", str(tmp_path / "state"))
    with gateway(place, *state) as process:
        before = routing(process.address)
        process.kill()
    (tmp_path / "blobs" / "documents" / "routing").rename(tmp_path / "away")
    with gateway(place, *state) as process:
        assert routing(process.address) == before
