"""Every mistake of a caller is a 4xx that says what was expected; what is right reaches the model as it was sent."""

from __future__ import annotations

import gzip
import json
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_parts import INPUTS, ONE, TWO, Made, answerer, arm, ask, constant, inputs, logged, tensor, told
from modelloop.deploy.gateway.answer import Answerer
from modelloop.deploy.records import Route, Stage
from modelloop.prepare.records import Datatype, InputColumn

ROUTE = Route("late", ONE, max_rows=5, max_body=5000)


@pytest.fixture
def scorer() -> Made:
    return constant(0.25)


@pytest.fixture
def gateway(scorer: Made) -> Answerer:
    return answerer(ROUTE, arm(ONE, scorer))


def replaced(name: str, **change: Any) -> dict[str, Any]:
    return {"inputs": [one | change if one["name"] == name else one for one in inputs()]}


def test_a_right_request_is_answered(gateway: Answerer, scorer: Made) -> None:
    body = {"id": "mine", "inputs": inputs(2), "parameters": {"event_time": "2013-03-01T05:15:00Z"}}
    response = ask(gateway, body)
    found = told(response)
    prediction = found["parameters"]["prediction_id"]
    assert response.status == 200
    assert found["outputs"] == [{"name": "score", "datatype": "FP32", "shape": [2], "data": [0.25, 0.25]}]
    assert (found["id"], found["model_name"], found["model_version"]) == ("mine", "late", "1")
    assert found["parameters"]["version"] == "delay:1"
    assert (b"modelloop-prediction-id", prediction.encode()) in response.headers
    columns = scorer.asked[0]
    assert {name: values.dtype.kind for name, values in columns.items()} == {
        "delay": "f",
        "distance": "i",
        "carrier": "O",
        "night": "b",
    }
    record = logged(response)
    assert record["k"] == "a"
    assert (record["id"], record["cid"], record["ep"], record["gen"]) == (prediction, "mine", "late", 7)
    assert (record["arm"], record["v"], record["s"]) == ("champion", "delay:1", [0.25, 0.25])
    assert record["et"] == 1_362_114_900_000_000
    assert record["x"] == {"delay": [1.5, 1.5], "distance": [100, 100], "carrier": ["AA", "AA"], "night": [True, True]}


def test_without_an_id_ours_is_the_id_and_now_the_event_time(gateway: Answerer) -> None:
    response = ask(gateway, {"inputs": inputs()})
    assert told(response)["id"] == told(response)["parameters"]["prediction_id"]
    assert logged(response)["et"] == logged(response)["at"]


@pytest.mark.parametrize(
    ("change", "found", "logs"),
    [
        ({"data": [None]}, [np.nan], [None]),
        ({"data": [3], "datatype": "INT8"}, [3.0], [3.0]),
        ({"data": [3], "datatype": "FP32"}, [3.0], [3.0]),
        ({"data": [[2.5]], "shape": [1, 1]}, [2.5], [2.5]),
        ({"data": [2.5], "shape": [1, 1]}, [2.5], [2.5]),
        ({"data": [2**53], "datatype": "INT64"}, [2.0**53], [2.0**53]),
    ],
)
def test_values_come_through_exactly(
    gateway: Answerer, scorer: Made, change: dict[str, Any], found: list[float], logs: list[Any]
) -> None:
    response = ask(gateway, replaced("delay", **change))
    assert response.status == 200
    np.testing.assert_array_equal(scorer.asked[0]["delay"], found)
    assert logged(response)["x"]["delay"] == logs


def test_whole_floats_are_taken_for_whole_columns(gateway: Answerer, scorer: Made) -> None:
    response = ask(gateway, replaced("distance", datatype="FP64", data=[12.0]))
    assert scorer.asked[0]["distance"].tolist() == [12]
    assert logged(response)["x"]["distance"] == [12]


