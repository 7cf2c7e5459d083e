"""Beside the page, behind the same door: hosts and origins are checked before the MLflow-compatible API is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from modelloop.mlflow.face import Face
from modelloop.mlflow.routes import ROUTES
from modelloop.web.shell import Guarded

HOSTS = frozenset({"127.0.0.1", "localhost"})


class Named:
    """An application that answers with its name."""

    def __init__(self, name: str) -> None:
        self.name = name

    serves = staticmethod(Face.serves)

    async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": self.name.encode()})


def ask(method: str, path: str, **headers: str) -> tuple[int, bytes]:
    sent: list[Mapping[str, Any]] = []

    async def receive() -> Mapping[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Mapping[str, Any]) -> None:
        sent.append(message)

    given = {"host": "127.0.0.1:8230", **headers}
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }
    inner: Any = Named("page")
    asyncio.run(Guarded(inner, HOSTS, Named("mlflow"))(scope, receive, send))
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


@pytest.mark.parametrize(
    ("path", "who"),
    [
        ("/api/2.0/mlflow/runs/get", b"mlflow"),
        ("/api/2.0/mlflow-artifacts/artifacts/x", b"mlflow"),
        ("/api/3.0/mlflow/server-info", b"mlflow"),
        ("/ajax-api/2.0/mlflow/runs/search", b"mlflow"),
        ("/v1/traces", b"mlflow"),
        ("/version", b"mlflow"),
        ("/get-artifact", b"mlflow"),
        ("/", b"page"),
        ("/health", b"page"),
        ("/api/runs", b"page"),
        ("/api/loop", b"page"),
        ("/models/version", b"page"),
        ("/versions", b"page"),
    ],
)
def test_each_path_has_its_face(path: str, who: bytes) -> None:
    assert ask("GET", path) == (200, who)


def test_every_address_of_the_list_is_served() -> None:
    assert all(Face.serves(address) for route in ROUTES for address in route.addresses())


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "[x", "evil.example:8230"])
def test_foreign_hosts_reach_neither(host: str) -> None:
    assert ask("GET", "/version", host=host)[0] == 403
    assert ask("GET", "/", host=host)[0] == 403


def test_a_foreign_page_changes_nothing() -> None:
    path = "/api/2.0/mlflow/runs/create"
    assert ask("POST", path, origin="http://evil.example")[0] == 403
    assert ask("POST", path, origin="http://127.0.0.1:8230") == (200, b"mlflow")
    assert ask("POST", path) == (200, b"mlflow")
    assert ask("GET", "/version", origin="http://evil.example") == (200, b"mlflow")
