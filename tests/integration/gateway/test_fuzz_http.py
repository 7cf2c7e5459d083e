"""Whatever is sent, the gateway answers 2xx or 4xx with `{"error": ...}`; never a 5xx, never silence.

Schemathesis asks everything that `/openapi.json` describes, right and wrong; Hypothesis sends bytes, JSON and raw
tensors that nobody described.
"""

from __future__ import annotations

import gzip
import json
import os
import socket
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from gateway_process import Place, gateway, request, wait_ready
from modelloop.deploy.records import Arm, Route
from packages import make_candidate, put_package

INFER = "/v2/models/late/infer"
EXAMPLES = int(os.environ.get("MODELLOOP_FUZZ", "60"))
CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)
FUZZ = settings(
    max_examples=EXAMPLES * 5,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
    database=None,
)


@pytest.fixture(scope="module", params=["hot", "asgi"])
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("fuzz")
    place = Place(folder, (folder / "blobs").as_uri())
    first = Arm("delay:1", put_package(place.blobs, make_candidate()))
    place.publish(1, Route("late", first, max_body=200_000))
    with (
        gateway(place, "--http", request.param) as process,
        httpx.Client(base_url=process.address, timeout=10) as found,
    ):
        wait_ready(found)
        yield found
        assert process.process.poll() is None, "it is still there"


def judge(response: httpx.Response) -> None:
    assert response.status_code < 500, response.text
    if response.status_code >= 400:
        assert isinstance(response.json()["error"], str)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value)
