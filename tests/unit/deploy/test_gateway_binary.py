"""Raw tensors both ways, tensors of any shape, named outputs, classes, packed bodies, matrices: tritonclient's."""

from __future__ import annotations

import gzip
import struct
import zlib
from typing import Any

import numpy as np
import orjson
import pytest

from gateway_parts import INPUTS, ONE, Made, Reply, answerer, arm, ask, constant, inputs, logged, told
from modelloop.deploy.gateway.answer import Answerer
from modelloop.deploy.gateway.runtime import LoadedArm
from modelloop.deploy.records import Route
from modelloop.prepare.records import Columns, Datatype, InputColumn
from modelloop.register.records import Signature, TensorSpec

EVERY = {
    "BOOL": np.array([True, False]),
    **{
        f"INT{bits}": np.array([-(2 ** (bits - 1)), 2 ** (bits - 1) - 1], dtype=f"int{bits}")
        for bits in (8, 16, 32, 64)
    },
    **{f"UINT{bits}": np.array([0, 2**bits - 1], dtype=f"uint{bits}") for bits in (8, 16, 32, 64)},
    "FP16": np.array([0.5, np.nan], dtype=np.float16),
    "FP32": np.array([0.1, np.inf], dtype=np.float32),
    "FP64": np.array([1e300, -0.0]),
}
CLASSES = Signature(
    (),
    "probabilities",
    "multiclass",
    tensors=(TensorSpec("x", "FP32", (-1, 2, -1)),),
    outputs=(TensorSpec("probabilities", "FP32", (-1, 3)), TensorSpec("label", "BYTES", (-1,))),
    labels=("cat", "dog", "owl"),
)
HEAD = b"inference-header-content-length"


class Whole(Made):
    """Answers with what `answer` returns, by output."""

    def outputs(self, columns: Columns) -> Any:
        self.asked.append(columns)
        return self.answer(columns)


def classes(columns: Columns) -> Any:
    rows = len(columns["x"])
    label = np.array(["dog"] * rows, dtype=object)
    return {"probabilities": np.tile(np.array([0.25, 0.5, 0.25], dtype=np.float32), (rows, 1)), "label": label}


@pytest.fixture
def model() -> Whole:
    return Whole(classes)


@pytest.fixture
def gateway(model: Whole) -> Answerer:
    return answerer(Route("late", ONE, max_rows=5), LoadedArm(ONE, CLASSES, model))


def raw(name: str, datatype: str, shape: list[int], data: bytes) -> tuple[dict[str, Any], bytes]:
    return {"name": name, "datatype": datatype, "shape": shape, "parameters": {"binary_data_size": len(data)}}, data


def asked_raw(gateway: Answerer, *tensors: tuple[dict[str, Any], bytes], length: int = 0, **more: Any) -> Reply:
    head = orjson.dumps({"inputs": [one for one, _ in tensors]} | more)
    body = head + b"".join(data for _, data in tensors)
    return ask(gateway, body, headers={HEAD: str(length or len(head)).encode()})


def parts(response: Reply) -> tuple[dict[str, Any], bytes]:
    headers = dict(response.headers)
    assert headers[b"content-type"] == b"application/octet-stream"
    length = int(headers[HEAD])
    return orjson.loads(response.body[:length]), response.body[length:]


X = np.arange(4, dtype="<f4")


def test_raw_in_and_raw_out(gateway: Answerer, model: Whole) -> None:
    response = asked_raw(gateway, raw("x", "FP32", [1, 2, 2], X.tobytes()), parameters={"binary_data_output": True})
    head, tail = parts(response)
    np.testing.assert_array_equal(model.asked[0]["x"], X.reshape(1, 2, 2))
    first, second = head["outputs"]
    assert (first["shape"], first["parameters"]) == ([1, 3], {"binary_data_size": 12})
    assert np.frombuffer(tail[:12], "<f4").tolist() == [0.25, 0.5, 0.25]
    assert (second["datatype"], tail[12:]) == ("BYTES", struct.pack("<I", 3) + b"dog")
    record = logged(response)
    assert record["t"] == {"x": ["FP32", [1, 2, 2], X.tobytes()]}
    assert (record["s"], record["o"]) == ([1.0], {"probabilities": [[0.25, 0.5, 0.25]], "label": ["dog"]})


