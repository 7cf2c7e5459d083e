"""OpenAPI, the page, and the metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jsonschema
import pytest
from jsonschema.validators import validator_for
from prometheus_client.parser import text_string_to_metric_families

from gateway_faces import ROW, binary, matrix, multiclass, picture, told, two, visit
from gateway_parts import ONE, Made, answerer, arm, fails
from modelloop.deploy.gateway.faces.metrics import Watched, render
from modelloop.deploy.gateway.lanes import LaneCounts
from modelloop.deploy.records import Route


def described(gateway: Any) -> dict[str, Any]:
    found = told(visit(gateway, "GET", "/openapi.json"))
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("make", [binary, two, lambda: multiclass()[0], lambda: picture()[0], lambda: matrix()[0]])
def test_every_example_is_valid_and_answered(make: Any) -> None:
    gateway = make()
    found = described(gateway)
    schemas = found["components"]["schemas"]
    for schema in schemas.values():
        validator_for(schema, jsonschema.Draft202012Validator).check_schema(schema)
    posts = [(path, item["post"]) for path, item in found["paths"].items() if "late" in path and "post" in item]
    assert {path.rpartition("/")[2] for path, _ in posts} == {"late", "infer"}
    for path, operation in posts:
        body = operation["requestBody"]["content"]["application/json"]
        schema = {"$defs": {}, "components": {"schemas": schemas}, **body["schema"]}
        jsonschema.validate(body["example"], schema)
        response = visit(gateway, "POST", path.replace("{number}", "1"), body["example"])
        assert response.status == 200, response.body
        told_as = operation["responses"]["200"]["content"]["application/json"]["schema"]
        jsonschema.validate(told(response), {"components": {"schemas": schemas}, **told_as})


def test_every_get_is_answered_as_it_is_described() -> None:
    gateway = two()
    found = described(gateway)
    for path, item in found["paths"].items():
        if "get" in item:
            response = visit(gateway, "GET", path.replace("{number}", "2"))
            content = item["get"]["responses"]["200"]["content"]
            assert response.status == 200, (path, response.body)
            kind = dict(response.headers)[b"content-type"].decode().partition(";")[0]
            if kind == "application/json":
                schema = {"components": found["components"], **content[kind]["schema"]}
                jsonschema.validate(told(response), schema)
            assert kind in content


def test_all_posts_have_their_errors() -> None:
    for path, item in described(two())["paths"].items():
        if "post" in item and "late" in path:
            assert {"200", "400", "413", "500", "503"} <= item["post"]["responses"].keys(), path


def test_the_page_is_complete_in_itself() -> None:
    page = visit(binary(), "GET", "/docs").body.decode()
    assert "/predict/late" in page
    assert "http://" not in page
    assert "https://" not in page
    assert "src=" not in page


ORDER = ("endpoint", "version", "arm", "code", "outcome", "le")


def families(text: bytes) -> dict[str, dict[tuple[str, tuple[str, ...]], float]]:
    return {
        family.name: {
            (s.name, tuple(s.labels[name] for name in ORDER if name in s.labels)): s.value for s in family.samples
        }
        for family in text_string_to_metric_families(text.decode())
    }


def test_metrics_count_by_endpoint_version_arm_and_code() -> None:
    gateway = two()
    for _ in range(4):
        visit(gateway, "POST", "/predict/late", {"rows": [ROW] * 3})
    visit(gateway, "POST", "/v2/models/late/infer", b"{")
    visit(gateway, "POST", "/v2/models/nobody/infer", b"{")
    response = visit(gateway, "GET", "/metrics")
    found = families(response.body)
    requests = found["modelloop_gateway_requests"]
    assert requests["modelloop_gateway_requests_total", ("late", "delay:1", "champion", "200")] == 4
    assert requests["modelloop_gateway_requests_total", ("late", "", "", "400")] == 1
    assert requests["modelloop_gateway_requests_total", ("", "", "", "404")] == 1
    rows = found["modelloop_gateway_rows"]
    assert rows["modelloop_gateway_rows_total", ("late", "delay:1", "champion")] == 12
    buckets = found["modelloop_gateway_request_duration_seconds"]
    counts = [v for (name, _), v in buckets.items() if name.endswith("_bucket")]
    assert counts == sorted(counts)
    assert (
        counts[-1] == 4 == buckets["modelloop_gateway_request_duration_seconds_count", ("late", "delay:1", "champion")]
    )
    assert found["modelloop_gateway_version_ready"]["modelloop_gateway_version_ready", ("late", "delay:2")] == 1
    assert found["modelloop_gateway_inflight"]["modelloop_gateway_inflight", ()] == 0
    assert found["modelloop_gateway_generation"]["modelloop_gateway_generation", ()] == 7


def test_refusals_of_every_face_are_counted() -> None:
    gateway = two()
    for path in ("/predict/late", "/invocations/late"):
        visit(gateway, "POST", path, b"{")
    requests = families(visit(gateway, "GET", "/metrics").body)["modelloop_gateway_requests"]
    assert requests["modelloop_gateway_requests_total", ("late", "", "", "400")] == 2


def test_failures_are_counted() -> None:
    gateway = answerer(Route("late", ONE), arm(ONE, Made(fails)))
    visit(gateway, "POST", "/predict/late", ROW)
    found = families(visit(gateway, "GET", "/metrics").body)
    failures = found["modelloop_gateway_version_failures"]
    assert failures["modelloop_gateway_version_failures_total", ("late", "delay:1", "champion")] == 1
    assert found["modelloop_gateway_requests"]["modelloop_gateway_requests_total", ("late", "", "", "500")] == 1


def test_what_autoscalers_watch() -> None:
    @dataclass
    class Lane:
        trouble: str
        counts: LaneCounts

    @dataclass
    class Shadow:
        scored: int = 3
        dropped: int = 1
        failed: int = 0
        waiting: int = 7
        lag: float = 0.5

    @dataclass
    class Log:
        failed: int = 2
        failing: str = "No space left on device"
        lost: int = 0
        lag: float = 0.0

    @dataclass
    class Signals:
        busy: Any
        freshness: Any

    @dataclass
    class Busy:
        def ratio(self) -> float:
            return 0.25

        def seconds(self) -> float:
            return 9.0

    @dataclass
    class Fresh:
        seconds: float = 0.0

    gateway = two()
    (route,) = gateway.live.serving.routes.values()
    object.__setattr__(route.champion, "lane", Lane("", LaneCounts(waiting=5, refused=2)))
    watched = Watched(Signals(Busy(), Fresh()), Shadow(), Log())  # type: ignore[arg-type]
    found = families(render(gateway.counters.snapshot(), gateway.live, watched))
    assert found["modelloop_gateway_queue"]["modelloop_gateway_queue", ("late", "delay:1")] == 5
    assert found["modelloop_gateway_capacity_used_ratio"]["modelloop_gateway_capacity_used_ratio", ()] == 0.25
    assert found["modelloop_gateway_shadow"]["modelloop_gateway_shadow_total", ("dropped",)] == 1
    assert found["modelloop_gateway_shadow_waiting"]["modelloop_gateway_shadow_waiting", ()] == 7
    assert found["modelloop_gateway_log_failing"]["modelloop_gateway_log_failing", ()] == 1
    assert found["modelloop_gateway_log_failed"]["modelloop_gateway_log_failed_total", ()] == 2
    assert found["modelloop_gateway_lane_refused"]["modelloop_gateway_lane_refused_total", ("late", "delay:1")] == 2
