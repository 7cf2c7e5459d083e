"""The Open Inference Protocol over real HTTP, on both paths through the server: 29 checks of other servers, and more.

Other servers at these checks: Triton answers 500 to bad JSON and to a shape that does not fit; MLServer and KServe have
empty metadata, answer with bodies that are not `{"error": ...}`, and 500 to a wrong number of features.
"""

from __future__ import annotations

import gzip
import json
import socket
import struct
import zlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from gateway_process import Place, gateway, request, wait_ready
from modelloop.deploy.records import Arm, Route
from packages import make_candidate, put_package

MODEL = "/v2/models/late"
INFER = f"{MODEL}/infer"


@pytest.fixture(scope="module", params=["hot", "asgi"])
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("conformance")
    place = Place(folder, (folder / "blobs").as_uri())
    first = Arm("delay:1", put_package(place.blobs, make_candidate()))
    second = Arm("delay:2", put_package(place.blobs, make_candidate((0.1, -0.01, 0.2))))
    place.publish(1, Route("late", first, standby=(second,), max_rows=100))
    with (
        gateway(place, "--http", request.param) as process,
        httpx.Client(base_url=process.address, timeout=10) as found,
    ):
        wait_ready(found)
        yield found


def refused(response: httpx.Response, status: int = 400) -> str:
    assert response.status_code == status, response.text
    said = response.json()["error"]
    assert isinstance(said, str)
    assert said
    return said


def scores(response: httpx.Response) -> list[float]:
    assert response.status_code == 200, response.text
    found = response.json()["outputs"][0]["data"]
    assert isinstance(found, list)
    return found


def binary(body: dict[str, Any], *raws: bytes) -> tuple[bytes, dict[str, str]]:
    head = json.dumps(body).encode()
    return b"".join([head, *raws]), {"Inference-Header-Content-Length": str(len(head))}


def raw_request(rows: int = 2, **more: Any) -> tuple[bytes, dict[str, str]]:
    delay, distance = struct.pack(f"<{rows}d", *[12.5] * rows), struct.pack(f"<{rows}q", *[300] * rows)
    carrier = (struct.pack("<I", 2) + b"UA") * rows
    tensors = [("delay", "FP64", delay), ("distance", "INT64", distance), ("carrier", "BYTES", carrier)]
    inputs = [
        {"name": name, "datatype": kind, "shape": [rows], "parameters": {"binary_data_size": len(raw)}}
        for name, kind, raw in tensors
    ]
    return binary({"inputs": inputs} | more, delay, distance, carrier)


# what the server says of itself


@pytest.mark.parametrize("path", ["/v2", "/v2/"])
def test_server_metadata(client: httpx.Client, path: str) -> None:
    found = client.get(path).json()
    assert found["name"] == "modelloop"
    assert {"name", "version", "extensions"} <= found.keys()


@pytest.mark.parametrize("path", ["/v2/health/live", "/v2/health/ready", f"{MODEL}/ready", f"{MODEL}/versions/2/ready"])
def test_health(client: httpx.Client, path: str) -> None:
    for form in (path, path + "/"):
        assert client.get(form).status_code == 200


def test_model_metadata_is_real(client: httpx.Client) -> None:
    found = client.get(MODEL).json()
    assert (found["name"], found["versions"], found["platform"]) == ("late", ["1", "2"], "onnx_onnxv1")
    assert [(t["name"], t["datatype"], t["shape"]) for t in found["inputs"]] == [
        ("delay", "FP64", [-1]),
        ("distance", "INT64", [-1]),
        ("carrier", "BYTES", [-1]),
    ]
    assert found["outputs"][0]["datatype"] == "FP32"


def test_config_stats_and_index(client: httpx.Client) -> None:
    assert client.get(f"{MODEL}/config").json()["name"] == "late"
    assert client.get(f"{MODEL}/versions/1/stats").json()["model_stats"][0]["version"] == "1"
    assert len(client.get("/v2/models/stats").json()["model_stats"]) == 2
    assert [entry["state"] for entry in client.post("/v2/repository/index").json()] == ["READY", "READY"]
    refused(client.post("/v2/repository/models/late/load", json={}), 409)


def test_heads_have_no_body(client: httpx.Client) -> None:
    for path in ("/v2/health/live", MODEL, "/metrics"):
        response = client.head(path)
        assert (response.status_code, response.content) == (200, b"")
        assert int(response.headers["content-length"]) > 0
    assert client.get("/v2/health/live").status_code == 200