def test_json_in_and_raw_out_and_the_other_way_round(gateway: Answerer) -> None:
    listed = {"name": "x", "datatype": "FP32", "shape": [1, 2, 2], "data": [[[0, 1], [2, 3]]]}
    head, _ = parts(ask(gateway, {"inputs": [listed], "parameters": {"binary_data_output": True}}))
    assert head["outputs"][0]["parameters"] == {"binary_data_size": 12}
    found = told(asked_raw(gateway, raw("x", "FP32", [1, 2, 2], X.tobytes())))
    assert found["outputs"][0]["data"] == [0.25, 0.5, 0.25]


def test_each_output_has_its_own_way(gateway: Answerer) -> None:
    wanted = [{"name": "label", "parameters": {"binary_data": False}}, {"name": "probabilities"}]
    more = {"outputs": wanted, "parameters": {"binary_data_output": True}}
    head, tail = parts(asked_raw(gateway, raw("x", "FP32", [1, 2, 2], X.tobytes()), **more))
    assert [one["name"] for one in head["outputs"]] == ["label", "probabilities"]
    assert head["outputs"][0]["data"] == ["dog"]
    assert len(tail) == 12


def test_only_the_outputs_that_were_named(gateway: Answerer) -> None:
    found = told(asked_raw(gateway, raw("x", "FP32", [1, 2, 2], X.tobytes()), outputs=[{"name": "label"}]))
    assert [one["name"] for one in found["outputs"]] == ["label"]


@pytest.mark.parametrize("count", [1, 2, 9])
def test_the_best_classes_by_name(gateway: Answerer, count: int) -> None:
    wanted = [{"name": "probabilities", "parameters": {"classification": count}}]
    (found,) = told(asked_raw(gateway, raw("x", "FP32", [1, 2, 2], X.tobytes()), outputs=wanted))["outputs"]
    best = ["0.500000:1:dog", "0.250000:0:cat", "0.250000:2:owl"][:count]
    assert (found["datatype"], found["shape"], found["data"]) == ("BYTES", [1, min(count, 3)], best)


@pytest.mark.parametrize("datatype", EVERY)
def test_every_type_raw(datatype: str) -> None:
    model = Whole(lambda columns: {"y": columns["x"]} if columns["x"].dtype.kind in "iub" else {"y": np.zeros(2)})
    values = EVERY[datatype]
    kind = datatype if values.dtype.kind in "iub" else "FP64"
    signature = Signature(
        (), "y", "regression", tensors=(TensorSpec("x", datatype, (-1,)),), outputs=(TensorSpec("y", kind, (-1,)),)
    )
    gateway = answerer(Route("late", ONE), LoadedArm(ONE, signature, model))
    response = asked_raw(gateway, raw("x", datatype, [2], values.tobytes()), parameters={"binary_data_output": True})
    np.testing.assert_array_equal(model.asked[0]["x"], values)
    assert model.asked[0]["x"].dtype == values.dtype
    if values.dtype.kind in "iub":
        assert parts(response)[1] == values.tobytes()


def test_texts_raw() -> None:
    model = Whole(lambda _: {"score": np.zeros(2)})
    signature = Signature((InputColumn("a", Datatype.BYTES), InputColumn("b", Datatype.BYTES, raw=True)), "score", "x")
    gateway = answerer(Route("late", ONE), LoadedArm(ONE, signature, model))
    packed = struct.pack("<I", 3) + "Ü!".encode() + struct.pack("<I", 0)
    picture = struct.pack("<I", 2) + b"\xff\xd8" + struct.pack("<I", 1) + b"x"
    assert asked_raw(gateway, raw("a", "BYTES", [2], packed), raw("b", "BYTES", [2, 1], picture)).status == 200
    assert model.asked[0]["a"].tolist() == ["Ü!", ""]
    assert model.asked[0]["b"].tolist() == [b"\xff\xd8", "x"]
    refused = asked_raw(gateway, raw("a", "BYTES", [2], picture), raw("b", "BYTES", [2], picture))
    assert (refused.status, "UTF-8" in told(refused)["error"]) == (400, True)


PLAIN = {"name": "x", "datatype": "FP32", "shape": [1, 2, 2]}
GOOD = raw("x", "FP32", [1, 2, 2], X.tobytes())


def said_to_be(size: Any) -> dict[str, Any]:
    return PLAIN | {"parameters": {"binary_data_size": size}}


def classify(count: Any) -> dict[str, Any]:
    return {"outputs": [{"name": "label", "parameters": {"classification": count}}]}