Wrong = tuple[Any, str]
WRONG: list[Wrong] = [
    (b"", "not JSON"),
    (b"\xff\xfe", "not JSON"),
    (b'{"inputs": [NaN]}', "not JSON"),
    ([1], "a list, not an object"),
    (None, "null, not an object"),
    ({}, "`inputs` is missing. Expected a list of tensors: delay FP64 or null, distance INT64"),
    ({"inputs": []}, "an empty list"),
    ({"inputs": {"a": 1}}, "an object"),
    ({"inputs": ["x"]}, "inputs[0] is a string"),
    ({"inputs": [{}]}, "no name"),
    ({"inputs": inputs()[:2]}, "missing: carrier, night"),
    ({"inputs": [*inputs(), tensor("delai", "FP64", [1.0])]}, "Did you mean 'delay'? Expected: delay FP64 or null"),
    ({"inputs": [*inputs(), inputs()[0]]}, "twice"),
    ({"inputs": [*inputs()[:3], tensor("night", "BOOL", [True, False])]}, "has 2 rows, the inputs before it have 1"),
    ({"inputs": inputs(6)}, "at most 5"),
    ({"inputs": inputs(), "parameters": [1]}, "`parameters`"),
    ({"inputs": inputs(), "parameters": {"event_time": "yesterday"}}, "ISO 8601"),
    ({"inputs": inputs(), "parameters": {"event_time": 5}}, "ISO 8601"),
    ({"inputs": inputs(), "parameters": {"event_time": "0001-01-01T00:00:00+23:00"}}, "ISO 8601"),
    ({"inputs": inputs(), "outputs": [{"name": "other"}]}, "The only output is 'score'"),
    ({"inputs": inputs(), "outputs": 7}, "`outputs`"),
    ({"inputs": inputs(), "id": 7}, "`id`"),
    ({"inputs": inputs(), "id": "x" * 1000}, "`id`"),
    (replaced("delay", datatype="BYTES", data=["1"]), "sent as BYTES"),
    (replaced("delay", datatype="FP16"), "sent as FP16 in JSON"),
    (replaced("delay", datatype=["FP64"]), "datatype"),
    (replaced("delay", data=["1"]), '"1" at position 0'),
    (replaced("delay", data=[True]), "true at position 0"),
    (replaced("delay", data=[[1.0]]), "[1.0] at position 0"),
    (replaced("delay", data=[]), "0 values and the shape [1]"),
    (replaced("delay", data=5), "no list of data"),
    (replaced("delay", shape=[2]), "1 values and the shape [2]"),
    (replaced("delay", shape=[1, 2]), "the shape [1, 2]"),
    (replaced("delay", shape=[0], data=[]), "at least one row"),
    (replaced("delay", shape=[True]), "the shape [True]"),
    (replaced("delay", shape=[1, 1], data=[[1.0, 2.0]]), "nested data"),
    (replaced("delay", datatype="FP32", data=[1e39]), "FP32"),
    (replaced("delay", datatype="INT64", data=[2**53 + 1]), "2^53"),
    (replaced("delay", parameters={"binary_data_size": 8}), "header Inference-Header-Content-Length is missing"),
    (replaced("distance", data=[None]), "no null"),
    (replaced("distance", data=[1.5]), "1.5 at position 0"),
    (replaced("distance", datatype="FP64", data=[1.5]), "whole numbers"),
    (replaced("distance", datatype="INT8", data=[200]), "INT8"),
    (replaced("distance", datatype="UINT64", data=[2**63]), "within INT64"),
    (replaced("distance", datatype="FP64", data=[1e300]), "within INT64"),
    (replaced("carrier", data=[5]), "5 at position 0"),
    (replaced("carrier", data=[None]), "no null"),
    (replaced("night", data=[1]), "BOOL"),
    (replaced("night", datatype="INT8", data=[1]), "Expected BOOL"),
]


@pytest.mark.parametrize(("body", "said"), WRONG, ids=[said for _, said in WRONG])
def test_a_callers_mistake_says_what_was_expected(gateway: Answerer, body: Any, said: str) -> None:
    response = ask(gateway, body)
    assert response.status == 400
    assert said in told(response)["error"]
    assert response.record is None


