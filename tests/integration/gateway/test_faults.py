"""Whatever is broken around a gateway (a version, a package, the disk, the store, its callers), the rest goes on."""

from __future__ import annotations

import json
import os
import resource
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from gateway_process import Gateway, Place, gateway, request, wait_for, wait_ready
from modelloop.deploy.gateway.naming import Ids
from modelloop.deploy.gateway.signals import Freshness
from modelloop.deploy.log import PredictionLog, frame
from modelloop.deploy.records import Arm, LogPolicy, Route, Stage
from modelloop.register.manifest import open_package
from modelloop.testing.fakes import FakeClock
from packages import make_candidate, put_package

INFER = "/v2/models/late/infer"
NOT_A_NUMBER, SHORT, RAISES = 777.0, 778.0, 779.0
HTTP = pytest.mark.parametrize("http", ["hot", "asgi"])


def treacherous() -> bytes:
    """Return a graph that answers .25, but for some delays: no number, a row too few, an error of the runtime."""
    number = {"first": [0], "one": [1], "quarter": [0.25], "nan": [777.0], "short": [778.0], "raises": [779.0]}
    ints = {"first", "one", "far", "flat"}
    number |= {"far": [1_000_000], "flat": [-1], "table": [0.25]}
    initial = [
        helper.make_tensor(name, TensorProto.INT64 if name in ints else TensorProto.FLOAT, [len(values)], values)
        for name, values in number.items()
    ]
    nodes = [
        helper.make_node("Slice", ["features", "first", "one", "one"], ["column"]),
        helper.make_node("Reshape", ["column", "flat"], ["d"]),
        helper.make_node("Sub", ["d", "nan"], ["z"]),
        helper.make_node("Div", ["z", "z"], ["unit"]),
        helper.make_node("Equal", ["d", "raises"], ["worst"]),
        helper.make_node("Cast", ["worst"], ["worse"], to=TensorProto.INT64),
        helper.make_node("Mul", ["worse", "far"], ["at"]),
        helper.make_node("Gather", ["table", "at"], ["found"]),
        helper.make_node("Mul", ["found", "unit"], ["whole"]),
        helper.make_node("Equal", ["d", "short"], ["left"]),
        helper.make_node("Not", ["left"], ["kept"]),
        helper.make_node("Compress", ["whole", "kept"], ["score"]),
    ]
    feed = helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, 3])
    out = helper.make_tensor_value_info("score", TensorProto.FLOAT, [None])
    graph = helper.make_graph(nodes, "treacherous", [feed], [out], initial)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return onnx.ModelProto.SerializeToString(model)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, (tmp_path / "blobs").as_uri())


def good(place: Place, number: int = 1) -> Arm:
    return Arm(f"delay:{number}", put_package(place.blobs, make_candidate((0.1 * number, -0.01, 0.2))))


def bad(place: Place, number: int = 2) -> Arm:
    candidate = make_candidate()
    made = replace(candidate, onnx=treacherous(), expected=np.full(len(candidate.expected), 0.25))
    return Arm(f"delay:{number}", put_package(place.blobs, made))


def asked(delay: float = 12.5, rows: int = 1) -> dict[str, object]:
    found = request(rows)
    found["inputs"][0]["data"] = [12.5] * (rows - 1) + [delay]
    return found


@contextmanager
def serving(place: Place, *options: str) -> Iterator[tuple[Gateway, httpx.Client]]:
    with gateway(place, *options) as process, httpx.Client(base_url=process.address, timeout=20) as client:
        wait_ready(client)
        yield process, client


