"""Plain JSON for people."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_faces import LABELS, ROW, binary, matrix, multiclass, picture, refused, told, visit
from gateway_parts import ONE, Made, answerer, arm, constant
from modelloop.deploy.records import Lookup, Route
from modelloop.prepare.records import Datatype, InputColumn


def test_one_row() -> None:
    response = visit(binary(), "POST", "/predict/late", ROW)
    found = told(response)
    assert found["prediction"] == 0.75
    assert (found["version"], found["endpoint"]) == ("delay:1", "late")
    assert dict(response.headers)[b"modelloop-prediction-id"].decode() == found["prediction_id"]
    assert "id" not in found


@pytest.mark.parametrize(
    "body",
    [
        {"rows": [ROW, ROW]},
        [ROW, ROW],
        {"columns": {name: [value, value] for name, value in ROW.items()}},
        {"rows": [ROW, ROW], "id": "mine", "event_time": "2013-03-01T05:15:00Z"},
    ],
)
def test_several_rows(body: Any) -> None:
    found = told(visit(binary(), "POST", "/predict/late/", body))
    assert found["predictions"] == [0.75, 0.75]
    assert found.get("id") == ("mine" if "id" in body else None)


def test_values_reach_the_version_as_they_are() -> None:
    scorer = Made(lambda _: np.zeros(2))
    gateway = answerer(Route("late", ONE), arm(ONE, scorer))
    rows = [
        {"distance": 300.0, "carrier": "UA", "night": True},
        {"delay": 3, "distance": 1, "carrier": "", "night": False},
    ]
    assert visit(gateway, "POST", "/predict/late", {"rows": rows}).status == 200
    (columns,) = scorer.asked
    assert np.isnan(columns["delay"][0])
    assert columns["delay"][1] == 3.0
    assert columns["distance"].tolist() == [300, 1]
    assert columns["carrier"].tolist() == ["UA", ""]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"dlay": 1.0}, "Did you mean 'delay'?"),
        ({"distance": "300"}, "position 0"),
        ({"distance": None}, "null"),
        ({"distance": 300.5}, "whole numbers"),
        ({"carrier": 7}, "7"),
        ({"night": 1}, "night"),
        ({"delay": [1]}, "delay"),
        ({"delay": {"b64": "aGk="}}, "delay"),
        ({"delay": 10**400}, ""),
        ({"id": 7}, "id"),
        ({"id": "x" * 201}, "200"),
        ({"explain": "yes"}, "explain"),
        ({"event_time": "yesterday"}, "ISO 8601"),
        ({"event_time": 3}, "ISO 8601"),
    ],
)
def test_a_mistake_is_told_with_what_was_expected(change: dict[str, Any], said: str) -> None:
    body = b'{"delay": 1e999}' if change == {"delay": 10**400} else orjson.dumps(ROW | change)
    assert said in refused(visit(binary(), "POST", "/predict/late", body))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"3",
        b'"text"',
        b"[]",
        b"{}",
        b"[1]",
        b'{"rows": []}',
        b'{"rows": {}}',
        b'{"columns": []}',
        b'{"columns": {}}',
        b'{"columns": {"delay": []}}',
        b'{"columns": {"delay": 3}}',
        b'{"columns": {"delay": [1], "distance": [1, 2]}}',
        b'{"rows": [{}], "delay": 3}',
        b"\xff\xfe",
        b'{"delay": NaN}',
        b"[" * 100_000,
        b'{"delay": ' + b"[" * 500 + b"]" * 500 + b"}",
    ],
)
def test_what_is_no_request_is_refused(body: bytes) -> None:
    refused(visit(binary(), "POST", "/predict/late", body))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"rows": ROW}, "`rows` is an object. Expected a list of objects: delay"),
        ({"rows": None}, "`rows` is null. Expected a list of objects: delay"),
        ({"columns": [ROW]}, "`columns` is a list. Expected an object of lists: delay"),
    ],
)
def test_rows_and_columns_of_another_form_are_named(body: Any, said: str) -> None:
    assert said in refused(visit(binary(), "POST", "/predict/late", body))


def test_what_is_missing_is_named() -> None:
    said = refused(visit(binary(), "POST", "/predict/late", {"delay": 1.0}))
    assert "Missing: distance, carrier, night." in said
    assert "whole number" in said


def test_too_many_rows() -> None:
    gateway = answerer(Route("late", ONE, max_rows=2), arm(ONE, constant(0.5)))
    assert "at most 2" in refused(visit(gateway, "POST", "/predict/late", [ROW] * 3))


def test_a_compressed_body() -> None:
    body, headers = gzip.compress(orjson.dumps(ROW)), {b"content-encoding": b"gzip"}
    assert visit(binary(), "POST", "/predict/late", body, headers).status == 200
    refused(visit(binary(), "POST", "/predict/late", body[:-3], headers))


@pytest.mark.parametrize("path", ["/predict/late", "/invocations", "/invocations/late"])
def test_a_body_beyond_the_endpoints_limit(path: str) -> None:
    gateway = answerer(Route("late", ONE, max_body=1000), arm(ONE, constant(0.5)))
    assert "1000" in refused(visit(gateway, "POST", path, b" " * 1001), 413)
    refused(visit(gateway, "POST", path, gzip.compress(b" " * 1001), {b"content-encoding": b"gzip"}), 413)


def test_classes_are_told_by_name() -> None:
    gateway, _ = multiclass()
    found = told(visit(gateway, "POST", "/predict/late", {"text": "hello"}))
    assert found["prediction"] == "on time"
    assert found["probabilities"] == dict(zip(LABELS, [0.25, 0.5, 0.25], strict=True))
    assert found["outputs"] == {"letters": 5}
    many = told(visit(gateway, "POST", "/predict/late", {"rows": ["a", {"text": "bc"}]}))
    assert many["predictions"] == ["on time", "on time"]
    assert many["outputs"] == {"letters": [1, 2]}


def test_pictures_come_as_base64() -> None:
    gateway, scorer = picture()
    raw = bytes(range(256))
    text = base64.b64encode(raw).decode()
    for value in (text, {"b64": text}, f"data:image/png;base64,{text}"):
        assert told(visit(gateway, "POST", "/predict/late", {"file": value}))["prediction"] == 256
        assert scorer.asked[-1]["file"].tolist() == [raw]
    assert "base64" in refused(visit(gateway, "POST", "/predict/late", {"file": "not base64!"}))


def test_tensors_come_nested() -> None:
    gateway, scorer = matrix()
    found = told(visit(gateway, "POST", "/predict/late", {"x": [[1, 2], [3, 4.5]]}))
    assert found["prediction"] == 10.5
    assert scorer.asked[0]["x"].shape == (1, 2, 2)
    many = told(visit(gateway, "POST", "/predict/late", {"columns": {"x": [[[1, 2], [3, 4]]] * 3}}))
    assert many["predictions"] == [10.0] * 3
    for wrong in (
        [1, 2],
        [[1, 2]],
        [[1], [2]],
        [[1, 2], [3]],
        [[1, 2], 3],
        7,
        None,
        [[1, 2], [3, "4"]],
        [[1, 2], [3, [4]]],
    ):
        refused(visit(gateway, "POST", "/predict/late", {"x": wrong}))


def test_an_input_that_is_called_like_an_option_is_the_input() -> None:
    scorer = Made(lambda _: np.zeros(1))
    columns = (InputColumn("id", Datatype.INT64), InputColumn("rows", Datatype.INT64))
    gateway = answerer(Route("late", ONE), arm(ONE, scorer, columns))
    assert told(visit(gateway, "POST", "/predict/late", {"id": 3, "rows": 4}))["prediction"] == 0
    assert visit(gateway, "POST", "/predict/late", {"rows": [{"id": 3, "rows": 4}]}).status == 200
    assert [int(asked["id"][0]) for asked in scorer.asked] == [3, 3]


def test_what_a_table_fills_may_be_left_out() -> None:
    class Online:
        def fill(self, _: Any, asked: Any) -> Any:
            assert "delay" not in asked.tensors
            return asked

    route = Route("late", ONE, features=(Lookup("weather", ("carrier",), ("delay",)),))
    gateway = answerer(route, arm(ONE, constant(0.5)), online=Online())
    body = {name: value for name, value in ROW.items() if name != "delay"}
    assert "delay" in refused(visit(gateway, "POST", "/predict/late", body))  # this table fills nothing
    described = told(visit(gateway, "GET", "/predict/late"))
    assert "delay" not in described["example"]


def test_an_explanation_is_told_beside_its_row() -> None:
    class Explains:
        def submit(self, _: Any, columns: Any, done: Any) -> None:
            rows = len(columns["distance"])
            done({"base": [0.5] * rows, "contributions": {"delay": [0.25] * rows, "distance": [0.0] * rows}})

    gateway = answerer(Route("late", ONE), arm(ONE, constant(0.75)), explains=Explains())
    one = told(visit(gateway, "POST", "/predict/late", ROW | {"explain": True}))
    assert one["explanation"] == {"base": 0.5, "contributions": {"delay": 0.25, "distance": 0.0}}
    many = told(visit(gateway, "POST", "/predict/late", {"rows": [ROW, ROW], "explain": True}))
    assert many["explanations"] == [one["explanation"]] * 2
    assert "explanation" not in told(visit(gateway, "POST", "/predict/late", ROW))


def test_what_is_expected_is_told_with_an_example_that_works() -> None:
    for gateway in (binary(), multiclass()[0], picture()[0], matrix()[0]):
        found = told(visit(gateway, "GET", "/predict/late"))
        assert found["version"] == "delay:1"
        assert visit(gateway, "POST", "/predict/late", found["example"]).status == 200
    assert told(visit(binary(), "GET", "/predict"))["endpoints"] == {"late": "/predict/late"}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from([*ROW, "rows", "columns", "id", "explain", "event_time", "x"])


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(NAMES, VALUES, max_size=6) | VALUES)
def test_whatever_is_sent_the_answer_is_right_or_says_what_is_wrong(body: Any) -> None:
    for gateway in (binary(), matrix()[0]):
        for path in ("/predict/late", "/invocations"):
            response = visit(gateway, "POST", path, json.dumps(body).encode("utf-8", "surrogatepass"))
            assert response.status in (200, 400), response.body
            assert response.status == 200 or told(response)["error"]