WRONG: list[tuple[list[Any], dict[str, Any], str]] = [
    ([raw("x", "FP32", [1, 2, 2], X.tobytes()[:-1])], {}, "15 raw bytes and the shape [1, 2, 2]. Expected 4 FP32"),
    ([raw("x", "FP32", [1, 2, 2], X.tobytes() + b"!")], {}, "17 raw bytes"),
    ([raw("x", "FP32", [1, 3, 2], bytes(24))], {}, "Expected [-1, 2, -1]"),
    ([raw("x", "FP32", [1, 2], bytes(8))], {}, "Expected [-1, 2, -1]"),
    ([raw("x", "FP32", [6, 2, 1], bytes(48))], {}, "Send at most 5"),
    ([raw("x", "FP32", [1, 2, -2], bytes(48))], {}, "the shape [1, 2, -2]"),
    ([raw("x", "FP32", [1, 2, 10**18], bytes(48))], {}, "48 raw bytes"),
    ([raw("x", "BYTES", [1, 2, 1], bytes(8))], {}, "sent as BYTES. Expected FP32"),
    ([raw("x", "BF16", [1, 2, 1], bytes(4))], {}, "datatype 'BF16'"),
    ([GOOD, (None, b"more")], {}, "inputs[1] is null"),
    ([(PLAIN | {"data": [0, 1, 2, 3]}, b"rest")], {}, "belong to no input"),
    ([(raw("x", "FP32", [1, 2, 2], b"")[0] | {"data": [0] * 4}, b"")], {}, "both `data` and raw"),
    ([(GOOD[0] | {"data": [0] * 4}, X.tobytes())], {}, "both `data` and raw"),
    ([(said_to_be("16"), b"")], {}, "'16'"),
    ([(said_to_be(-1), b"")], {}, "-1"),
    ([(said_to_be(99), b"1")], {}, "are left"),
    ([GOOD], {"outputs": [{"name": "labels"}]}, "There are probabilities, label"),
    ([GOOD], {"outputs": ["label", "label"]}, "twice"),
    ([GOOD], classify(1), "no output of numbers"),
    ([GOOD], classify("1"), "how many"),
    ([GOOD], {"parameters": {"explain": "yes"}}, "true or false"),
    ([GOOD], {"parameters": {"binary_data_output": "yes"}}, "parameters.binary_data_output is 'yes'. Expected true"),
    ([GOOD], {"parameters": {"explain": True}}, "Explanations"),
]  # fmt: skip


@pytest.mark.parametrize(("tensors", "more", "said"), WRONG, ids=[said for *_, said in WRONG])
def test_a_mistake_in_raw_says_what_was_expected(gateway: Answerer, tensors: Any, more: Any, said: str) -> None:
    response = asked_raw(gateway, *tensors, **more)
    assert response.status == 400
    assert said in told(response)["error"]
    assert response.record is None


@pytest.mark.parametrize("length", [b"x", b"-1", b"99999", b"9" * 30, b""])
def test_a_head_length_that_lies(gateway: Answerer, length: bytes) -> None:
    response = ask(gateway, b'{"inputs":[]}', headers={HEAD: length})
    assert (response.status, "13 bytes" in told(response)["error"]) == (400, True)


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (struct.pack("<I", 5) + b"abc", "says it has 5 bytes, 3 are there"),
        (b"\x01", "exactly 1 elements"),
        (b"", "exactly 1 elements"),
        (struct.pack("<I", 1) + b"ab", "exactly 1 elements"),
        (struct.pack("<I", 0) * 2, "exactly 1 elements"),
    ],
)
def test_texts_whose_lengths_lie(texts: bytes, said: str) -> None:
    columns = (InputColumn("a", Datatype.BYTES),)
    gateway = answerer(Route("late", ONE), arm(ONE, constant(0.5), columns))
    response = asked_raw(gateway, raw("a", "BYTES", [1], texts))
    assert (response.status, said in told(response)["error"]) == (400, True)


RAW_COLUMNS = [
    ("delay", "FP64", np.array([np.nan]), None),
    ("delay", "FP16", np.array([0.5], np.float16), None),
    ("delay", "FP64", np.array([np.inf]), "infinite"),
    ("delay", "INT64", np.array([2**53 + 1]), "2^53"),
    ("delay", "UINT64", np.array([2**63], np.uint64), "2^53"),
    ("distance", "FP32", np.array([7], np.float32), None),
    ("distance", "FP32", np.array([7.5], np.float32), "whole"),
    ("distance", "FP64", np.array([np.nan]), "no NaN"),
    ("distance", "UINT64", np.array([2**63], np.uint64), "INT64"),
    ("distance", "UINT8", np.array([255], np.uint8), None),
    ("night", "BOOL", np.array([2], np.uint8), None),
    ("night", "UINT8", np.array([1], np.uint8), "Expected BOOL"),
]


