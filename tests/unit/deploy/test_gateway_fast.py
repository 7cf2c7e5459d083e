"""The fast way gives the answer, the record and the columns of the careful way, or none at all."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_parts import (
    INPUTS,
    ONE,
    TWO,
    Frames,
    Made,
    answerer,
    arm,
    constant,
    decoded,
    inputs,
    require_alike,
    tensor,
)
from modelloop.deploy.gateway.answer import Answerer, Request
from modelloop.deploy.gateway.fast import Fast
from modelloop.deploy.gateway.naming import Ids
from modelloop.deploy.gateway.plans import Share
from modelloop.deploy.gateway.runtime import LoadedArm
from modelloop.deploy.records import LogPolicy, Route, Stage
from modelloop.deploy.route import place
from modelloop.ground.core.ids import check_id, encode
from modelloop.prepare.records import Columns, Datatype, InputColumn
from modelloop.register.records import Signature, TensorSpec

PATH = "/v2/models/late/infer"
NUMBERS = tuple(InputColumn(name, Datatype.FP64) for name in "abc")
TENSORS = Signature(
    (),
    "score",
    "binary",
    tensors=(TensorSpec("x", "FP32", (-1, 3)), TensorSpec("n", "INT64", (-1,))),
    outputs=(TensorSpec("score", "FP32", (-1,)), TensorSpec("pair", "FP64", (-1, 2))),
)


class Both(Made):
    """Answers every output."""

    def outputs(self, columns: Columns) -> Any:
        self.asked.append(columns)
        rows = len(columns["x"])
        return {
            "score": columns["x"].sum(axis=1).astype(np.float32) / 7,
            "pair": np.stack([np.arange(rows) / 3, columns["n"] * 2.0], axis=1),
        }


def summed(columns: Columns) -> Any:
    return sum(np.nan_to_num(values.astype(float)) for values in columns.values() if values.dtype.kind != "O") / 1000


def near(columns: tuple[InputColumn, ...] = INPUTS) -> tuple[Answerer, Made]:
    model = Made(summed)
    return answerer(Route("late", ONE, max_rows=5), arm(ONE, model, columns)), model


def tensors() -> tuple[Answerer, Made]:
    model = Both(summed)
    return answerer(Route("late", ONE, max_rows=5), LoadedArm(ONE, TENSORS, model)), model


def both_ways(gateway: Answerer, model: Made, body: bytes, json_length: int | None = None) -> bool:
    """Ask both ways; say whether the fast one answered."""
    given = [(b"content-length", str(len(body)).encode())]
    if json_length is not None:
        given.append((b"inference-header-content-length", str(json_length).encode()))
    fast = Fast(gateway, lambda _: None)
    head = fast.head(PATH.encode(), given)
    log = gateway.desk.log
    assert head is not None
    assert isinstance(log, Frames)
    log.frames.clear()
    model.asked.clear()
    quick = fast.answer(head, body, 0.0)
    if quick is None:
        assert not log.frames, "nothing was written"
        return False
    told: list[Any] = []
    gateway.infer(Request("POST", PATH, dict(given), body), told.append, prediction=fast.prediction)
    (careful,) = told
    assert careful.status == 200
    require_alike(quick, careful, log.frames)
    one, two = model.asked
    assert one.keys() == two.keys()
    for name in one:
        assert one[name].dtype == two[name].dtype
        np.testing.assert_array_equal(one[name], two[name])
    return True


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
VALUES = {
    "delay": st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**60), 2**60),
    "distance": st.integers(-(2**63), 2**64 - 1),
    "carrier": st.text(max_size=3),
    "night": st.booleans(),
}


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Draw a request that is right, or nearly."""
    rows = draw(st.integers(1, 6))
    asked = []
    for one in inputs(rows):
        values = VALUES[one["name"]] if draw(st.integers(0, 9)) else JSON
        data = draw(st.lists(values, min_size=rows, max_size=rows))
        more = draw(st.dictionaries(st.sampled_from(["shape", "datatype", "data", "parameters"]), JSON, max_size=1))
        asked.append(one | {"data": data} | (more if not draw(st.integers(0, 9)) else {}))
    body = {"inputs": draw(st.permutations(asked))}
    rare = st.sampled_from(["id", "parameters", "outputs", "other"])
    body |= draw(st.dictionaries(rare, JSON, max_size=1)) if not draw(st.integers(0, 5)) else {}
    return json.dumps(body).encode()


GATEWAY, MODEL = near()


@settings(max_examples=400, deadline=None)
@given(requests())
def test_both_ways_answer_alike(body: bytes) -> None:
    both_ways(GATEWAY, MODEL, body)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_both_ways_read_matrices_alike(data: st.DataObject) -> None:
    gateway, model = near(NUMBERS)
    rows = data.draw(st.integers(1, 6))
    number = st.floats(allow_nan=False) | st.integers(-10, 10) | st.none() | st.booleans()
    rare = data.draw(st.booleans())
    values = number if rare else st.floats(-1e9, 1e9)
    flat = data.draw(st.lists(values, min_size=rows * 3, max_size=rows * 3))
    nested = [flat[at : at + 3] for at in range(0, rows * 3, 3)]
    form = data.draw(st.sampled_from([flat, nested]))
    kind = data.draw(st.sampled_from(["FP32", "FP64"]))
    body = {"inputs": [{"name": "all", "datatype": kind, "shape": [rows, 3], "data": form}]}
    answered = both_ways(gateway, model, json.dumps(body).encode())
    assert answered or rare or rows > 5


