"""The list of routes: each declares its right, each is found, and nobody comes in without a token."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator

import pytest

from mlflow_face import BEARER, TOKEN, Client, client_of
from modelloop.ground.core.records import Actor, Role
from modelloop.ground.core.rights import Right, may
from modelloop.ground.store.context import Context
from modelloop.mlflow.bodies import from_body, from_query
from modelloop.mlflow.messages import LogMetric, SearchRuns
from modelloop.mlflow.routes import ROUTES
from modelloop.mlflow.routing import Table

SAFE = {"GET"}
PUBLIC = {"/version"}
READS_BY_POST = {
    "runs/search",
    "experiments/search",
    "experiments/search-datasets",
    "logged-models/search",
    "registered-models/get-latest-versions",
}


@pytest.fixture
def client(ctx: Context) -> Iterator[Client]:
    with client_of(ctx) as made:
        yield made


def filled(address: str) -> str:
    return re.sub(r"\{\*?\}", "x", address)


def test_every_route_declares_its_right_and_one_thing_to_do() -> None:
    assert len(ROUTES) > 60
    for route in ROUTES:
        assert isinstance(route.right, Right), route
        assert route.places, route
        assert sum(bool(what) for what in (route.answer, route.change, route.stream, route.absent)) == 1, route
        if route.absent:
            assert route.absent.endswith("."), route
        elif route.method not in SAFE and route.path not in READS_BY_POST:
            assert route.right in {Right.RUN, Right.DEPLOY}, f"what changes something needs more than READ: {route}"
        if route.right is Right.PUBLIC:
            assert set(route.addresses()) <= PUBLIC, route


def test_whoever_may_only_look_changes_nothing() -> None:
    looks = [route for route in ROUTES if may(Actor("ann", Role.VIEWER), route.right)]
    assert {route.method for route in looks if not route.absent} <= {"GET", "POST"}
    assert {route.path for route in looks if route.method == "POST" and not route.absent} == READS_BY_POST


def test_every_address_is_found_and_leads_to_its_route() -> None:
    table = Table(ROUTES)
    for route in ROUTES:
        for address in route.addresses():
            found, words = table.find(filled(address))
            assert route.method in found, address
            assert len(words) <= address.count("{")


def test_no_address_answers_without_a_token(client: Client) -> None:
    client.authorization = None
    for route in ROUTES:
        for address in route.addresses():
            reply = client.call(route.method, filled(address))
            if address in PUBLIC:
                assert reply.status == 200
            else:
                assert (reply.status, reply.code) == (401, "UNAUTHENTICATED"), address


@pytest.mark.parametrize(
    "header",
    [
        "Bearer wrong",
        f"Bearer {TOKEN}x",
        f"bearer{TOKEN}",
        "Basic",
        "Basic !!!",
        "Basic " + base64.b64encode(b"anybody:wrong").decode(),
        "Basic " + base64.b64encode(f"{TOKEN}:".encode()).decode(),
        "Basic " + base64.b64encode(b"\xff:\xff").decode(),
        "Digest x",
        "",
    ],
)
def test_a_wrong_token_is_refused_by_a_sentence(client: Client, header: str) -> None:
    client.authorization = header
    reply = client.get("experiments/get", experiment_id="0")
    assert (reply.status, reply.code) == (401, "UNAUTHENTICATED")
    assert "MLFLOW_TRACKING_TOKEN" in reply.message
    assert "www-authenticate" not in reply.headers, "browsers must not learn a password they would send by themselves"


@pytest.mark.parametrize(
    "header", [BEARER, f"bearer {TOKEN}", "Basic " + base64.b64encode(f"anybody:{TOKEN}".encode()).decode()]
)
def test_the_token_opens_as_bearer_and_as_password(client: Client, header: str) -> None:
    client.authorization = header
    assert client.get("experiments/get", experiment_id="0").status == 200


def test_answers_are_never_shown_as_a_page(client: Client) -> None:
    reply = client.get("experiments/get", experiment_id="0")
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in reply.headers["content-security-policy"]
    assert reply.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/2.0/mlflow/nothing/here", 404, "ENDPOINT_NOT_FOUND"),
        ("GET", "/api/2.0/mlflow/runs/create", 405, "ENDPOINT_NOT_FOUND"),
        ("POST", "/api/2.0/mlflow/traces", 501, "NOT_IMPLEMENTED"),
        ("POST", "/api/3.0/mlflow/traces", 501, "NOT_IMPLEMENTED"),
        ("POST", "/v1/traces", 501, "NOT_IMPLEMENTED"),
        ("GET", "/api/3.0/mlflow/traces/tr-1/assessments/a", 501, "NOT_IMPLEMENTED"),
        ("POST", "/api/3.0/mlflow/scorers/register", 501, "NOT_IMPLEMENTED"),
        ("GET", "/api/3.0/mlflow/gateway/endpoints/list", 501, "NOT_IMPLEMENTED"),
        ("POST", "/api/2.0/mlflow/webhooks", 501, "NOT_IMPLEMENTED"),
        ("POST", "/api/2.0/mlflow/model-versions/transition-stage", 501, "NOT_IMPLEMENTED"),
        ("POST", "/api/2.0/mlflow-artifacts/mpu/create/0/r/artifacts", 501, "NOT_IMPLEMENTED"),
        ("GET", "/api/2.0/mlflow-artifacts/presigned/0/r/artifacts/x", 501, "NOT_IMPLEMENTED"),
    ],
)
def test_what_is_not_here_says_so(client: Client, method: str, path: str, status: int, code: str) -> None:
    reply = client.call(method, path, {})
    assert (reply.status, reply.code) == (status, code)
    assert reply.message.endswith(".")


def test_prompts_are_told_apart_from_models(client: Client) -> None:
    reply = client.post(
        "registered-models/create", name="p", tags=[{"key": "mlflow.prompt.is_prompt", "value": "true"}]
    )
    assert (reply.status, reply.code) == (501, "NOT_IMPLEMENTED")
    assert "Prompts" in reply.message


BROKEN = [
    b"{",
    b"not json",
    b"[1, 2]",
    b'"text"',
    b"\xff\xfe",
    b'{"run_id": 7}',
    b'{"run_id": "r", "key": "k", "value": "many", "timestamp": 1}',
    b'{"run_id": "r", "key": "k", "value": 1, "timestamp": 99999999999999999999999}',
    b'{"run_id": "r", "key": "k", "value": 1e999, "timestamp": 1}',
    b'{"run_id": "r", "key": "a\\u0000b", "value": 1, "timestamp": 1}',
    b'{"run_id": "r", "key": "\\ud800", "value": 1, "timestamp": 1}',
    b'{"a":' * 20_000,
    b'{"run_id": "r", "key": "k", "value": NaN, "timestamp": Infinity}',
    b"{}",
    b"",
]


@pytest.mark.parametrize("body", BROKEN, ids=lambda body: body[:30].decode("latin-1"))
def test_bodies_of_another_form_are_refused(client: Client, body: bytes) -> None:
    reply = client.call("POST", "/api/2.0/mlflow/runs/log-metric", body)
    assert (reply.status, reply.code) == (400, "INVALID_PARAMETER_VALUE")
    assert reply.message


def test_a_body_beyond_the_limit_is_refused(client: Client) -> None:
    large = client.call("POST", "/api/2.0/mlflow/runs/log-batch", b"x" * 32_000_001)
    assert large.status == 413
    told = client.call("POST", "/api/2.0/mlflow/runs/log-batch", b"x", headers=[(b"content-length", b"99999999999")])
    assert told.status == 413


def test_numbers_may_come_as_text_and_nan_in_both_spellings() -> None:
    written = from_body(b'{"run_id":"r","key":"k","value":"NaN","timestamp":"12","step":"3","more":{}}', LogMetric)
    assert (written.timestamp, written.step) == (12, 3)
    assert written.value != written.value
    bare = from_body(b'{"run_id":"r","key":"k","value":-Infinity,"timestamp":1}', LogMetric)
    assert bare.value == float("-inf")
    nothing = from_body(b'{"run_id":null}', LogMetric)
    assert nothing.run_id is None


def test_a_backslash_before_u0000_is_no_nul() -> None:
    assert from_body(rb'{"key":"a\\u0000"}', LogMetric).key == r"a\u0000"


def test_a_query_may_repeat_what_is_a_list() -> None:
    asked = from_query(b"experiment_ids=1&experiment_ids=2&max_results=5&order_by=a+DESC&other=x", SearchRuns)
    assert (asked.experiment_ids, asked.max_results, asked.order_by) == (["1", "2"], 5, ["a DESC"])
