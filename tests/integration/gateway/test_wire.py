"""One suite of behaviour over both ways in: the parser's callback (`hot`) and the plain ASGI application."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import orjson
import pytest

from gateway_parts import INPUTS, ONE, TWO, Frames, Made, answerer, arm, constant, decoded, inputs
from gateway_process import wait_for
from gateway_wire import INFER, Line, listening
from modelloop.deploy.gateway import watching
from modelloop.deploy.gateway.answer import Answerer
from modelloop.deploy.gateway.edge import ArmError
from modelloop.deploy.gateway.hot import MOST_HEAD
from modelloop.deploy.gateway.runtime import LoadedArm
from modelloop.deploy.gateway.watching import Phase, Watch
from modelloop.deploy.records import LogPolicy, Route, Stage
from modelloop.prepare.records import Columns
from modelloop.register.records import Signature

BODY = {"inputs": inputs()}


class LaterLane:
    """Answers in a thread, when it is let."""

    trouble = ""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.go = threading.Event()

    def submit(self, columns: Columns, _rows: int, done: Any) -> None:
        threading.Thread(target=lambda: (self.go.wait(10), done(self.answer(columns)))).start()

    def close(self) -> None:
        """Nothing to end."""


def half(columns: Columns) -> Any:
    return {"score": np.full(len(columns["delay"]), 0.5, np.float32)}


def late(lane: LaterLane) -> LoadedArm:
    return LoadedArm(ONE, Signature(INPUTS, "score", "binary"), constant(0.5), lane=lane)  # type: ignore[arg-type]


@pytest.fixture(params=["hot", "asgi"])
def http(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def gateway() -> Answerer:
    route = Route("late", ONE, TWO, Stage.SHADOW, 1.0, "s", max_rows=50, max_body=20_000)
    return answerer(route, arm(ONE, Made(lambda c: np.arange(len(c["delay"])) / 4)), arm(TWO, constant(0.5)))


@pytest.fixture
def port(gateway: Answerer, http: str) -> Iterator[int]:
    with listening(gateway, http) as port:
        yield port


@pytest.fixture
def line(port: int) -> Iterator[Line]:
    line = Line(port)
    yield line
    line.close()


def test_many_answers_over_one_connection(line: Line, gateway: Answerer) -> None:
    seen = set()
    for rows in (1, 1, 2, 1, 3, 1):
        found = line.ask({"inputs": inputs(rows), "id": f"r{rows}"})
        assert (found.status, found.json["id"]) == (200, f"r{rows}")
        assert found.json["outputs"][0]["data"] == [at / 4 for at in range(rows)]
        assert found.headers["modelloop-prediction-id"] == found.json["parameters"]["prediction_id"]
        assert "date" in found.headers
        seen.add(found.headers["modelloop-prediction-id"])
    log = gateway.desk.log
    assert isinstance(log, Frames)
    records = [decoded(frame) for frame in log.frames]
    assert {record["id"] for record in records} == seen
    assert all(record["sv"] == "delay:2" for record in records)
    assert len(gateway.jobs) == 6  # type: ignore[attr-defined]
    (counts,) = gateway.counters.snapshot().arms.values()
    assert (counts.answered, counts.rows, gateway.live.answered) == (6, 9, 6)


def test_pipelined_requests_are_answered_in_order(line: Line) -> None:
    bodies = [{"inputs": inputs(), "id": str(number)} for number in range(30)]
    mixed = [line.request(body) for body in bodies]
    mixed.insert(7, line.request(b"", "/v2/health/live", method="GET"))
    mixed.insert(9, line.request({"inputs": []}))
    mixed.insert(20, line.request(b"", "/v2/models/late/ready", method="GET"))
    line.send(b"".join(mixed))
    told = [line.read() for _ in mixed]
    assert told.pop(20).json["ready"]
    assert told.pop(9).status == 400
    assert told.pop(7).json == {"live": True}
    assert [one.json["id"] for one in told] == [str(number) for number in range(30)]


def test_a_request_in_any_pieces(line: Line) -> None:
    whole = line.request({"inputs": inputs(2)})
    for cut in (1, 30, whole.index(b"\r\n\r\n") + 2, whole.index(b"\r\n\r\n") + 4, len(whole) - 1):
        for _ in range(2):  # the second time its head is known
            line.send(whole[:cut])
            time.sleep(0.02)
            line.send(whole[cut:])
            assert line.read().json["outputs"][0]["shape"] == [2]
    for byte in whole:
        line.send(bytes([byte]))
    assert line.read().status == 200
    line.send(whole + whole[:50])
    assert line.read().status == 200
    line.send(whole[50:])
    assert line.read().status == 200


def test_chunked_bodies(line: Line) -> None:
    body = orjson.dumps(BODY)
    for sizes in ((len(body),), (1, 10, len(body) - 11)):
        head = f"POST {INFER} HTTP/1.1\r\nHost: 127.0.0.1:{line.port}\r\nTransfer-Encoding: chunked\r\n\r\n"
        line.send(head.encode())
        at = 0
        for size in sizes:
            line.send(b"%x\r\n%b\r\n" % (size, body[at : at + size]))
            at += size
        line.send(b"0\r\n\r\n")
        assert line.read().status == 200
        assert line.ask(BODY).status == 200


def test_a_caller_who_waits_to_be_told_to_go_on(line: Line) -> None:
    head, _, body = line.request(BODY, Expect="100-continue").partition(b"\r\n\r\n")
    line.send(head + b"\r\n\r\n")
    assert line.read().status == 100
    line.send(body)
    assert line.read().status == 200


def test_a_connection_that_is_to_be_closed(line: Line) -> None:
    assert line.ask(BODY).status == 200
    found = line.ask(BODY, Connection="close")
    assert (found.status, found.headers["connection"]) == (200, "close")
    assert line.closed


def test_an_old_client(line: Line) -> None:
    line.send(line.request(BODY).replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert line.read().status == 200
    assert line.closed


def test_other_methods_and_paths(line: Line) -> None:
    for method in ("GET", "PUT", "DELETE", "OPTIONS"):
        line.send(line.request(b"", method=method))
        found = line.read()
        assert (found.status, found.headers["allow"], "POST" in found.json["error"]) == (405, "POST", True)
    line.send(line.request(b"", method="HEAD"))
    assert line.read(head_only=True).status == 405
    line.send(line.request(b"", "/v2/health/live", method="HEAD"))
    assert line.read(head_only=True).status == 200
    for path, status in (
        ("/v2/models/late/versions/1/infer", 200),
        ("/v2/models/late/versions/2/infer", 200),
        ("/v2/models/late/versions/3/infer", 404),
        ("/v2/models/lat/infer", 404),
        ("/v2/models/l%61te/infer", 200),
        ("/v2/models/late/infer?x=1", 200),
        ("/v2/models/late/infer/", 200),
        ("/v2/models//infer", 404),
        ("/v2/models/infer", 405),
    ):
        found = line.ask(BODY, path)
        assert (found.status, "error" in found.json) == (status, status != 200), path


def test_a_body_that_is_too_large(line: Line, port: int) -> None:
    found = line.ask(b" " * 20_001)
    assert (found.status, "20000 bytes" in found.json["error"]) == (413, True)
    other = Line(port)
    other.send(other.request(b"", Content_Length="999999999999"))
    assert other.read().status in (400, 413)
    packed = Line(port)
    assert packed.ask(gzip.compress(b" " * 100_000), Content_Encoding="gzip").status == 413
    assert packed.ask(gzip.compress(orjson.dumps(BODY)), Content_Encoding="gzip").status == 200


@pytest.mark.parametrize(
    "lines",
    [
        b"Content-Length: 5\r\nContent-Length: 6",
        b"Content-Length: 5, 5",
        b"Content-Length: -5",
        b"Content-Length: 0x10",
        b"Content-Length: 5\r\nTransfer-Encoding: chunked",
        b"Content-Length : 5",
        b"Content-Length: 5\r\n folded: x",
        b"Transfer-Encoding: identity, chunked\r\nContent-Length: 4",
    ],
)
def test_heads_that_can_be_read_in_two_ways_are_refused(line: Line, lines: bytes) -> None:
    line.send(b"POST %b HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%b\r\n\r\nhello" % (INFER.encode(), line.port, lines))
    found = line.read()
    assert (found.status, bool(found.json["error"])) == (400, True)
    assert line.closed


@pytest.mark.parametrize(
    "header", [b"X: %b\r\n\r\n" % (b"a" * MOST_HEAD), b"X-1: a\r\n" * 9_000 + b"\r\n", b"X: " + b"a" * 4_000_000]
)
def test_a_head_that_is_too_long_or_without_end_is_refused(line: Line, port: int, header: bytes) -> None:
    line.send(line.request(BODY, X="a" * 60_000))
    assert line.read().status == 200, "a long one is read"
    with suppress(ConnectionError):  # it may be refused before all is sent
        line.send(b"POST %b HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%b" % (INFER.encode(), port, header))
    found = line.read()
    assert (found.status, found.headers["connection"]) == (431, "close")
    assert "longer than 65536 bytes" in found.json["error"]
    assert Line(port).ask(BODY).status == 200


def test_the_offer_of_another_protocol_is_ignored(line: Line) -> None:
    """Java's HTTP client offers HTTP/2 with each request; a parser that believes it does not read the body."""
    offered = {"Connection": "Upgrade, HTTP2-Settings", "HTTP2_Settings": "AAMAAABkAAQAAP__"}
    for name in ("Upgrade", "UPGRADE", "upgrade"):
        for _ in range(2):  # the second time its head is known
            assert line.ask(BODY, **offered, **{name: "h2c"}).json["outputs"][0]["data"] == [0.0]
    assert line.ask(BODY, Connection="Upgrade", Upgrade="websocket", Sec_WebSocket_Key="a").status == 200