# inference in JSON


def test_infer(client: httpx.Client) -> None:
    response = client.post(INFER, json=request(2) | {"id": "mine"})
    found = response.json()
    assert (found["model_name"], found["model_version"], found["id"]) == ("late", "1", "mine")
    assert found["outputs"][0] | {"data": None} == {"name": "score", "datatype": "FP32", "shape": [2], "data": None}
    assert found["parameters"]["prediction_id"] == response.headers["modelloop-prediction-id"]


def test_versioned_paths(client: httpx.Client) -> None:
    one, two = (scores(client.post(f"{MODEL}/versions/{n}/infer", json=request())) for n in (1, 2))
    assert one == scores(client.post(INFER, json=request()))
    assert one != two


def test_nested_data(client: httpx.Client) -> None:
    body = request(2)
    for tensor in body["inputs"]:
        tensor["shape"], tensor["data"] = [2, 1], [[value] for value in tensor["data"]]
    assert scores(client.post(INFER, json=body)) == scores(client.post(INFER, json=request(2)))


def test_a_named_output(client: httpx.Client) -> None:
    body = request() | {"outputs": [{"name": "score"}]}
    assert scores(client.post(INFER, json=body)) == scores(client.post(INFER, json=request()))
    assert "score" in refused(client.post(INFER, json=request() | {"outputs": [{"name": "scor"}]}))


@pytest.mark.parametrize(
    "kind", [None, "application/json", "text/plain", "application/x-www-form-urlencoded", "nonsense"]
)
def test_no_content_type_is_assumed(client: httpx.Client, kind: str | None) -> None:
    headers = {} if kind is None else {"content-type": kind}
    assert scores(client.post(INFER, content=json.dumps(request()).encode(), headers=headers))


def test_compressed_requests(client: httpx.Client) -> None:
    body = json.dumps(request()).encode()
    for name, packed in (("gzip", gzip.compress(body)), ("deflate", zlib.compress(body))):
        assert scores(client.post(INFER, content=packed, headers={"content-encoding": name}))
    refused(client.post(INFER, content=gzip.compress(body)[:-5], headers={"content-encoding": "gzip"}))
    refused(client.post(INFER, content=body, headers={"content-encoding": "gzip"}))
    refused(client.post(INFER, content=body, headers={"content-encoding": "br"}))


def test_a_bomb_is_not_unpacked(client: httpx.Client) -> None:
    bomb = gzip.compress(b" " * 100_000_000)
    refused(client.post(INFER, content=bomb, headers={"content-encoding": "gzip"}), 413)