def test_everything_that_is_described(client: httpx.Client, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
    address = str(client.base_url)
    asked = 0
    for found in schema.get_all_operations():
        operation: Any = found.ok()  # type: ignore[union-attr]
        if mode is GenerationMode.NEGATIVE and not operation.body:
            continue

        @settings(FUZZ, max_examples=EXAMPLES)
        @given(case=operation.as_strategy(generation_mode=mode))
        def one(case: Any) -> None:
            nonlocal asked
            asked += 1
            case.call_and_validate(base_url=address, checks=CHECKS, session=None)

        one()
    assert asked > EXAMPLES


def in_some_year(moment: str | None) -> bool:
    """A schema cannot say it: the first minutes of year 1 east of Greenwich belong to no year in UTC."""
    if moment is None:
        return True
    try:
        return bool(datetime.fromisoformat(moment).astimezone(UTC))
    except OverflowError:
        return False


def test_a_right_row_is_always_answered(client: httpx.Client) -> None:
    schema = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
    operation = schema["/predict/late"]["POST"]

    @settings(FUZZ, max_examples=EXAMPLES)
    @given(case=operation.as_strategy(generation_mode=GenerationMode.POSITIVE))
    def one(case: Any) -> None:
        response = case.call(base_url=str(client.base_url))
        rows = case.body.get("rows", [1]) if isinstance(case.body, dict) else [1]
        columns = case.body.get("columns", {}) if isinstance(case.body, dict) else {}
        even = len({len(values) for values in columns.values()}) <= 1
        right = rows and even and in_some_year(case.body.get("event_time"))
        assert response.status_code == (200 if right else 400), response.text

    one()


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
EDGES = st.sampled_from(
    [0, -1, 2**31, 2**53 + 1, 2**63, 2**64, 10**40, 1e308, 1e400, -0.0, float("nan"), float("inf"), "", "\0", "\ud800"]
)


@st.composite
def requests(draw: st.DrawFn) -> Any:
    """A right request in which a few things are something else."""
    body: Any = request(draw(st.integers(1, 3)))
    for _ in range(draw(st.integers(0, 3))):
        holder = draw(
            st.sampled_from([body, body["inputs"], *body["inputs"]] if isinstance(body["inputs"], list) else [body])
        )
        value = draw(ANY | EDGES)
        if isinstance(holder, list):
            holder[draw(st.integers(0, len(holder) - 1))] = value
            break
        keys = (
            ["inputs", "outputs", "parameters", "id"]
            if holder is body
            else ["name", "datatype", "shape", "data", "parameters"]
        )
        holder[draw(st.sampled_from(keys))] = value
        if holder is body:
            break
    return body


@FUZZ
@given(body=requests())
def test_json_with_something_else_in_it(client: httpx.Client, body: Any) -> None:
    judge(client.post(INFER, content=json.dumps(body).encode("utf-8", "surrogatepass")))


@FUZZ
@given(
    body=st.binary(max_size=200), path=st.sampled_from([INFER, "/predict/late", "/invocations", "/v2/repository/index"])
)
def test_bytes(client: httpx.Client, body: bytes, path: str) -> None:
    judge(client.post(path, content=body))
    judge(client.post(path, content=body, headers={"content-encoding": "gzip"}))
    judge(client.post(path, content=gzip.compress(body), headers={"content-encoding": "gzip"}))
    judge(client.post(path, content=body, headers={"content-type": "text/csv"}))


@FUZZ
@given(
    sizes=st.lists(st.integers(-1, 40) | st.integers(), min_size=3, max_size=3),
    shape=st.lists(st.integers(-1, 4) | st.integers(), max_size=3),
    raw=st.binary(max_size=60),
    cut=st.integers(-8, 8),
    kinds=st.lists(
        st.sampled_from(["FP64", "INT64", "BYTES", "BOOL", "FP16", "UINT8", "BF16"]), min_size=3, max_size=3
    ),
)
def test_raw_tensors(
    client: httpx.Client, sizes: list[int], shape: list[int], raw: bytes, cut: int, kinds: list[str]
) -> None:
    inputs = [
        {"name": name, "datatype": kind, "shape": shape, "parameters": {"binary_data_size": size}}
        for name, kind, size in zip(("delay", "distance", "carrier"), kinds, sizes, strict=True)
    ]
    head = json.dumps({"inputs": inputs}).encode()
    judge(client.post(INFER, content=head + raw, headers={"inference-header-content-length": str(len(head) + cut)}))


@FUZZ
@given(
    counts=st.lists(st.integers(0, 2**32 - 1) | st.integers(0, 6), min_size=1, max_size=4), tail=st.binary(max_size=8)
)
def test_texts_whose_lengths_lie(client: httpx.Client, counts: list[int], tail: bytes) -> None:
    raw = b"".join(struct.pack("<I", count) + b"x" * min(count, 6) for count in counts) + tail
    body = request(len(counts))
    del body["inputs"][2]["data"]
    body["inputs"][2]["parameters"] = {"binary_data_size": len(raw)}
    head = json.dumps(body).encode()
    judge(client.post(INFER, content=head + raw, headers={"inference-header-content-length": str(len(head))}))


@FUZZ
@given(path=st.text(max_size=40), method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]))
def test_paths(client: httpx.Client, path: str, method: str) -> None:
    try:
        url = httpx.URL(str(client.base_url)).copy_with(path="/" + path.replace("/", "%2f"))
    except (httpx.InvalidURL, UnicodeEncodeError):
        return
    judge(client.request(method, url))


@FUZZ
@given(
    data=st.binary(max_size=300),
    start=st.sampled_from(
        [b"", b"POST /v2/models/late/infer HTTP/1.1\r\nhost: HOST\r\n", b"GET /v2 HTTP/1.1\r\nhost: HOST\r\n"]
    ),
    length=st.sampled_from([b"", b"content-length: 10\r\n\r\n", b"transfer-encoding: chunked\r\n\r\n", b"\r\n"]),
)
def test_bytes_that_are_no_http(client: httpx.Client, data: bytes, start: bytes, length: bytes) -> None:
    place = urlsplit(str(client.base_url))
    with socket.create_connection((place.hostname or "", place.port or 0), timeout=5) as wire:
        wire.settimeout(5)
        found = b""
        try:
            wire.sendall(start.replace(b"HOST", place.netloc.encode()) + length + data)
            wire.shutdown(socket.SHUT_WR)
            while part := wire.recv(65536):
                found += part
        except ConnectionError:  # it hung up while we were still talking
            pass
    assert b"HTTP/1.1 5" not in found
    assert found[:9] in (b"", b"HTTP/1.1 ")
    assert client.get("/v2/health/live").status_code == 200