def test_what_is_no_http_is_told_what_is(line: Line) -> None:
    line.send(b"\x16\x03\x01\x02\x00\x01" + b"\0" * 100)
    assert "Expected, for instance, POST /v2/models/ENDPOINT/infer" in line.read().json["error"]


def test_bodies_that_lie_about_their_length(line: Line, port: int, gateway: Answerer) -> None:
    whole = line.request(BODY)
    line.send(whole + b"!more than was announced")  # what is too much is the next request, and is none
    assert line.read().status == 200
    assert line.closed
    assert line.held[:12] in (b"", b"HTTP/1.1 400")
    short = Line(port)
    short.send(whole[:-10])
    short.close()
    assert Line(port).ask(BODY).status == 200
    assert gateway.live.answered == 2


def test_no_content_type_or_any(line: Line) -> None:
    for kind in ("application/json", "text/plain", "application/octet-stream"):
        assert line.ask(BODY, Content_Type=kind).status == 200


def test_pages_of_other_sites_are_turned_away(line: Line, port: int) -> None:
    assert line.ask(BODY, Origin=f"http://127.0.0.1:{port}").status == 200
    for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}):
        other = Line(port)
        for _ in range(2):
            found = other.ask(BODY, **headers)
            assert found.status == 403
            other = Line(port)