@HTTP
def test_a_canary_that_answers_nonsense_is_stood_in_for(place: Place, http: str) -> None:
    place.publish(1, Route("late", good(place), bad(place), Stage.CANARY, 1.0, "ro_1"))
    with serving(place, "--http", http) as (_, client):
        assert client.post(INFER, json=asked()).json()["parameters"]["version"] == "delay:2"
        alone = f"{INFER.removesuffix('/infer')}/versions/1/infer"
        for delay in (NOT_A_NUMBER, SHORT, RAISES):
            for rows in (1, 3):
                answer = client.post(INFER, json=asked(delay, rows))
                assert answer.status_code == 200, answer.text
                assert answer.json()["parameters"]["version"] == "delay:1"
                expected = client.post(alone, json=asked(delay, rows)).json()["outputs"]
                assert answer.json()["outputs"] == expected
        assert client.post(INFER, json=asked()).json()["parameters"]["version"] == "delay:2"
        failed = [record for record in place.records() if "err" in record]
        assert len(failed) == 6
        assert {record["v"] for record in failed} == {"delay:1"}
        assert all("delay:2" in record["err"] for record in failed)


@HTTP
def test_a_champion_that_answers_nonsense_says_so(place: Place, http: str) -> None:
    place.publish(1, Route("late", bad(place)))
    with serving(place, "--http", http) as (_, client):
        for delay in (NOT_A_NUMBER, SHORT, RAISES):
            answer = client.post(INFER, json=asked(delay))
            assert answer.status_code == 500
            assert "could not answer" in answer.json()["error"]
            assert "Traceback" not in answer.text
        assert client.post(INFER, json=asked()).json()["outputs"][0]["data"] == [0.25]
        assert [record["k"] for record in place.records()] == ["f", "f", "f", "a"]


def test_a_shadow_that_answers_nonsense_is_counted(place: Place) -> None:
    place.publish(1, Route("late", good(place), bad(place), Stage.SHADOW, 1.0, "ro_1"))
    with serving(place) as (_, client):
        for delay in (NOT_A_NUMBER, SHORT, RAISES, 1.0):
            assert client.post(INFER, json=asked(delay)).json()["parameters"]["version"] == "delay:1"
        wait_for(lambda: (place.report().shadow_failed, place.report().shadow_scored) == (3, 1))


@pytest.mark.parametrize("how", ["flipped", "cut", "empty", "gone"])
def test_a_corrupt_package_is_refused_and_taken_once_it_is_whole(place: Place, how: str) -> None:
    place.publish(1, Route("late", good(place)))
    arm = good(place, 2)
    digest = open_package(place.blobs, arm.package).files["model.onnx"]
    (file,) = [
        path
        for path in (place.folder / "blobs").rglob("*")
        if path.is_file() and str(path).replace("/", "").endswith(digest)
    ]
    whole = file.read_bytes()
    file.chmod(0o600)
    if how == "gone":
        file.unlink()
    else:
        file.write_bytes({"flipped": whole[:-1] + bytes([whole[-1] ^ 1]), "cut": whole[:40], "empty": b""}[how])
    with serving(place) as (_, client):
        place.publish(2, Route("late", arm))
        why = wait_for(lambda: place.report().failed.get("delay:2"))
        assert digest[:12] in why
        assert client.post(INFER, json=request()).json()["parameters"]["version"] == "delay:1"
        assert place.report().generation == 1
        file.write_bytes(whole)
        place.wait_for_generation(2)
        assert client.post(INFER, json=request()).json()["parameters"]["version"] == "delay:2"
        assert place.report().failed == {}


