"""The unmodified tritonclient over gRPC against a gateway process of its own; the process is told to end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from gateway_process import Place, gateway, wait_for
from modelloop.deploy.records import Arm, Route
from packages import make_candidate, put_package


def test_a_gateway_over_grpc(tmp_path: Path) -> None:
    place = Place(tmp_path, (tmp_path / "blobs").as_uri())
    place.publish(1, Route("late", Arm("delay:1", put_package(place.blobs, make_candidate()))))
    with gateway(place, "--face", "grpc") as process:
        with triton.InferenceServerClient(process.address.removeprefix("grpc://")) as client:
            wait_for(client.is_server_ready)
            columns = {
                "delay": ("FP64", np.array([12.5])),
                "distance": ("INT64", np.array([300])),
                "carrier": ("BYTES", np.array([b"UA"], dtype=np.object_)),
            }
            inputs = []
            for name, (datatype, values) in columns.items():
                tensor = triton.InferInput(name, [1], datatype)
                tensor.set_data_from_numpy(values)
                inputs.append(tensor)
            found = client.infer("late", inputs, request_id="mine")
            expected = 1 / (1 + np.exp(-(0.5 * 12.5 - 0.01 * 300 + 0.2 * 1)))
            assert found.as_numpy("score") == pytest.approx([expected], abs=1e-6)
            assert client.get_model_metadata("late").platform == "onnx_onnxv1"
            with pytest.raises(InferenceServerException, match="INVALID_ARGUMENT"):
                client.infer("late", inputs[:1])
            prediction = found.get_response().parameters["prediction_id"].string_param
        assert process.stop() == 0
    (record,) = [record for record in place.records() if record["k"] == "a"]
    assert (record["id"], record["cid"], record["v"]) == (prediction, "mine", "delay:1")