def test_packed_answers(line: Line) -> None:
    found = line.ask({"inputs": inputs(40)}, Accept_Encoding="gzip")
    assert found.headers["content-encoding"] == "gzip"
    assert orjson.loads(gzip.decompress(found.body))["outputs"][0]["shape"] == [40]


def test_a_log_that_is_required_and_full(http: str) -> None:
    route = Route("late", ONE, log=LogPolicy(required=True))
    gateway = answerer(route, arm(ONE, constant(0.5)), log=Frames(room=1))
    with listening(gateway, http) as port:
        line = Line(port)
        assert line.ask(BODY).status == 200
        found = line.ask(BODY)
        assert (found.status, "log cannot be written" in found.json["error"]) == (503, True)


def test_a_lane_answers_later_and_in_order(http: str) -> None:
    lane = LaterLane(half)
    gateway = answerer(Route("late", ONE), late(lane))
    with listening(gateway, http) as port:
        line, other = Line(port), Line(port)
        asked = [line.request({"inputs": inputs(), "id": str(number)}) for number in range(3)]
        line.send(asked[0])
        line.send(asked[1] + line.request(b"", "/v2/health/live", method="GET") + asked[2])
        other.send(other.request(b"", "/v2/health/live", method="GET"))
        assert other.read().status == 200, "nobody waits for the lane but who asked it"
        lane.go.set()
        told = [line.read() for _ in range(4)]
        assert told.pop(2).json == {"live": True}
        assert [one.json["id"] for one in told] == ["0", "1", "2"]
        assert gateway.counters.in_flight == 0