@pytest.mark.parametrize(
    ("method", "path", "status", "said"),
    [
        ("POST", "/v2/models/lat/infer", 404, "Did you mean 'late'?"),
        ("POST", "/v2/models/late/versions/9/infer", 404, "Loaded: 1"),
        ("POST", "/v2/models/late/infre", 404, "/v2/models/late/infer"),
        ("POST", "/v2/models/late/versions", 404, "Did you mean '/v2/models/late/infer'?"),
        ("GET", "/v2/models/late/stat", 404, "Did you mean '/v2/models/late/stats'?"),
        ("GET", "/", 404, "POST /v2/models/ENDPOINT/infer"),
        ("GET", "/v2/models/late/infer", 405, "Use POST"),
        ("DELETE", "/v2/models/late", 405, "Use GET"),
        ("POST", "/v2/health/live", 405, "Use GET"),
    ],
)
def test_paths_and_methods(gateway: Answerer, method: str, path: str, status: int, said: str) -> None:
    response = ask(gateway, b"{}", path, method=method)
    assert response.status == status
    assert said in told(response)["error"]


def test_metadata_and_health(gateway: Answerer) -> None:
    def get(path: str) -> dict[str, Any]:
        return told(ask(gateway, b"", path, method="GET"))

    assert get("/v2/")["name"] == "modelloop"
    assert get("/v2/health/live") == {"live": True}
    assert get("/v2/health/ready") == {"ready": True, "generation": 7, "log": "ok"}
    assert get("/v2/models/late/versions/1/ready") == {"name": "late", "ready": True}
    found = get("/v2/models/late")
    assert (found["versions"], found["platform"]) == (["1"], "onnx_onnxv1")
    assert found["inputs"][0] == {"name": "delay", "datatype": "FP64", "shape": [-1]}
    assert found["outputs"] == [{"name": "score", "datatype": "FP32", "shape": [-1]}]


def test_gzip_is_taken_and_bounded(gateway: Answerer) -> None:
    body = orjson.dumps({"inputs": inputs()})
    packed = {b"content-encoding": b"gzip"}
    assert ask(gateway, gzip.compress(body), headers=packed).status == 200
    assert ask(gateway, gzip.compress(b" " * 5001), headers=packed).status == 413
    assert ask(gateway, gzip.compress(body)[:-9], headers=packed).status == 400
    assert ask(gateway, gzip.compress(body) + b"x", headers=packed).status == 400
    assert ask(gateway, body, headers=packed).status == 400
    assert ask(gateway, body, headers={b"content-encoding": b"br"}).status == 400


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
PATCH = st.fixed_dictionaries(
    {},
    optional={key: JSON for key in ("name", "datatype", "shape", "data", "parameters")},  # noqa: C420
)


@st.composite
def near_requests(draw: st.DrawFn) -> bytes:
    """Draw a right request with some parts replaced by anything."""
    tensors: list[Any] = [one | draw(PATCH) if draw(st.booleans()) else one for one in inputs()]
    body = {"inputs": tensors} | draw(
        st.fixed_dictionaries({}, optional={"id": JSON, "parameters": JSON, "outputs": JSON, "inputs": JSON})
    )
    return json.dumps(body).encode()


def both(route: Route) -> Answerer:
    extra = (*INPUTS, InputColumn("extra", Datatype.FP64))
    return answerer(route, arm(ONE, constant(0.1)), arm(TWO, constant(0.2), extra))


FUZZED = (
    both(Route("late", ONE, TWO, max_rows=5)),
    both(Route("late", ONE, TWO, Stage.CANARY, 1.0, "s", "key", max_rows=5)),
    both(Route("late", ONE, TWO, Stage.SHADOW, 1.0, "s", "delay", max_rows=5)),
)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60) | near_requests(), st.sampled_from(FUZZED), st.sampled_from([b"", b"gzip"]))
def test_no_bytes_are_our_fault(body: bytes, gateway: Answerer, encoding: bytes) -> None:
    response = ask(gateway, body, headers={b"content-encoding": encoding})
    assert response.status in (200, 400, 413)
    assert response.status == 200 or "error" in told(response)


@given(st.text(max_size=60), st.sampled_from(["GET", "POST", "PUT"]))
def test_no_path_is_our_fault(path: str, method: str) -> None:
    for full in (path, f"/v2/models/{path}", f"/v2/models/late/{path}", f"/v2/models/late/versions/{path}/infer"):
        assert ask(FUZZED[0], b"{}", full, method=method).status in (200, 400, 404, 405)