def raw_request(rows: int, **change: Any) -> tuple[bytes, int]:
    x = np.arange(rows * 3, dtype="<f4").tobytes()
    n = np.arange(rows, dtype="<i8").tobytes()
    asked = [
        {"name": "x", "datatype": "FP32", "shape": [rows, 3], "parameters": {"binary_data_size": len(x)}} | change,
        {"name": "n", "datatype": "INT64", "shape": [rows], "parameters": {"binary_data_size": len(n)}},
    ]
    head = orjson.dumps({"inputs": asked, "parameters": {"binary_data_output": True}})
    return head + x + n, len(head)


@pytest.mark.parametrize("rows", [1, 3])
def test_tensors_both_ways(rows: int) -> None:
    gateway, model = tensors()
    listed = {
        "inputs": [
            {"name": "n", "datatype": "INT64", "shape": [rows], "data": list(range(rows))},
            {"name": "x", "datatype": "FP32", "shape": [rows, 3], "data": [[0.1, 2, 3.0]] * rows},
        ],
        "id": 'an "id"',
    }
    assert both_ways(gateway, model, orjson.dumps(listed))
    assert both_ways(gateway, model, *raw_request(rows))


@pytest.mark.parametrize("change", [{"shape": [2, 3, 1]}, {"shape": [9, 3]}, {"parameters": {"binary_data_size": 5}}])
def test_what_is_wrong_is_left_to_the_careful_way(change: dict[str, Any]) -> None:
    gateway, model = tensors()
    assert not both_ways(gateway, model, *raw_request(2, **change))


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'"inputs"', b'{"inputs":{}}', b'{"inputs":[]}', b"{"])
def test_what_is_no_request_is_left_to_the_careful_way(body: bytes) -> None:
    assert not both_ways(GATEWAY, MODEL, body)


def test_records_with_everything_that_may_be_in_them() -> None:
    policy = LogPolicy(drop=("carrier",), mask=("distance",))
    route = Route("late", ONE, log=policy, outcome_key="distance", slices=("night",))
    model = Made(summed)
    gateway = answerer(route, arm(ONE, model), log_key=b"k" * 32)
    assert both_ways(gateway, model, orjson.dumps({"inputs": inputs(2), "id": "mine"}))
    log = gateway.desk.log
    assert isinstance(log, Frames)
    record = decoded(log.frames[0])
    assert record["sl"] == {"night": [True, True]}
    assert record["x"].keys() == {"delay", "distance", "night"}
    assert record["x"]["distance"] == record["bk"] != [100, 100]


@pytest.mark.parametrize("name", [None, "mine"])
def test_shadowed_requests_both_ways(name: str | None) -> None:
    model = Made(summed)
    route = Route("late", ONE, TWO, Stage.SHADOW, 1.0, "salt")
    gateway = answerer(route, arm(ONE, model), arm(TWO, constant(0.5)))
    body = {"inputs": inputs(2)} | ({"id": name} if name else {})
    assert both_ways(gateway, model, orjson.dumps(body))
    log = gateway.desk.log
    assert isinstance(log, Frames)
    assert decoded(log.frames[0])["sv"] == "delay:2"
    quick, careful = gateway.jobs  # type: ignore[attr-defined]
    assert quick.columns.keys() == careful.asked.tensors.keys()
    assert (quick.rows, quick.prediction, quick.arm) == (careful.rows, careful.prediction, careful.arm)


@pytest.mark.parametrize("values", [[1e39, 0, 0], [True, 0, 0], [None, 0, 0], ["1", 0, 0], [[1], 0, 0], [2**70, 0, 0]])
def test_one_row_of_what_is_no_number(values: list[Any]) -> None:
    signature = Signature((), "score", "binary", tensors=(TensorSpec("x", "FP32", (-1, 3)),))
    model = Both(summed)
    gateway = answerer(Route("late", ONE), LoadedArm(ONE, signature, model))
    asked = {"name": "x", "datatype": "FP32", "shape": [1, 3]}
    assert not both_ways(gateway, model, json.dumps({"inputs": [asked | {"data": values}]}).encode())
    model.answer = lambda columns: columns["x"][:, 0]
    model.outputs = lambda columns: (model.asked.append(columns), {"score": columns["x"].sum(axis=1)})[1]  # type: ignore[method-assign]
    for data in ([0.5, 1, 2], [[0.5, 1, 2]]):
        assert both_ways(gateway, model, json.dumps({"inputs": [asked | {"data": data}]}).encode())


