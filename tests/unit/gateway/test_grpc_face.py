"""The gRPC face, asked with tritonclient and with bare messages."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
from tritonclient.grpc import service_pb2
from tritonclient.utils import InferenceServerException

from gateway_faces import binary, matrix, multiclass, two
from gateway_parts import ONE, Frames, Made, answerer, arm, constant, fails
from grpc_served import served
from modelloop.deploy.gateway.grpc import serve
from modelloop.deploy.records import Route
from modelloop.ground.core.errors import AddressRefused, ExtraMissing

COLUMNS = {
    "delay": ("FP64", np.array([12.5, np.nan])),
    "distance": ("INT64", np.array([300, 7])),
    "carrier": ("BYTES", np.array([b"UA", "\N{SNOWMAN}".encode()], dtype=np.object_)),
    "night": ("BOOL", np.array([True, False])),
}


def inputs() -> list[Any]:
    found = []
    for name, (datatype, values) in COLUMNS.items():
        tensor = triton.InferInput(name, list(values.shape), datatype)
        tensor.set_data_from_numpy(values)
        found.append(tensor)
    return found


def typed(**changes: Any) -> Any:
    """A request in typed contents."""
    request = service_pb2.ModelInferRequest(model_name="late")
    fields = {"FP64": "fp64_contents", "INT64": "int64_contents", "BYTES": "bytes_contents", "BOOL": "bool_contents"}
    for name, (datatype, values) in COLUMNS.items():
        entry = request.inputs.add(name=name, datatype=datatype, shape=[2])
        getattr(entry.contents, fields[datatype]).extend(values.tolist())
    for name, value in changes.items():
        setattr(request, name, value)
    return request


class Bare:
    """Sends messages as they are."""

    def __init__(self, address: str) -> None:
        self.channel = grpc.insecure_channel(address)

    def __call__(self, method: str, request: Any, answer: Any = None) -> Any:
        call = self.channel.unary_unary(f"/inference.GRPCInferenceService/{method}")
        data = request if isinstance(request, bytes) else request.SerializeToString()
        found = call(data, timeout=10)
        return found if answer is None else answer.FromString(found)

    def infer(self, request: Any) -> Any:
        return self("ModelInfer", request, service_pb2.ModelInferResponse)

    def refused(self, request: Any, method: str = "ModelInfer") -> tuple[str, str]:
        with pytest.raises(grpc.RpcError) as caught:
            self(method, request)
        return caught.value.code().name, caught.value.details()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with served(two()) as found:
        yield found


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[Any]:
    with triton.InferenceServerClient(address) as found:
        yield found


@pytest.fixture(scope="module")
def bare(address: str) -> Iterator[Bare]:
    found = Bare(address)
    yield found
    found.channel.close()


def test_live_ready_and_metadata(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("late")
    assert client.is_model_ready("late", "2")
    assert not client.is_model_ready("late", "9")
    assert not client.is_model_ready("nobody")
    assert "binary_tensor_data" in client.get_server_metadata().extensions
    found = client.get_model_metadata("late", "2", as_json=True)
    assert found["versions"] == ["1", "2"]
    assert found["inputs"][1] == {"name": "distance", "datatype": "INT64", "shape": ["-1"]}


def test_config_statistics_and_index(client: Any) -> None:
    config = client.get_model_config("late").config
    assert (config.name, config.platform, config.input[2].data_type) == ("late", "onnx_onnxv1", 13)
    assert list(config.version_policy.specific.versions) == [1, 2]
    assert config.parameters["version"].string_value == "delay:1"
    before = client.get_inference_statistics("late", "1").model_stats[0].inference_count
    client.infer("late", inputs())
    (after,) = client.get_inference_statistics("late", "1").model_stats
    assert after.inference_count == before + 2
    assert after.inference_stats.success.ns > 0
    assert len(client.get_inference_statistics().model_stats) == 2
    index = client.get_model_repository_index().models
    assert [(entry.name, entry.version, entry.state) for entry in index] == [
        ("late", "1", "READY"),
        ("late", "2", "READY"),
    ]


def test_inference_with_defaults(client: Any) -> None:
    found = client.infer("late", inputs(), request_id="mine")
    assert found.as_numpy("score").tolist() == [0.25, 0.25]
    response = found.get_response()
    assert (response.id, response.model_version, response.model_name) == ("mine", "1", "late")
    assert response.parameters["version"].string_param == "delay:1"
    assert response.parameters["prediction_id"].string_param.startswith("pred_")
    assert client.infer("late", inputs(), model_version="2").as_numpy("score").tolist() == [0.75, 0.75]
    assert client.infer("late", inputs(), compression_algorithm="gzip").as_numpy("score").tolist() == [0.25, 0.25]
    wanted = [triton.InferRequestedOutput("score", class_count=1)]
    assert client.infer("late", inputs(), outputs=wanted).as_numpy("score")[0][0] == b"0.250000:0"


def test_asynchronous_inference(client: Any) -> None:
    done, found = threading.Event(), []

    def told(result: Any, error: Any) -> None:
        found.append((result, error))
        if len(found) == 20:
            done.set()

    for _ in range(20):
        client.async_infer("late", inputs(), told)
    assert done.wait(20)
    assert all(error is None and result.as_numpy("score").tolist() == [0.25, 0.25] for result, error in found)


def test_typed_contents_are_answered_typed(bare: Bare) -> None:
    found = bare.infer(typed(model_version="2"))
    assert list(found.outputs[0].contents.fp32_contents) == [0.75, 0.75]
    assert not found.raw_output_contents
    assert (found.outputs[0].datatype, list(found.outputs[0].shape)) == ("FP32", [2])


def test_values_reach_the_version_as_they_are() -> None:
    scorer = Made(lambda _: np.zeros(2))
    gateway = answerer(Route("late", ONE), arm(ONE, scorer), log=Frames())
    with served(gateway) as address, triton.InferenceServerClient(address) as client:
        client.infer("late", inputs())
        Bare(address).infer(typed())
    for columns in scorer.asked:
        np.testing.assert_array_equal(columns["delay"], COLUMNS["delay"][1])
        assert columns["distance"].tolist() == [300, 7]
        assert columns["carrier"].tolist() == ["UA", "\N{SNOWMAN}"]
        assert columns["night"].tolist() == [True, False]


def test_all_outputs_or_the_named_ones() -> None:
    gateway, _ = multiclass()
    text = triton.InferInput("text", [2], "BYTES")
    text.set_data_from_numpy(np.array([b"a", b"bcd"], dtype=np.object_))
    with served(gateway) as address, triton.InferenceServerClient(address) as client:
        every = client.infer("late", [text])
        assert every.as_numpy("probabilities").shape == (2, 3)
        assert every.as_numpy("letters").tolist() == [1, 3]
        one = client.infer("late", [text], outputs=[triton.InferRequestedOutput("letters")])
        assert [output.name for output in one.get_response().outputs] == ["letters"]
        best = [triton.InferRequestedOutput("probabilities", class_count=2)]
        named = client.infer("late", [text], outputs=best).as_numpy("probabilities").tolist()
        assert named[0] == [b"0.500000:1:on time", b"0.250000:0:early"]


def test_tensors_of_any_shape() -> None:
    gateway, _ = matrix()
    x = triton.InferInput("x", [3, 2, 2], "FP32")
    x.set_data_from_numpy(np.ones((3, 2, 2), dtype=np.float32))
    with served(gateway) as address, triton.InferenceServerClient(address) as client:
        assert client.infer("late", [x]).as_numpy("sum").tolist() == [4.0] * 3


def broken(change: Any) -> Any:
    request = typed()
    change(request)
    return request


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        (lambda r: setattr(r, "model_name", "lat"), "NOT_FOUND", "Did you mean 'late'?"),
        (lambda r: setattr(r, "model_name", ""), "NOT_FOUND", "late"),
        (lambda r: setattr(r, "model_version", "9"), "NOT_FOUND", "1, 2"),
        (lambda r: r.raw_input_contents.append(b"1"), "INVALID_ARGUMENT", "all of them typed"),
        (lambda r: r.ClearField("inputs"), "INVALID_ARGUMENT", "inputs"),
        (lambda r: r.inputs.add(name="nobody", datatype="FP32", shape=[2]), "INVALID_ARGUMENT", "nobody"),
        (lambda r: setattr(r.inputs[0], "name", "dlay"), "INVALID_ARGUMENT", "Did you mean 'delay'?"),
        (lambda r: setattr(r.inputs[0], "name", "distance"), "INVALID_ARGUMENT", "twice"),
        (lambda r: setattr(r.inputs[0], "datatype", "FP63"), "INVALID_ARGUMENT", "FP64"),
        (lambda r: setattr(r.inputs[0], "datatype", "FP32"), "INVALID_ARGUMENT", "fp32_contents"),
        (lambda r: r.inputs[0].shape.append(5), "INVALID_ARGUMENT", "delay"),
        (lambda r: r.inputs[0].shape.__setitem__(0, 3), "INVALID_ARGUMENT", "delay"),
        (lambda r: r.inputs[0].shape.__setitem__(0, -1), "INVALID_ARGUMENT", "delay"),
        (lambda r: r.inputs[0].shape.__setitem__(0, 2**62), "INVALID_ARGUMENT", "at most"),
        (lambda r: r.inputs[0].contents.fp64_contents.pop(), "INVALID_ARGUMENT", "delay"),
        (lambda r: r.inputs.pop(), "INVALID_ARGUMENT", "night"),
        (lambda r: r.outputs.add(name="scor"), "INVALID_ARGUMENT", "score"),
        (lambda r: r.inputs[2].contents.bytes_contents.__setitem__(0, b"\xff"), "INVALID_ARGUMENT", "carrier"),
        (lambda r: setattr(r, "id", "x" * 300), "INVALID_ARGUMENT", "200"),
        (lambda r: setattr(r.parameters["event_time"], "string_param", "today"), "INVALID_ARGUMENT", "ISO 8601"),
        (lambda r: setattr(r.parameters["explain"], "string_param", "today"), "INVALID_ARGUMENT", "explain"),
    ],
)
def test_a_mistake_has_a_code_and_a_sentence(bare: Bare, change: Any, code: str, said: str) -> None:
    found = bare.refused(broken(change))
    assert found[0] == code, found
    assert said in found[1]


def test_raw_contents_that_lie(bare: Bare) -> None:
    for raw in ([b"1"], [b""] * 4, [b"\0" * 16, b"\0" * 16, b"\xff" * 9, b"\0\0"]):
        request = service_pb2.ModelInferRequest(model_name="late", raw_input_contents=raw)
        for name, (datatype, _) in COLUMNS.items():
            request.inputs.add(name=name, datatype=datatype, shape=[2])
        assert bare.refused(request)[0] == "INVALID_ARGUMENT"


def test_small_integers_are_not_cut_off(bare: Bare) -> None:
    request = typed()
    request.inputs[1].datatype = "INT8"
    request.inputs[1].contents.ClearField("int64_contents")
    request.inputs[1].contents.int_contents.extend([1, 300])
    assert "300" in bare.refused(request)[1]
    request.inputs[1].contents.int_contents[1] = -128
    assert bare.infer(request).outputs[0].shape == [2]


def test_what_is_no_message(bare: Bare) -> None:
    assert bare.refused(b"\xff\xff\xff")[0] == "INVALID_ARGUMENT"
    assert bare.refused(b"", "ModelStreamInfer")[0] == "UNIMPLEMENTED"
    assert bare.refused(b"", "RepositoryModelLoad")[0] == "UNIMPLEMENTED"
    assert bare.refused(b"", "Nothing")[0] == "UNIMPLEMENTED"


def test_a_message_beyond_the_endpoints_limit() -> None:
    gateway = answerer(Route("late", ONE, max_body=1000), arm(ONE, constant(0.5)), log=Frames())
    with served(gateway) as address:
        bare = Bare(address)
        assert bare.infer(typed()).outputs
        request = typed()
        request.inputs[2].contents.bytes_contents[0] = b"x" * 2000
        code, said = bare.refused(request)
    assert (code, "1000" in said) == ("RESOURCE_EXHAUSTED", True)


def test_a_version_that_fails_is_our_fault() -> None:
    gateway = answerer(Route("late", ONE), arm(ONE, Made(fails)), log=Frames())
    with served(gateway) as address:
        code, said = Bare(address).refused(typed())
    assert code == "INTERNAL"
    assert "pred_" in said


def test_nothing_loaded_is_unavailable() -> None:
    gateway = binary()
    gateway.live.serving = type(gateway.live.serving)(0, {}, {})
    with served(gateway) as address, triton.InferenceServerClient(address) as client:
        assert client.is_server_live()
        assert not client.is_server_ready()
        with pytest.raises(InferenceServerException) as caught:
            client.infer("late", inputs())
    assert "UNAVAILABLE" in str(caught.value.status())


def test_it_does_not_listen_beyond_loopback_unasked() -> None:
    stop: Future[None] = Future()
    with pytest.raises(AddressRefused, match="--allow-remote"):
        serve(binary(), host="0.0.0.0", port=0, remote=False, listening=print, stop=stop)


def test_a_port_that_is_taken_is_refused(address: str) -> None:
    port = int(address.rpartition(":")[2])
    with pytest.raises(AddressRefused, match="--port"):
        serve(binary(), host="127.0.0.1", port=port, remote=False, listening=print, stop=Future())


def test_without_grpcio_the_command_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name == "grpc" or name.startswith("grpc.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [_Without(), *sys.meta_path])
    with pytest.raises(ExtraMissing, match=r"modelloop\[grpc\]"):
        serve(binary(), host="127.0.0.1", port=0, remote=False, listening=print, stop=Future())


class _Without:
    """Finds no grpcio."""

    def find_spec(self, name: str, *_: object) -> None:
        if name == "grpc" or name.startswith("grpc."):
            raise ModuleNotFoundError(f"No module named {name!r}", name="grpc")
