"""The whole gateway over real HTTP: swaps under load, bodies of any size, a clean stop, SIGKILL at any moment."""

from __future__ import annotations

import gzip
import json
import math
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from gateway_process import Gateway, Place, gateway, request, wait_for, wait_ready
from modelloop.deploy.records import Arm, Route, Stage
from packages import make_candidate, put_package

INFER = "/v2/models/late/infer"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, (tmp_path / "blobs").as_uri())


def arm(place: Place, number: int, weight: float = 0.5) -> Arm:
    return Arm(f"delay:{number}", put_package(place.blobs, make_candidate((weight, -0.01, 0.2))))


@pytest.fixture
def running(place: Place) -> Iterator[tuple[Gateway, httpx.Client]]:
    place.publish(1, Route("late", arm(place, 1), max_body=20_000))
    with gateway(place) as process, httpx.Client(base_url=process.address) as client:
        wait_ready(client)
        yield process, client


def test_an_answer_is_the_models_and_in_the_log(place: Place, running: tuple[Gateway, httpx.Client]) -> None:
    _, client = running
    answer = client.post(INFER, json=request(2, event_time="2013-03-01T05:15:00Z"))
    assert answer.status_code == 200
    scores = answer.json()["outputs"][0]["data"]
    expected = 1 / (1 + math.exp(-(0.5 * 12.5 - 0.01 * 300 + 0.2 * 1)))
    assert scores == pytest.approx([expected] * 2, abs=1e-5)
    prediction = answer.headers["modelloop-prediction-id"]
    (record,) = place.records()
    assert (record["id"], record["v"]) == (prediction, "delay:1")
    assert record["s"] == pytest.approx(scores, abs=1e-6)  # FP32 as JSON shows it, and as it is
    report = place.wait_for_generation(1)
    assert report.loaded == ("delay:1",)
    assert wait_for(lambda: place.report().answered == 1)


def test_no_header_but_the_body_is_needed(running: tuple[Gateway, httpx.Client]) -> None:
    _, client = running
    body = json.dumps(request()).encode()
    assert client.post(INFER, content=body).status_code == 200
    assert client.post(INFER, content=iter([body[:9], body[9:]])).status_code == 200
    packed = client.post(INFER, content=gzip.compress(body), headers={"content-encoding": "gzip"})
    assert packed.status_code == 200


def raw(process: Gateway, rest: bytes) -> bytes:
    """Send a head of our own making; return the beginning of the answer."""
    parts = urlsplit(process.address)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10) as connection:
        connection.sendall(f"POST {INFER} HTTP/1.1\r\nHost: {parts.netloc}\r\n".encode() + rest)
        return connection.recv(1000)


def test_bodies_that_are_too_large_are_told_so(running: tuple[Gateway, httpx.Client]) -> None:
    process, client = running
    assert client.post(INFER, content=b" " * 20_001).status_code == 413
    streamed = client.post(INFER, content=iter([b" " * 10_000] * 100))
    assert streamed.status_code == 413
    assert "20000 bytes" in streamed.json()["error"]
    assert raw(process, f"Content-Length: {10**12}\r\n\r\n".encode()).startswith(b"HTTP/1.1 413")
    assert client.post(INFER, json=request()).status_code == 200


def test_pages_of_other_sites_may_not_ask(running: tuple[Gateway, httpx.Client]) -> None:
    _, client = running
    assert client.post(INFER, json=request(), headers={"origin": "https://evil.example"}).status_code == 403
    assert client.post(INFER, json=request(), headers={"host": "evil.example"}).status_code == 403


def test_swaps_under_load_fail_nobody(place: Place, running: tuple[Gateway, httpx.Client]) -> None:
    process, _ = running
    arms = [arm(place, number, number / 4) for number in (1, 2)]
    stop = threading.Event()
    seen: list[tuple[int, str, str]] = []

    def load() -> None:
        with httpx.Client(base_url=process.address) as client:
            while not stop.is_set():
                answer = client.post(INFER, json=request())
                found = answer.json()
                seen.append((answer.status_code, found["id"], found["parameters"]["version"]))

    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    for generation in range(2, 8):
        champion, challenger = arms if generation % 2 else arms[::-1]
        stage = Stage.CANARY if generation % 3 else Stage.SHADOW
        place.publish(generation, Route("late", champion, challenger, stage, 0.5, f"ro_{generation}"))
        place.wait_for_generation(generation)
    stop.set()
    for thread in threads:
        thread.join()
    assert {status for status, _, _ in seen} == {200}
    assert {version for _, _, version in seen} == {"delay:1", "delay:2"}
    logged = {record["id"]: record["v"] for record in place.records() if record["k"] == "a"}
    assert {prediction: version for _, prediction, version in seen} == logged