BEGUN = '{"inputs":[{"name":"x","datatype":"FP32","shape":[1,3],"data":'
ENDS: list[tuple[str, bool]] = [
    ("[1,2,3]}]}", True),
    (" [ 1 , 2e3 , -3.5 ] }]}", True),
    ("[[1,2,3]]}]}", True),
    ('[1,2,3]}],"id":"a"}', True),
    ('[1,2,3]}],"parameters":{}}', True),
    ("[1,2]}]}", False),
    ("[1,2,true]}]}", False),
    ("[1,2,null]}]}", False),
    ('[1,2,"3"]}]}', False),
    ("[1,2,1e39]}]}", False),
    ("[1,2,NaN]}]}", False),
    ('{"a":1,"b":2,"c":3}}]}', False),
    ('"abc"}]}', False),
    ('[1,2,3],"data":[1,2]}]}', False),
    ("[1,2,3]}]}}]}", False),
    ("[1,2,3]}", False),
    ("[1,2,3]}]", False),
    ("", False),
]


@pytest.mark.parametrize(("end", "right"), ENDS)
@pytest.mark.parametrize("begun", [BEGUN, BEGUN.replace("1,3", "1.0,3"), BEGUN.replace("1,3", "true,3")])
def test_a_body_that_begins_as_a_known_one(begun: str, end: str, right: bool) -> None:
    signature = Signature((), "score", "binary", tensors=(TensorSpec("x", "FP32", (-1, 3)),))
    model = Both(summed)
    model.outputs = lambda columns: (model.asked.append(columns), {"score": columns["x"].sum(axis=1)})[1]  # type: ignore[method-assign]
    gateway = answerer(Route("late", ONE), LoadedArm(ONE, signature, model))
    fast = Fast(gateway, lambda _: None)
    for tail in ("[4,5,6]}]}", "[7,8,9]}]}", end):
        body = (begun + tail).encode()
        head = fast.head(PATH.encode(), [(b"content-length", str(len(body)).encode())])
        assert head is not None
        quick = fast.answer(head, body, 0.0)
        told: list[Any] = []
        gateway.infer(Request("POST", PATH, {}, body), told.append, prediction=fast.prediction)
        assert quick is None or quick.partition(b"\r\n\r\n")[2] == told[0].body
        assert (quick is not None) == (told[0].status == 200)
    assert (quick is not None) == (right and begun == BEGUN)


@given(st.floats(0, 1) | st.sampled_from([0.0, 1.0, 0.5]), st.text(max_size=90), st.text())
def test_the_share_is_the_routes(share: float, salt: str, key: str) -> None:
    assert Share(share, salt).holds(key) == (place(key, salt) < share)


@pytest.mark.parametrize("stage", [Stage.CANARY, Stage.TEST])
def test_the_same_caller_stays_on_the_same_version_both_ways(stage: Stage) -> None:
    route = Route("late", ONE, TWO, stage, 0.5, "salt", "carrier")
    gateway = answerer(route, arm(ONE, constant(0.25)), arm(TWO, constant(0.5)))
    fast = Fast(gateway, lambda _: None)
    seen = set()
    for number in range(40):
        body = orjson.dumps({"inputs": [*inputs()[:2], tensor("carrier", "BYTES", [f"C{number}"]), inputs()[3]]})
        head = fast.head(PATH.encode(), [(b"content-length", str(len(body)).encode())])
        told: list[Any] = []
        gateway.infer(Request("POST", PATH, {}, body), told.append)
        assert head is not None
        quick = fast.answer(head, body, 0.0)
        assert quick is not None
        versions = {orjson.loads(one)["model_version"] for one in (quick.split(b"\r\n\r\n")[1], told[0].body)}
        assert len(versions) == 1
        seen |= versions
    assert seen == {"1", "2"}


def test_a_failing_challenger_is_left_to_the_careful_way_with_its_id() -> None:
    route = Route("late", ONE, TWO, Stage.CANARY, 1.0, "salt")
    gateway = answerer(route, arm(ONE, constant(0.25)), arm(TWO, constant(np.nan)))
    fast = Fast(gateway, lambda _: None)
    body = orjson.dumps({"inputs": inputs()})
    head = fast.head(PATH.encode(), [(b"content-length", str(len(body)).encode())])
    assert head is not None
    assert fast.answer(head, body, 0.0) is None
    told: list[Any] = []
    gateway.infer(Request("POST", PATH, {}, body), told.append, prediction=fast.prediction)
    assert orjson.loads(told[0].body)["parameters"] == {"prediction_id": fast.prediction, "version": "delay:1"}


def test_ids_are_sorted_unique_and_of_the_known_form() -> None:
    ids = Ids()
    made = [ids.new(1_790_000_000_000_000 + at // 3 * 1000) for at in range(3000)]
    assert made == sorted(set(made))
    assert all(check_id(one, "pred") for one in made)
    assert made[0][5:15] == encode(1_790_000_000_000, 0)[:10]
    ids._count = 2**20 - 1
    assert len({ids.new(0), ids.new(0), ids.new(0)}) == 3
