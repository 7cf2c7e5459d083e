"""The unmodified tritonclient over HTTP, with its defaults, on both paths through the server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from gateway_process import Place, gateway, wait_for
from modelloop.deploy.records import Arm, Route
from packages import make_candidate, put_package

EXPECTED = 1 / (1 + np.exp(-(0.5 * 12.5 - 0.01 * 300 + 0.2 * 1)))


@pytest.fixture(scope="module", params=["hot", "asgi"])
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("tritonclient")
    place = Place(folder, (folder / "blobs").as_uri())
    first = Arm("delay:1", put_package(place.blobs, make_candidate()))
    second = Arm("delay:2", put_package(place.blobs, make_candidate((0.1, -0.01, 0.2))))
    place.publish(1, Route("late", first, standby=(second,)))
    with (
        gateway(place, "--http", request.param) as process,
        triton.InferenceServerClient(process.address.removeprefix("http://"), concurrency=4) as found,
    ):
        wait_for(found.is_server_ready)
        yield found


def inputs(rows: int = 2, *, binary: bool = True) -> list[Any]:
    columns = {
        "delay": ("FP64", np.full(rows, 12.5)),
        "distance": ("INT64", np.full(rows, 300)),
        "carrier": ("BYTES", np.array([b"UA"] * rows, dtype=np.object_)),
    }
    made = []
    for name, (datatype, values) in columns.items():
        tensor = triton.InferInput(name, [rows], datatype)
        tensor.set_data_from_numpy(values, binary_data=binary)
        made.append(tensor)
    return made


def scores(result: Any) -> Any:
    return result.as_numpy("score")


def test_live_ready_and_metadata(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("late")
    assert client.is_model_ready("late", "2")
    assert not client.is_model_ready("late", "9")
    assert not client.is_model_ready("nobody")
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    assert client.get_model_metadata("late")["versions"] == ["1", "2"]


def test_config_statistics_and_index(client: Any) -> None:
    assert client.get_model_config("late", "2")["parameters"]["version"] == {"string_value": "delay:2"}
    client.infer("late", inputs())
    (found,) = client.get_inference_statistics("late", "1")["model_stats"]
    assert found["inference_stats"]["success"]["count"] > 0
    assert len(client.get_inference_statistics()["model_stats"]) == 2
    assert [entry["state"] for entry in client.get_model_repository_index()] == ["READY", "READY"]
    for change in (client.load_model, client.unload_model):
        with pytest.raises(InferenceServerException, match="rollouts"):
            change("late")


def test_inference_with_defaults(client: Any) -> None:
    found = client.infer("late", inputs())
    assert scores(found) == pytest.approx([EXPECTED] * 2, abs=1e-6)
    assert scores(found).dtype == np.float32
    assert found.get_response()["model_version"] == "1"


def test_json_in(client: Any) -> None:
    assert scores(client.infer("late", inputs(binary=False))) == pytest.approx([EXPECTED] * 2, abs=1e-6)


def test_json_both_ways(client: Any) -> None:
    outputs = [triton.InferRequestedOutput("score", binary_data=False)]
    found = client.infer("late", inputs(binary=False), outputs=outputs)
    assert found.get_response()["outputs"][0]["data"] == pytest.approx([EXPECTED] * 2, abs=1e-6)


def test_some_raw_and_some_json(client: Any) -> None:
    mixed = [*inputs()[:1], *inputs(binary=False)[1:2], *inputs()[2:]]
    assert scores(client.infer("late", mixed)) == pytest.approx([EXPECTED] * 2, abs=1e-6)


@pytest.mark.parametrize("sent", [None, "gzip", "deflate"])
@pytest.mark.parametrize("wanted", [None, "gzip", "deflate"])
def test_compression(client: Any, sent: str | None, wanted: str | None) -> None:
    found = client.infer("late", inputs(64), request_compression_algorithm=sent, response_compression_algorithm=wanted)
    assert scores(found) == pytest.approx([EXPECTED] * 64, abs=1e-6)


def test_ids_versions_and_parameters(client: Any) -> None:
    found = client.infer(
        "late",
        inputs(),
        model_version="2",
        request_id="mine",
        parameters={"event_time": "2013-03-01T05:15:00Z"},
        priority=1,
        timeout=1000,
    )
    assert (found.get_response()["id"], found.get_response()["model_version"]) == ("mine", "2")
    assert not np.allclose(scores(found), EXPECTED)


def test_classification(client: Any) -> None:
    for binary in (True, False):
        outputs = [triton.InferRequestedOutput("score", binary_data=binary, class_count=1)]
        (first, _) = scores(client.infer("late", inputs(), outputs=outputs)).reshape(-1).tolist()
        text = first.decode() if isinstance(first, bytes) else first
        assert float(text.split(":")[0]) == pytest.approx(EXPECTED, abs=1e-5)


def test_asynchronous_inference(client: Any) -> None:
    waiting = [client.async_infer("late", inputs(), request_id=str(number)) for number in range(20)]
    for number, request in enumerate(waiting):
        result = request.get_result(timeout=10)
        assert result.get_response()["id"] == str(number)
        assert scores(result) == pytest.approx([EXPECTED] * 2, abs=1e-6)


def test_mistakes_are_told(client: Any) -> None:
    with pytest.raises(InferenceServerException, match="Did you mean 'late'"):
        client.infer("lat", inputs())
    with pytest.raises(InferenceServerException, match="distance"):
        client.infer("late", inputs()[:1])
    with pytest.raises(InferenceServerException, match="no output 'scor'"):
        client.infer("late", inputs(), outputs=[triton.InferRequestedOutput("scor")])
    with pytest.raises(InferenceServerException, match="not loaded"):
        client.get_model_metadata("late", "9")
