"""MLflow's scoring forms."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_faces import ROW, binary, made, matrix, multiclass, refused, told, visit
from gateway_parts import ONE, Made, answerer, arm, constant
from modelloop.deploy.records import Route
from modelloop.prepare.records import Columns, Datatype, InputColumn
from modelloop.register.records import Signature, TensorSpec

NAMES = list(ROW)
CSV = {b"content-type": b"text/csv; charset=utf-8"}


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": {"columns": NAMES, "data": [list(ROW.values())] * 2}},
        {"dataframe_split": {"index": [0, 1], "columns": NAMES, "data": [list(ROW.values())] * 2}},
        {"dataframe_records": [ROW, ROW]},
        {"instances": [ROW, ROW]},
        {"inputs": {name: [value] * 2 for name, value in ROW.items()}},
        {"inputs": [ROW, ROW], "params": {"id": "mine"}},
    ],
)
@pytest.mark.parametrize("path", ["/invocations", "/invocations/late"])
def test_the_four_forms(path: str, body: Any) -> None:
    for headers in (
        {b"content-type": b"application/json"},
        {},
        {b"content-type": b"application/x-www-form-urlencoded"},
    ):
        response = visit(binary(), "POST", path, body, headers)
        assert told(response) == {"predictions": [0.75, 0.75]}
        assert b"modelloop-prediction-id" in dict(response.headers)


def test_csv() -> None:
    scorer = Made(lambda columns: np.zeros(len(columns["distance"])))
    gateway = answerer(Route("late", ONE), arm(ONE, scorer))
    text = 'night,carrier,distance,delay\r\ntrue,"U,A",300,12.5\r\nFalse,AA, 7 ,\r\n\r\n1,"x ""y""",8e0,NaN\r\n'
    found = told(visit(gateway, "POST", "/invocations", text.encode("utf-8-sig"), CSV))
    assert found == {"predictions": [0.0, 0.0, 0.0]}
    (columns,) = scorer.asked
    assert columns["carrier"].tolist() == ["U,A", "AA", 'x "y"']
    assert columns["distance"].tolist() == [300, 7, 8]
    assert columns["night"].tolist() == [True, False, True]
    assert columns["delay"].tolist()[0] == 12.5
    assert np.isnan(columns["delay"][1:]).all()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "delay\n",
        "delay,distance,carrier,night\n1,2\n",
        "delay,delay,distance,carrier,night\n1,1,2,a,1\n",
        "delay,distance,carrier,nigt\n1,2,a,1\n",
        "delay,distance,carrier,night\n1_000,2,a,1\n",
        "delay,distance,carrier,night\n1,2.5,a,1\n",
        "delay,distance,carrier,night\n1,1" + "0" * 6000 + ",a,1\n",
        "delay,distance,carrier,night\n1,2,a,maybe\n",
        "delay,distance,carrier,night\ninf,2,a,1\n",
        'delay,distance,carrier,night\n"1,2,a,1\n',
        "delay,distance,carrier,night\n1,,a,1\n",
    ],
)
def test_csv_that_is_wrong(text: str) -> None:
    refused(visit(binary(), "POST", "/invocations", text.encode(), CSV))


def test_csv_that_is_no_text() -> None:
    refused(visit(binary(), "POST", "/invocations", b"\xff\xfe\x00", CSV))


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"dataframe_split": {"columns": NAMES}},
        {"dataframe_split": {"columns": "delay", "data": []}},
        {"dataframe_split": {"columns": [1], "data": [[1]]}},
        {"dataframe_split": {"columns": NAMES, "data": [[1]]}},
        {"dataframe_split": {"columns": NAMES, "data": [3]}},
        {"dataframe_split": {"columns": ["delay", "delay"], "data": [[1, 1]]}},
        {"dataframe_split": 3},
        {"dataframe_records": {"delay": 1}},
        {"dataframe_records": []},
        {"instances": 3},
        {"inputs": None},
        {"instances": [ROW], "inputs": [ROW]},
        {"instances": [ROW], "signature_name": "x"},
        {"instances": [ROW], "params": {"temperature": 1}},
        {"instances": [ROW], "params": 3},
        {"data": [[1]]},
    ],
)
def test_what_is_no_form_is_refused(body: Any) -> None:
    refused(visit(binary(), "POST", "/invocations", body))


def test_classes_and_several_outputs_are_rows() -> None:
    gateway, _ = multiclass()
    found = told(visit(gateway, "POST", "/invocations", {"dataframe_records": [{"text": "abc"}]}))
    assert found == {"predictions": [{"label": "on time", "letters": 3}]}


def test_a_class_and_its_probabilities_are_the_class() -> None:
    labels = ("early", "on time", "late")
    outputs = (TensorSpec("probabilities", "FP32", (-1, 3)), TensorSpec("label", "BYTES", (-1,)))
    columns = (InputColumn("delay", Datatype.FP64),)
    signature = Signature(columns, "probabilities", "multiclass", outputs=outputs, labels=labels)

    def answer(given: Columns) -> dict[str, Any]:
        rows = len(given["delay"])
        return {
            "probabilities": np.tile(np.array([[0.25, 0.5, 0.25]], np.float32), (rows, 1)),
            "label": np.array([b"on time"] * rows, dtype=object),
        }

    gateway, _ = made(signature, answer)
    found = told(visit(gateway, "POST", "/invocations", {"instances": [{"delay": 1.0}, {"delay": 2.0}]}))
    assert found == {"predictions": ["on time", "on time"]}


def test_tensors() -> None:
    gateway, _ = matrix()
    for body in (
        {"instances": [[[1, 2], [3, 4]]]},
        {"inputs": [[[1, 2], [3, 4]]]},
        {"inputs": {"x": [[[1, 2], [3, 4]]]}},
    ):
        assert told(visit(gateway, "POST", "/invocations", body)) == {"predictions": [10.0]}


def test_several_endpoints_must_be_named() -> None:
    gateway = binary()
    only = gateway.live.serving.routes["late"]
    gateway.live.serving = type(gateway.live.serving)(7, {"early": only, "late": only}, {})
    assert "early, late" in refused(visit(gateway, "POST", "/invocations", {"instances": [ROW]}))
    assert visit(gateway, "POST", "/invocations/late", {"instances": [ROW]}).status == 200
    assert "late" in refused(visit(gateway, "POST", "/invocations/lat", {"instances": [ROW]}), 404)


def test_ping_health_and_version() -> None:
    for path in ("/ping", "/health"):
        assert (visit(binary(), "GET", path).status, visit(binary(), "GET", path).body) == (200, b"\n")
    assert visit(binary(), "GET", "/version").body[0:1].isdigit()


CELLS = st.text(max_size=12) | st.integers().map(str) | st.floats().map(str) | st.sampled_from(["", "true", "1e5"])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(CELLS, min_size=4, max_size=4), min_size=1, max_size=4), st.permutations(NAMES))
def test_any_csv_is_answered_or_refused(rows: list[list[str]], header: list[str]) -> None:
    text = io.StringIO()
    csv.writer(text).writerows([header, *rows])
    gateway = answerer(Route("late", ONE), arm(ONE, constant(0.5)))
    body = text.getvalue().encode("utf-8", "surrogatepass")
    response = visit(gateway, "POST", "/invocations", body, CSV)
    assert response.status in (200, 400), response.body
    if response.status == 200:
        assert len(told(response)["predictions"]) == len(rows)