def test_a_caller_who_leaves_before_the_lane_answers(http: str) -> None:
    lane = LaterLane(half)
    gateway = answerer(Route("late", ONE), late(lane))
    with listening(gateway, http) as port:
        line = Line(port)
        line.send(line.request(BODY))
        time.sleep(0.05)
        line.close()
        lane.go.set()
        assert Line(port).ask(BODY).status == 200
        wait_for(lambda: gateway.counters.in_flight == 0)  # the two are answered in threads of their own
        assert gateway.live.errors == 0


def test_a_challenger_that_fails_in_its_lane(http: str) -> None:
    lane = LaterLane(lambda _: ArmError("delay:1 hangs"))
    lane.go.set()
    route = Route("late", TWO, ONE, Stage.CANARY, 1.0, "s")
    gateway = answerer(route, late(lane), arm(TWO, constant(0.25)))
    with listening(gateway, http) as port:
        found = Line(port).ask(BODY)
        assert (found.status, found.json["parameters"]["version"]) == (200, "delay:2")
        found = Line(port).ask(BODY, "/v2/models/late/versions/1/infer")
        assert (found.status, "could not answer" in found.json["error"]) == (500, True)
    log = gateway.desk.log
    assert isinstance(log, Frames)
    records = [decoded(frame) for frame in log.frames]
    assert [(one["k"], one["err"]) for one in records] == [("a", "delay:1 hangs"), ("f", "delay:1 hangs")]


def test_slow_callers_are_given_up(http: str, gateway: Answerer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(watching, "PATIENCE", dict.fromkeys(Phase, 0.2))
    watch = Watch()
    with listening(gateway, http, watch) as port:
        silent, head, body, idle = (Line(port) for _ in range(4))
        whole = head.request(BODY)
        assert idle.ask(BODY).status == 200
        head.send(whole[:20])
        body.send(whole[:-3])
        assert body.read().status == 408
        assert head.read().status == 408
        assert all(one.closed for one in (silent, head, body, idle))
        assert silent.held == b""
        assert watch.held == 0
        assert Line(port).ask(BODY).status == 200


def test_too_many_connections_make_room(http: str, gateway: Answerer) -> None:
    with listening(gateway, http, Watch(most=20)) as port:
        slow = [Line(port) for _ in range(60)]
        line = Line(port)
        assert line.ask(BODY).status == 200
        assert sum(_is_open(one.socket) for one in slow) <= 20


def test_half_sent_bodies_share_one_budget(http: str, gateway: Answerer) -> None:
    watch = Watch(bodies=60_000)
    with listening(gateway, http, watch) as port:
        slow = [Line(port) for _ in range(8)]
        whole = slow[0].request(b"x" * 19_000)
        for one in slow:
            one.send(whole[:-1000])
            time.sleep(0.03)
        assert Line(port).ask(BODY).status == 200
        assert 0 < watch.held <= 60_000
        assert watch.closed > 0


def test_a_caller_who_does_not_read(http: str, gateway: Answerer) -> None:
    with listening(gateway, http) as port:
        greedy = Line(port)
        greedy.socket.setblocking(False)
        one = greedy.request({"inputs": inputs(40)})
        whole, sent = one * 20, 0
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            try:
                sent += greedy.socket.send(whole[sent % len(one) :])
            except BlockingIOError:
                time.sleep(0.01)
        assert Line(port).ask(BODY).status == 200
        before = -1
        while gateway.live.answered > before:  # what had come goes on being answered; nothing more is read
            before = gateway.live.answered
            time.sleep(0.5)
        assert sent < 60_000_000
        greedy.close()
        time.sleep(0.1)


def _is_open(one: socket.socket) -> bool:
    one.setblocking(False)
    try:
        return one.recv(1) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False