def test_the_shadow_scores_what_was_planned(place: Place, running: tuple[Gateway, httpx.Client]) -> None:
    process, client = running
    both = Route("late", arm(place, 1), arm(place, 2, 0.1), Stage.SHADOW, 0.5, "ro_1")
    place.publish(2, both)
    place.wait_for_generation(2)
    for _ in range(100):
        assert client.post(INFER, json=request(3)).json()["parameters"]["version"] == "delay:1"
    assert process.stop() == 0
    records = place.records()
    planned = [record["id"] for record in records if record.get("sv") == "delay:2"]
    shadow = {record["id"]: record for record in records if record["k"] == "s"}
    assert 20 < len(planned) < 80
    assert sorted(shadow) == sorted(planned)
    assert all(len(record["s"]) == 3 and record["v"] == "delay:2" for record in shadow.values())
    assert place.report().shadow_scored == len(planned)


def test_a_version_that_answers_otherwise_is_never_served(place: Place, running: tuple[Gateway, httpx.Client]) -> None:
    _, client = running
    candidate = make_candidate()
    wrong = Arm("delay:2", put_package(place.blobs, replace(candidate, expected=candidate.expected + 0.1)))
    place.publish(2, Route("late", wrong))
    assert wait_for(lambda: place.report().failed)
    assert "sample rows are answered otherwise" in place.report().failed["delay:2"]
    assert client.post(INFER, json=request()).json()["parameters"]["version"] == "delay:1"
    assert place.report().generation == 1


def test_a_stop_answers_what_is_in_flight(running: tuple[Gateway, httpx.Client]) -> None:
    process, _ = running
    body = json.dumps(request()).encode()
    parts = urlsplit(process.address)
    with socket.create_connection((parts.hostname or "", parts.port or 0)) as connection:
        head = f"POST {INFER} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body[:10])
        time.sleep(0.2)
        process.process.terminate()
        time.sleep(0.3)
        connection.sendall(body[10:])
        connection.settimeout(10)
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
    assert process.process.wait(15) == 0


def test_no_answer_is_missing_from_the_log_after_a_kill(place: Place) -> None:
    place.publish(1, Route("late", arm(place, 1), arm(place, 2), Stage.SHADOW, 1.0, "ro_1"))
    noise = random.Random(20130301)
    answered: list[str] = []

    def ask(address: str) -> None:
        with httpx.Client(base_url=address) as client:
            while True:
                try:
                    answer = client.post(INFER, json=request(2))
                except httpx.TransportError:
                    return
                assert answer.status_code == 200
                answered.append(answer.headers["modelloop-prediction-id"])

    for _ in range(10):
        with gateway(place) as process:
            with httpx.Client(base_url=process.address) as client:
                wait_ready(client)
            threads = [threading.Thread(target=ask, args=(process.address,)) for _ in range(3)]
            for thread in threads:
                thread.start()
            time.sleep(noise.uniform(0.0, 0.25))
            process.kill()
            for thread in threads:
                thread.join()
    logged = [record["id"] for record in place.records() if record["k"] == "a"]
    assert len(answered) > 100
    assert len(logged) == len(set(logged))
    assert set(answered) <= set(logged)
    assert len(list((place.folder / "predictions" / "g1").iterdir())) >= 8, "each start has its own file"


def test_a_full_disk_does_not_stop_answers(place: Place) -> None:
    place.publish(1, Route("late", arm(place, 1)))
    (place.folder / "predictions").write_bytes(b"a file where the folder should be")
    with gateway(place) as process, httpx.Client(base_url=process.address) as client:
        wait_ready(client)
        assert client.post(INFER, json=request()).status_code == 200
        health = client.get("/v2/health/ready").json()
        assert (health["log_failed"], health["log"] != "ok") == (1, True)
        assert wait_for(lambda: place.report().log_failed == 1)


def test_the_process_imports_no_database_and_no_polars() -> None:
    code = (
        "import sys, modelloop.deploy.gateway.__main__\n"
        "print([m for m in ('sqlalchemy', 'polars', 'alembic', 'pyarrow', 'starlette', 'onnx') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("more", "said"),
    [(["--host", "0.0.0.0"], "--allow-remote"), (["--id", "../x"], "cannot name a gateway"), (["--port", "1"], "")],
)
def test_what_cannot_be_started_says_why(place: Place, more: list[str], said: str) -> None:
    if more == ["--port", "1"]:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            status, text = _start(place, ["--port", str(taken.getsockname()[1])])
        said = "Choose another --port"
    else:
        status, text = _start(place, more)
    assert status == 2
    assert said in text


def _start(place: Place, more: list[str]) -> tuple[int, str]:
    command = [sys.executable, "-m", "modelloop.deploy.gateway", "--blobs", place.blobs_url, "--id", "g1"]
    command += ["--predictions", str(place.folder), *more]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return ended.returncode, ended.stderr