@pytest.mark.parametrize(("name", "datatype", "values", "said"), RAW_COLUMNS)
def test_columns_raw(name: str, datatype: str, values: Any, said: str | None) -> None:
    model = constant(0.5)
    gateway = answerer(Route("late", ONE), arm(ONE, model))
    listed = [(one, b"") for one in inputs() if one["name"] != name]
    response = asked_raw(gateway, *listed, raw(name, datatype, [1], values.tobytes()))
    if said is None:
        assert response.status == 200
        expected = values != 0 if name == "night" else values.astype(float)
        np.testing.assert_array_equal(model.asked[0][name].astype(float), expected.astype(float))
    else:
        assert (response.status, said in told(response)["error"]) == (400, True)


def test_a_matrix_in_place_of_columns() -> None:
    columns = (InputColumn("a", Datatype.FP64, nullable=True), InputColumn("n", Datatype.INT64))
    model = constant(0.5)
    gateway = answerer(Route("late", ONE), arm(ONE, model, columns))
    matrix = np.array([[0.5, 1], [np.nan, 2]], dtype="<f4")
    response = asked_raw(gateway, raw("input-0", "FP32", [2, 2], matrix.tobytes()))
    assert response.status == 200
    np.testing.assert_array_equal(model.asked[0]["a"], [0.5, np.nan])
    assert model.asked[0]["n"].tolist() == [1, 2]
    assert logged(response)["x"] == {"a": [0.5, None], "n": [1, 2]}
    whole = {"name": "input-0", "datatype": "FP64", "shape": [1, 2], "data": [[None, 2.5]]}
    refused = told(ask(gateway, {"inputs": [whole]}))["error"]
    assert "'n' has 2.5" in refused
    refused = told(ask(gateway, {"inputs": [whole | {"shape": [1, 3], "data": [1, 2, 3]}]}))["error"]
    assert "Or one matrix FP32 [rows, 2]" in refused
    assert ask(answerer(Route("late", ONE), arm(ONE, model, INPUTS)), {"inputs": [whole]}).status == 400


BODY = orjson.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2, 2], "data": [0, 1, 2, 3]}]})


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        (b"gzip", b"gzip"),
        (b"deflate, gzip;q=0.5", b"gzip"),
        (b"gzip;q=0, deflate", b"deflate"),
        (b"br", None),
        (b"gzip;q=0", None),
    ],
)
def test_answers_are_packed_where_that_is_asked_for(gateway: Answerer, accepted: bytes, encoding: bytes | None) -> None:
    response = ask(gateway, BODY, headers={b"accept-encoding": accepted})
    assert dict(response.headers).get(b"content-encoding") == encoding
    unpack: Any = {b"gzip": gzip.decompress, b"deflate": zlib.decompress, None: bytes}[encoding]
    assert orjson.loads(unpack(response.body))["outputs"][1]["data"] == ["dog"]


@pytest.mark.parametrize(("encoding", "bits"), [(b"deflate", 15), (b"deflate", -15), (b"gzip", 31), (b"GZIP", 31)])
def test_packed_requests(gateway: Answerer, encoding: bytes, bits: int) -> None:
    packer = zlib.compressobj(wbits=bits)
    assert ask(gateway, packer.compress(BODY) + packer.flush(), headers={b"content-encoding": encoding}).status == 200


@pytest.mark.parametrize(
    "answer",
    [
        {"probabilities": np.zeros((1, 3), np.float32)},
        {"probabilities": np.zeros((1, 2), np.float32), "label": np.array(["a"], dtype=object)},
        {"probabilities": np.zeros((2, 3), np.float32), "label": np.array(["a"], dtype=object)},
        {"probabilities": np.full((1, 3), np.nan), "label": np.array(["a"], dtype=object)},
        {"probabilities": np.full((1, 3), 1e300), "label": np.array(["a"], dtype=object)},
        {"probabilities": np.zeros((1, 3)), "label": np.array([1.0])},
        {"probabilities": [[0, 0, 0]], "label": np.array(["a"], dtype=object)},
        {},
        None,
    ],
)
def test_an_answer_of_another_form_is_the_versions_fault(answer: Any) -> None:
    gateway = answerer(Route("late", ONE), LoadedArm(ONE, CLASSES, Whole(lambda _: answer)))
    response = ask(gateway, BODY)
    assert (response.status, "not because of the request" in told(response)["error"]) == (500, True)
    assert logged(response)["k"] == "f"
    (counts,) = gateway.counters.snapshot().arms.values()
    assert (counts.failed, counts.answered) == (1, 0)
