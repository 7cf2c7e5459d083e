"""What a gateway says of itself and of its versions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway_faces import binary, multiclass, refused, told, two, visit
from gateway_parts import ONE, Made, answerer, arm, constant, fails
from modelloop.deploy.records import Lookup, Route


@pytest.mark.parametrize("path", ["/v2", "/v2/"])
def test_the_server_tells_only_extensions_that_are_true(path: str) -> None:
    found = told(visit(binary(), "GET", path))
    assert found["name"] == "modelloop"
    assert found["version"]
    assert {"binary_tensor_data", "classification", "model_configuration", "statistics"} <= set(found["extensions"])
    assert not {"sequence", "shared_memory", "system_shared_memory"} & set(found["extensions"])


def test_live_and_ready() -> None:
    assert told(visit(binary(), "GET", "/v2/health/live")) == {"live": True}
    ready = visit(binary(), "GET", "/v2/health/ready")
    assert (ready.status, told(ready)["ready"], told(ready)["generation"]) == (200, True, 7)
    empty = binary()
    empty.live.serving = type(empty.live.serving)(0, {}, {})
    assert visit(empty, "GET", "/v2/health/ready").status == 503
    assert visit(empty, "GET", "/ping").status == 503
    assert visit(empty, "GET", "/v2/models/late/ready").status == 503


def test_metadata_has_real_names_types_shapes_and_versions() -> None:
    found = told(visit(two(), "GET", "/v2/models/late"))
    assert (found["name"], found["versions"], found["platform"]) == ("late", ["1", "2"], "onnx_onnxv1")
    assert found["inputs"][0] == {"name": "delay", "datatype": "FP64", "shape": [-1]}
    assert [tensor["datatype"] for tensor in found["inputs"]] == ["FP64", "INT64", "BYTES", "BOOL"]
    assert found["outputs"] == [{"name": "score", "datatype": "FP32", "shape": [-1]}]


def test_metadata_of_several_outputs() -> None:
    found = told(visit(multiclass()[0], "GET", "/v2/models/late/versions/1"))
    assert found["outputs"] == [
        {"name": "probabilities", "datatype": "FP32", "shape": [-1, 3]},
        {"name": "letters", "datatype": "INT64", "shape": [-1]},
    ]


def test_a_version_that_is_not_loaded_says_which_are() -> None:
    for end in ("", "/ready", "/config", "/stats"):
        said = refused(visit(two(), "GET", f"/v2/models/late/versions/9{end}"), 404)
        assert "1, 2" in said


def test_the_model_is_ready_by_version() -> None:
    for path in ("/v2/models/late/ready", "/v2/models/late/versions/2/ready/"):
        assert told(visit(two(), "GET", path)) == {"name": "late", "ready": True}


def test_a_version_in_trouble_is_not_ready_and_the_index_says_why() -> None:
    class Troubled:
        trouble = "It hangs."

    loaded = replace(arm(ONE, constant(0.5)), lane=Troubled())  # type: ignore[arg-type]
    gateway = answerer(Route("late", ONE), loaded)
    assert "hangs" in refused(visit(gateway, "GET", "/v2/models/late/ready"), 503)
    (entry,) = told(visit(gateway, "POST", "/v2/repository/index"))
    assert entry == {"name": "late", "version": "1", "state": "UNAVAILABLE", "reason": "It hangs."}
    assert told(visit(gateway, "POST", "/v2/repository/index", {"ready": True})) == []


def test_the_configuration_is_tritons() -> None:
    route = Route("late", ONE, features=(Lookup("weather", ("carrier",), ("delay",)),))
    gateway = answerer(route, arm(ONE, constant(0.5)))
    found = told(visit(gateway, "GET", "/v2/models/late/config"))
    assert found["version_policy"] == {"specific": {"versions": [1]}}
    assert (found["backend"], found["max_batch_size"], found["platform"]) == ("onnxruntime", 0, "onnx_onnxv1")
    assert found["input"][0]["data_type"] == "TYPE_FP64"
    assert found["input"][0]["optional"]
    assert not found["input"][1]["optional"]
    assert found["input"][2]["data_type"] == "TYPE_STRING"
    assert found["output"][0] == {"name": "score", "data_type": "TYPE_FP32", "dims": [-1], "label_filename": ""}
    assert found["parameters"]["version"] == {"string_value": "delay:1"}


def test_the_index_names_what_should_be_loaded_and_is_not() -> None:
    gateway = two()
    gateway.live.failed = {"delay:3": "its bytes are damaged", "routing/table.json": "not a table"}
    found = told(visit(gateway, "POST", "/v2/repository/index"))
    assert [(e["name"], e["version"], e["state"]) for e in found] == [
        ("late", "1", "READY"),
        ("late", "2", "READY"),
        ("delay", "3", "UNAVAILABLE"),
        ("routing/table.json", "", "UNAVAILABLE"),
    ]
    assert found[2]["reason"] == "its bytes are damaged"
    assert len(told(visit(gateway, "POST", "/v2/repository/index", {"ready": True}))) == 2
    for body in (b"[", [1], {"ready": "yes"}):
        refused(visit(gateway, "POST", "/v2/repository/index", body))


@pytest.mark.parametrize("what", ["load", "unload"])
def test_callers_load_nothing(what: str) -> None:
    assert "rollout" in refused(visit(binary(), "POST", f"/v2/repository/models/late/{what}", {}), 409)


def test_statistics_count_what_was_answered_by_version() -> None:
    gateway = two()
    row = {"delay": 1.0, "distance": 1, "carrier": "AA", "night": False}
    for _ in range(3):
        assert visit(gateway, "POST", "/predict/late", {"rows": [row, row]}).status == 200
    every = told(visit(gateway, "GET", "/v2/models/stats"))["model_stats"]
    assert [(entry["name"], entry["version"]) for entry in every] == [("late", "1"), ("late", "2")]
    (first,) = told(visit(gateway, "GET", "/v2/models/late/versions/1/stats"))["model_stats"]
    assert (first["inference_count"], first["execution_count"]) == (6, 3)
    assert first["inference_stats"]["success"]["count"] == 3
    assert first["inference_stats"]["success"]["ns"] >= first["inference_stats"]["compute_infer"]["ns"] > 0
    assert first["last_inference"] > 0
    assert every[1]["inference_count"] == 0


def test_a_version_that_fails_counts_as_failed() -> None:
    gateway = answerer(Route("late", ONE), arm(ONE, Made(fails)))
    row = {"delay": 1.0, "distance": 1, "carrier": "AA", "night": False}
    assert visit(gateway, "POST", "/predict/late", row).status == 500
    (only,) = told(visit(gateway, "GET", "/v2/models/late/stats"))["model_stats"]
    assert only["inference_stats"]["fail"]["count"] == 1


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("/v2/health/liv", "/v2/health/live"),
        ("/v2/models/late/confg", "/v2/models/late/config"),
        ("/predict/late/now", "/predict/late"),
        ("/metric", "/metrics"),
        ("/v3", "/v2"),
    ],
)
def test_a_wrong_path_is_told_the_near_one(path: str, near: str) -> None:
    assert f"Did you mean {near!r}?" in refused(visit(binary(), "GET", path), 404)


@pytest.mark.parametrize("path", ["/", "//", "/v2//health/live", "/v2/models//ready", "", "/a" * 5000, "/\udc80"])
def test_paths_that_are_nothing(path: str) -> None:
    refused(visit(binary(), "GET", path), 404)


def test_a_wrong_endpoint_is_told_the_near_one() -> None:
    for path in ("/v2/models/lat", "/v2/models/lat/ready", "/predict/lat"):
        assert "Did you mean 'late'?" in refused(visit(binary(), "GET", path), 404)


def test_a_wrong_method_is_told_the_right_one() -> None:
    cases = [
        ("POST", "/v2", b"GET, HEAD"),
        ("DELETE", "/v2/models/late", b"GET, HEAD"),
        ("GET", "/v2/models/late/infer", b"POST"),
        ("GET", "/v2/repository/index", b"POST"),
        ("PUT", "/predict/late", b"GET, POST, HEAD"),
        ("GET", "/invocations", b"POST"),
    ]
    for method, path, allowed in cases:
        response = visit(binary(), method, path)
        refused(response, 405)
        assert dict(response.headers)[b"allow"] == allowed


def test_a_head_is_answered_like_a_get() -> None:
    assert visit(binary(), "HEAD", "/v2/health/live").status == 200