@pytest.fixture
def disk(place: Place) -> Iterator[Path]:
    """A disk of half a megabyte where the log goes."""
    folder = place.folder / "predictions"
    folder.mkdir()
    line = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)]
    if subprocess.run(line, check=False, capture_output=True).returncode:
        pytest.skip("no right to mount a small disk here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Take the room that is left."""
    ballast = disk / "ballast"
    with ballast.open("ab", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return ballast


@HTTP
@pytest.mark.parametrize("durability", ["process", "disk", "buffered"])
@pytest.mark.parametrize("required", [False, True])
def test_a_full_disk(place: Place, disk: Path, http: str, durability: str, *, required: bool) -> None:
    place.publish(1, Route("late", good(place), log=LogPolicy(durability, required)))
    refuses = required and durability != "buffered"
    ballast = fill(disk)
    with serving(place, "--http", http) as (_, client):
        for _ in range(5):
            answer = client.post(INFER, json=request())
            assert answer.status_code == (503 if refuses else 200)
            assert not refuses or "prediction log cannot be written" in answer.json()["error"]
        health = wait_for(lambda: (told := client.get("/v2/health/ready").json())["log_failed"] and told)
        assert "No space left" in health["log"]
        ballast.unlink()
        wait_for(lambda: client.post(INFER, json=request()).status_code == 200 and log_of(client) == "ok")
        assert wait_for(place.records)
        kept = client.post(INFER, json=request()).headers["modelloop-prediction-id"]
        wait_for(lambda: kept in {record["id"] for record in place.records()})


def log_of(client: httpx.Client) -> str:
    return str(client.get("/v2/health/ready").json()["log"])


def test_a_disk_that_fills_while_answers_are_logged(place: Place, disk: Path) -> None:
    place.publish(1, Route("late", good(place)))
    with serving(place) as (_, client):
        sent = [client.post(INFER, json=request(200)).headers["modelloop-prediction-id"] for _ in range(150)]
        failed = client.get("/v2/health/ready").json()["log_failed"]
        logged = {record["id"] for record in place.records()}
        assert 0 < failed < 150
        assert len(logged & set(sent)) == 150 - failed


def test_a_store_that_hangs_takes_no_answer_away(place: Place) -> None:
    place.publish(1, Route("late", good(place)))
    with serving(place) as (process, client):
        place.wait_for_generation(1)
        table = place.folder / "blobs" / "documents" / "routing" / "table.json"
        table.unlink()
        os.mkfifo(table)  # whoever opens it waits for ever
        wait_for(lambda: client.get("/v2/health/ready").json().get("stale_since"))
        for _ in range(20):
            assert client.post(INFER, json=request()).status_code == 200
        assert client.get("/v2/health/ready").json()["ready"] is True
        assert process.stop() == 0


def head(process: Gateway, *lines: str) -> bytes:
    return "\r\n".join([f"POST {INFER} HTTP/1.1", f"Host: {urlsplit(process.address).netloc}", *lines, "", ""]).encode()


def connected(process: Gateway) -> socket.socket:
    parts = urlsplit(process.address)
    return socket.create_connection((parts.hostname or "", parts.port or 0), timeout=20)


def exchange(process: Gateway, data: bytes) -> bytes:
    """Send bytes, say that no more come, and return all that comes back."""
    with closing(connected(process)) as line:
        line.sendall(data)
        line.shutdown(socket.SHUT_WR)
        found = b""
        while part := line.recv(65536):
            found += part
        return found


BODY = json.dumps(request()).encode()
LENGTH = len(BODY)
CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (LENGTH, BODY)


@HTTP
def test_bodies_that_lie_about_their_length(place: Place, http: str) -> None:
    place.publish(1, Route("late", good(place)))
    lies = {
        "too long": ([f"Content-Length: {LENGTH + 9}"], BODY),
        "truncated": ([f"Content-Length: {LENGTH}"], BODY[:40]),
        "too short": ([f"Content-Length: {LENGTH - 9}"], BODY),
        "none": ([], BODY),
        "twice": ([f"Content-Length: {LENGTH}", "Content-Length: 5"], BODY),
        "a list": ([f"Content-Length: {LENGTH}, 5"], BODY),
        "negative": (["Content-Length: -5"], BODY),
        "plus": ([f"Content-Length: +{LENGTH}"], BODY),
        "hex": ([f"Content-Length: {LENGTH:#x}"], BODY),
        "words": (["Content-Length: many"], BODY),
        "huge": (["Content-Length: 99999999999999999999999999"], BODY),
        "both": ([f"Content-Length: {LENGTH}", "Transfer-Encoding: chunked"], CHUNKED),
        "both, other order": (["Transfer-Encoding: chunked", f"Content-Length: {LENGTH}"], CHUNKED),
        "chunk size": (["Transfer-Encoding: chunked"], b"zz\r\n" + BODY),
        "chunk too long": (["Transfer-Encoding: chunked"], b"%x\r\n%b\r\n0\r\n\r\n" % (LENGTH + 5, BODY)),
        "no last chunk": (["Transfer-Encoding: chunked"], CHUNKED[:-5]),
        "other coding": (["Transfer-Encoding: gzip"], BODY),
    }
    with serving(place, "--http", http) as (process, client):
        assert exchange(process, head(process, f"Content-Length: {LENGTH}") + BODY).startswith(b"HTTP/1.1 200")
        for lie, (lines, body) in lies.items():
            found = exchange(process, head(process, *lines) + body)
            assert b"HTTP/1.1 200" not in found, lie
            assert not found or found.startswith((b"HTTP/1.1 4", b"HTTP/1.1 501")), (lie, found)
            assert not found or b'"error"' in found, (lie, found)
            assert client.post(INFER, json=request()).status_code == 200, lie
        assert len(place.records()) == 1 + len(lies)
        assert client.get("/v2/health/ready").json()["log"] == "ok"


@HTTP
def test_ten_thousand_slow_connections(place: Place, http: str) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(10_000, (hard if hard > 0 else 1_000_000) - 1000)
    if count < 500:
        pytest.skip(f"only {hard} open files are allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    place.publish(1, Route("late", good(place)))
    with ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        process, client = stack.enter_context(serving(place, "--http", http))
        begun = [b"", head(process)[:30], head(process, f"Content-Length: {LENGTH}") + BODY[:50]]
        for number in range(count):
            line = stack.enter_context(closing(connected(process)))
            line.sendall(begun[number % 3])
            if number % 500 == 0:
                assert client.post(INFER, json=request()).status_code == 200
        for _ in range(50):
            assert client.post(INFER, json=request()).status_code == 200
        with closing(connected(process)) as fresh:
            fresh.sendall(head(process, f"Content-Length: {LENGTH}") + BODY)
            assert fresh.recv(100).startswith(b"HTTP/1.1 200")


def test_more_slow_connections_than_there_are_files(place: Place) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    place.publish(1, Route("late", good(place)))
    with ExitStack() as stack:
        resource.setrlimit(resource.RLIMIT_NOFILE, (300, hard))
        try:
            started = serving(place)
            process, _ = stack.enter_context(started)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for _ in range(1000):
            line = stack.enter_context(closing(connected(process)))
            line.sendall(head(process)[:30])
        for _ in range(20):
            found = exchange(process, head(process, f"Content-Length: {LENGTH}") + BODY)
            assert found.startswith(b"HTTP/1.1 200")


def test_a_clock_that_jumps_back(tmp_path: Path) -> None:
    ids = Ids()
    moments = [2_000_000_000_000_000, 1_000_000_000_000_000, 1_000_000_000_000_001, 2_000_000_000_000_000] * 50
    assert len({ids.new(at) for at in moments}) == len(moments)
    for started in (2_000, 1_000, 500):  # three processes, each started at an earlier time than the one before
        log = PredictionLog(tmp_path, "g1", started)
        assert log.append(frame({"k": "a", "n": started}))
        log.close()
    names = sorted(path.name for path in (tmp_path / "g1").glob("*.log"))
    assert len(names) == 3
    assert [int(name[:20]) for name in names] == [2_000, 2_001, 2_002]


def test_a_table_is_as_old_as_a_clock_that_never_jumps_says(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = [100.0]
    clock = FakeClock()
    fresh = Freshness(clock, lambda: ticks[0])
    before = clock.now()
    monkeypatch.setattr(clock, "now", lambda: before.replace(year=2001))
    assert fresh.since is None
    ticks[0] += 10
    assert fresh.seconds == 10
    assert fresh.since is not None