def test_compressed_answers(client: httpx.Client) -> None:
    for name in ("gzip", "deflate"):
        response = client.post(INFER, json=request(100), headers={"accept-encoding": name})
        assert response.headers["content-encoding"] == name
        assert len(scores(response)) == 100
    plain = client.post(INFER, json=request(100), headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers


# the binary extension


def test_binary_in_and_json_out(client: httpx.Client) -> None:
    content, headers = raw_request()
    response = client.post(INFER, content=content, headers=headers)
    assert scores(response) == scores(client.post(INFER, json=request(2)))


def test_binary_both_ways(client: httpx.Client) -> None:
    content, headers = raw_request(3, parameters={"binary_data_output": True})
    response = client.post(INFER, content=content, headers=headers)
    head = int(response.headers["inference-header-content-length"])
    (output,) = json.loads(response.content[:head])["outputs"]
    assert output["parameters"] == {"binary_data_size": 12}
    values = struct.unpack("<3f", response.content[head:])
    assert values == pytest.approx(scores(client.post(INFER, json=request(3))))
    assert response.headers["content-type"] == "application/octet-stream"


def test_json_in_and_binary_out(client: httpx.Client) -> None:
    for more in (
        {"parameters": {"binary_data_output": True}},
        {"outputs": [{"name": "score", "parameters": {"binary_data": True}}]},
    ):
        response = client.post(INFER, json=request() | more)
        assert len(response.content) - int(response.headers["inference-header-content-length"]) == 4
    plain = {"parameters": {"binary_data_output": True}}
    named = {"outputs": [{"name": "score", "parameters": {"binary_data": False}}]}
    assert scores(client.post(INFER, json=request() | plain | named))


def test_binary_and_compressed(client: httpx.Client) -> None:
    content, headers = raw_request()
    packed = headers | {"content-encoding": "gzip"}
    assert len(scores(client.post(INFER, content=gzip.compress(content), headers=packed))) == 2


@pytest.mark.parametrize("head", ["-1", "x", "99999999", "1e3", "", "+5", "0", "3", "9" * 400])
def test_a_head_length_that_lies(client: httpx.Client, head: str) -> None:
    content, _ = raw_request()
    refused(client.post(INFER, content=content, headers={"Inference-Header-Content-Length": head}))


def test_raw_bytes_that_lie(client: httpx.Client) -> None:
    content, headers = raw_request()
    refused(client.post(INFER, content=content[:-1], headers=headers))
    refused(client.post(INFER, content=content + b"x", headers=headers))
    refused(client.post(INFER, content=content))
    for size in (-1, 15, 17, 2**70, "16", 16.0, None, True):
        inputs = json.loads(content[: int(headers["Inference-Header-Content-Length"])])["inputs"]
        inputs[0]["parameters"]["binary_data_size"] = size
        raws = content[int(headers["Inference-Header-Content-Length"]) :]
        body, lying = binary({"inputs": inputs}, raws)
        refused(client.post(INFER, content=body, headers=lying))


def test_classification(client: httpx.Client) -> None:
    wanted = {"outputs": [{"name": "score", "parameters": {"classification": 1}}]}
    (output,) = client.post(INFER, json=request() | wanted).json()["outputs"]
    assert output["datatype"] == "BYTES"
    assert output["data"][0].endswith(":0")
    for wrong in (-1, "1", 1.5):
        wanted["outputs"][0]["parameters"] = {"classification": wrong}
        refused(client.post(INFER, json=request() | wanted))


# mistakes


def test_unknown_model_and_version(client: httpx.Client) -> None:
    assert "'late'" in refused(client.post("/v2/models/lat/infer", json=request()), 404)
    assert "1, 2" in refused(client.post(f"{MODEL}/versions/9/infer", json=request()), 404)
    refused(client.get("/v2/models/lat"), 404)
    refused(client.get("/nowhere"), 404)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'"x"', b"{}", b'{"inputs": 3}', b'{"inputs": []}', b"\xff"]
)
def test_bodies_that_are_no_request(client: httpx.Client, body: bytes) -> None:
    refused(client.post(INFER, content=body))


@pytest.mark.parametrize("depth", [100, 300, 900, 5000, 400_000])
def test_deep_nesting(client: httpx.Client, depth: int) -> None:
    deep = b"[" * depth + b"1" + b"]" * depth
    for text in (deep, b'{"inputs": %b}' % deep, b'{"id": %b, "inputs": [{}]}' % deep):
        refused(client.post(INFER, content=text))
    for name in ("shape", "data", "datatype", "name", "parameters"):
        tensor = {"name": "delay", "datatype": "FP64", "shape": [1], "data": [1.0], name: "DEEP"}
        for nested in (deep, b"[%b]" % deep):
            body = json.dumps({"inputs": [tensor]}).encode().replace(b'"DEEP"', nested)
            refused(client.post(INFER, content=body))


@pytest.mark.parametrize(
    "change",
    [
        {"shape": [2]},
        {"shape": [1, 2]},
        {"shape": []},
        {"shape": [0]},
        {"shape": [-1]},
        {"shape": ["1"]},
        {"shape": [10**30]},
        {"shape": None},
        {"data": []},
        {"data": [1.0, 2.0]},
        {"data": [[1.0, 2.0]]},
        {"data": ["1"]},
        {"data": [{}]},
        {"data": None},
        {"data": "x"},
        {"datatype": "FP63"},
        {"datatype": "BYTES"},
        {"datatype": 3},
        {"name": "dlay"},
        {"name": 3},
        {"parameters": []},
    ],
)
def test_tensors_that_are_wrong(client: httpx.Client, change: dict[str, Any]) -> None:
    body = request()
    body["inputs"][0] |= change
    refused(client.post(INFER, json=body))


def test_a_missing_input_and_one_too_many(client: httpx.Client) -> None:
    body = request()
    assert "distance" in refused(client.post(INFER, json={"inputs": body["inputs"][:1]}))
    refused(client.post(INFER, json={"inputs": body["inputs"] + body["inputs"][:1]}))
    refused(client.post(INFER, json=request(101)))


def test_wrong_methods(client: httpx.Client) -> None:
    for method, path, allowed in (("GET", INFER, "POST"), ("DELETE", MODEL, "GET, HEAD"), ("PUT", INFER, "POST")):
        response = client.request(method, path)
        refused(response, 405)
        assert response.headers["allow"] == allowed


def test_a_body_beyond_the_limit(client: httpx.Client) -> None:
    refused(client.post(INFER, content=b" " * 1_000_001), 413)
    refused(client.post("/predict/late", content=b" " * 1_000_001), 413)


# bytes on the wire


def exchange(client: httpx.Client, *parts: bytes, finish: bool = True) -> bytes:
    """Send bytes, and return all that comes back until the server closes or nothing more comes."""
    place = urlsplit(str(client.base_url))
    with socket.create_connection((place.hostname or "", place.port or 0), timeout=5) as wire:
        for part in parts:
            wire.sendall(part)
        if finish:
            wire.shutdown(socket.SHUT_WR)
        found = b""
        wire.settimeout(3)
        try:
            while part := wire.recv(65536):
                found += part
        except TimeoutError:
            pass
        return found


def head(client: httpx.Client, first: str, *more: str) -> bytes:
    place = urlsplit(str(client.base_url))
    return "\r\n".join([first, f"host: {place.netloc}", *more, "", ""]).encode("latin-1")


def test_a_body_that_ends_before_its_length(client: httpx.Client) -> None:
    found = exchange(client, head(client, f"POST {INFER} HTTP/1.1", "content-length: 5000"), b'{"inputs"')
    assert not found.startswith(b"HTTP/1.1 5")
    assert client.get("/v2/health/live").status_code == 200


def test_two_requests_on_one_wire_are_answered_in_order(client: httpx.Client) -> None:
    body = json.dumps(request() | {"id": "first"}).encode()
    one = head(client, f"POST {INFER} HTTP/1.1", f"content-length: {len(body)}") + body
    two = head(client, "GET /v2/health/live HTTP/1.1", "connection: close")
    found = exchange(client, one + two, finish=False)
    assert found.count(b"HTTP/1.1 200") == 2
    assert found.index(b'"first"') < found.index(b'"live"')


def test_a_body_in_chunks(client: httpx.Client) -> None:
    body = json.dumps(request() | {"id": "pieces"}).encode()
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:7], body[7:])) + b"0\r\n\r\n"
    first = head(client, f"POST {INFER} HTTP/1.1", "transfer-encoding: chunked", "connection: close")
    assert b'"pieces"' in exchange(client, first, chunks, finish=False)


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /v2/models/late/infer HTTP/1.1\r\ncontent-length: -5\r\n\r\n",
        b"POST /v2/models/late/infer HTTP/1.1\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n12345",
        b"POST /v2/models/late/infer HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_no_http_is_refused(client: httpx.Client, sent: bytes) -> None:
    found = exchange(client, sent)
    assert found.startswith(b"HTTP/1.1 400 ")
    assert b'{"error":' in found
    assert client.get("/v2/health/live").status_code == 200


def test_a_foreign_page_may_not_ask(client: httpx.Client) -> None:
    for path in ("/v2", "/metrics", "/predict/late", "/openapi.json"):
        refused(client.get(path, headers={"origin": "http://evil.example"}), 403)
        refused(client.get(path, headers={"host": "evil.example"}), 403)
    refused(client.post(INFER, json=request(), headers={"host": "evil.example"}), 403)


# the other faces


def test_the_same_answer_on_every_face(client: httpx.Client) -> None:
    (score,) = scores(client.post(INFER, json=request()))
    row = {"delay": 12.5, "distance": 300, "carrier": "UA"}
    assert client.post("/predict/late", json=row).json()["prediction"] == pytest.approx(score, abs=1e-6)
    for path in ("/invocations", "/invocations/late"):
        found = client.post(path, json={"dataframe_records": [row]}).json()["predictions"]
        assert found == [pytest.approx(score, abs=1e-6)]
    text = b"carrier,delay,distance\nUA,12.5,300\n"
    found = client.post("/invocations", content=text, headers={"content-type": "text/csv"}).json()["predictions"]
    assert found == [pytest.approx(score, abs=1e-6)]
    assert client.get("/ping").status_code == 200


def test_metrics_say_how_busy_it_is(client: httpx.Client) -> None:
    text = client.get("/metrics").text
    for name in ("requests_total", "inflight", "capacity_used_ratio", "request_duration_seconds_bucket"):
        assert f"modelloop_gateway_{name}" in text
    assert client.get("/docs").headers["content-type"].startswith("text/html")
