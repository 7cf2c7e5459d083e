"""The shell on routes of its own: who gets in, what is refused, in which shape."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from modelloop.ground.core.errors import Conflict
from modelloop.ground.core.rights import Right
from modelloop.ground.http import Call, Page, Route
from modelloop.ground.store.context import Context
from modelloop.web import shell
from modelloop.web.pages import environment
from modelloop.web.session import Doorkeeper

TOKEN = "a-token-of-at-least-thirty-two-letters"
AUTH = {"authorization": f"Bearer {TOKEN}"}
ME = {"origin": "http://localhost:8900"}


def say(call: Call) -> dict[str, Any]:
    """Say what came."""
    return {"who": call.ctx.actor.name, "path": call.path, "body": call.body}


def refuse(_call: Call) -> None:
    """Refuse."""
    raise Conflict("Somebody was first.", detail={"who": "another"})


def break_down(_call: Call) -> None:
    """Break."""
    raise RuntimeError("secret inside")


ROUTES = (
    Route("GET", "/things/{name}", say, Right.READ),
    Route("POST", "/things/{name}", say, Right.RUN),
    Route("GET", "/refused", refuse, Right.READ, Page("/refused", "refused.html")),
    Route("GET", "/broken", break_down, Right.READ),
)


class Caller:
    """A browser without a network: keeps its cookies."""

    def __init__(self, site: Any) -> None:
        self._site = site
        self.cookies = httpx.Cookies()

    def request(self, method: str, path: str, *, follow_redirects: bool = True, **what: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self._site, raise_app_exceptions=False)
            base = "http://localhost:8900"
            async with httpx.AsyncClient(transport=transport, base_url=base, cookies=self.cookies) as client:
                answer = await client.request(method, path, follow_redirects=follow_redirects, **what)
                self.cookies = client.cookies
                return answer

        return asyncio.run(ask())

    def get(self, path: str, **what: Any) -> httpx.Response:
        return self.request("GET", path, **what)

    def post(self, path: str, **what: Any) -> httpx.Response:
        return self.request("POST", path, **what)


@pytest.fixture
def door(tmp_path: Path) -> Doorkeeper:
    return Doorkeeper(TOKEN, tmp_path / "secrets")


@pytest.fixture
def site(ctx: Context, door: Doorkeeper, tmp_path: Path) -> Any:
    project = SimpleNamespace(project={"name": "flights", "owner": "desk"})
    hosts = frozenset({"localhost"})
    made = shell.Site(ctx, project, tmp_path, door, hosts, environment())
    return shell.Guarded(shell.build(made, ROUTES), hosts)


@pytest.fixture
def client(site: Any) -> Caller:
    return Caller(site)


def entered(client: Caller, door: Doorkeeper, ctx: Context) -> Caller:
    answer = client.get(f"/refused?token={door.once(ctx.now())}", follow_redirects=False)
    assert answer.status_code == 303
    assert "token" not in answer.headers["location"]
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    return client


def test_a_token_gets_in(client: Caller) -> None:
    answer = client.get("/api/things/a", headers=AUTH)
    assert answer.json() == {"who": "token", "path": {"name": "a"}, "body": {}}


@pytest.mark.parametrize("path", ["/api/things/a", "/api/refused", "/api/openapi.json", "/refused"])
def test_nobody_gets_in_without(client: Caller, path: str) -> None:
    assert client.get(path).status_code == 401
    assert client.get(path, headers={"authorization": "Bearer wrong"}).status_code == 401


def test_errors_have_one_shape(client: Caller) -> None:
    answer = client.get("/api/refused", headers=AUTH)
    assert answer.status_code == 409
    assert answer.json() == {"error": "Somebody was first.", "code": "ML300", "detail": {"who": "another"}}
    assert client.get("/nowhere", headers=AUTH).json()["code"] == "ML200"
    assert client.request("DELETE", "/api/things/a", headers=AUTH).status_code == 405


def test_what_breaks_inside_is_not_told(client: Caller) -> None:
    answer = client.get("/api/broken", headers=AUTH)
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.json()["code"] == "ML000"


def test_foreign_hosts_are_refused(client: Caller) -> None:
    answer = client.get("/api/things/a", headers={**AUTH, "host": "evil.example:8900"})
    assert answer.status_code == 403
    assert client.get("/health", headers={"host": "evil.example"}).status_code == 403


def test_foreign_origins_change_nothing(client: Caller) -> None:
    foreign = {"origin": "http://evil.example"}
    assert client.post("/api/things/a", json={}, headers={**AUTH, **foreign}).status_code == 403
    assert client.post("/api/things/a", json={}, headers={**AUTH, "origin": "null"}).status_code == 403
    assert client.post("/api/things/a", json={}, headers={**AUTH, **ME}).status_code == 200


def test_a_session_reads_and_changes_only_from_its_own_page(client: Caller, door: Doorkeeper, ctx: Context) -> None:
    entered(client, door, ctx)
    assert client.get("/api/things/a").json()["who"] == "browser"
    assert client.post("/api/things/a", json={}).status_code == 403
    assert client.post("/api/things/a", json={}, headers=ME).status_code == 200


def test_an_address_opens_once(client: Caller, door: Doorkeeper, ctx: Context) -> None:
    token = door.once(ctx.now())
    assert client.get(f"/refused?token={token}", follow_redirects=False).status_code == 303
    client.cookies.clear()
    again = client.get(f"/refused?token={token}", follow_redirects=False)
    assert again.status_code == 401
    assert "modelloop page" in again.text


@pytest.mark.parametrize("body", [b"{", b"[1]", b'"a"', b"\xff", b"[" * 100_000])
def test_bodies_that_are_no_object_are_refused(client: Caller, body: bytes) -> None:
    answer = client.post("/api/things/a", content=body, headers=AUTH)
    assert answer.status_code == 400
    assert answer.json()["code"] == "ML100"


def test_a_huge_body_is_refused(client: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "LARGEST_BODY", 1000)
    answer = client.post("/api/things/a", content=b'{"a":"' + b"x" * 2000 + b'"}', headers=AUTH)
    assert answer.status_code == 413
    assert answer.json()["code"] == "ML104"


def test_every_answer_carries_the_protecting_headers(client: Caller) -> None:
    for path in ("/health", "/static/loop.css", "/api/refused", "/nowhere", "/refused"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"], path
        assert "unsafe-inline" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", ["../shell.py", "..%2fshell.py", "nothing.css", "%2e%2e/pages.py"])
def test_only_listed_static_files_are_served(client: Caller, name: str) -> None:
    assert client.get(f"/static/{name}").status_code == 404


def test_the_api_document_lists_every_route(client: Caller) -> None:
    document = client.get("/api/openapi.json", headers=AUTH).json()
    assert set(document["paths"]) == {"/api" + route.path for route in ROUTES}
    assert document["paths"]["/api/things/{name}"]["post"]["x-right"] == "run"
    assert document["paths"]["/api/things/{name}"]["get"]["summary"] == "Say what came."


@pytest.mark.parametrize("header", [{"host": "[::1"}, {"origin": "http://[x"}])
def test_addresses_of_no_form_are_refused(client: Caller, header: dict[str, str]) -> None:
    answer = client.post("/api/things/a", json={}, headers={**AUTH, **header})
    assert (answer.status_code, "error" in answer.json()) == (403, True)


@pytest.mark.parametrize(
    "body", [b'{"a": ["x\\u0000y"]}', b'{"a": {"\\u0000": 1}}', b'{"a": "\\ud800"}', b'{"a": NaN}', b'{"a": 1e999}']
)
def test_bodies_that_no_database_takes_are_refused(client: Caller, body: bytes) -> None:
    answer = client.post("/api/things/a", content=body, headers=AUTH)
    assert answer.status_code == 400
    assert answer.json()["code"] == "ML100"


def test_an_escaped_backslash_is_no_nul(client: Caller) -> None:
    body = b'{"a": "x\\\\u0000"}'
    assert client.post("/api/things/a", content=body, headers=AUTH).json()["body"] == {"a": "x\\u0000"}


@pytest.mark.parametrize("path", ["/api/things/%00", "/api/things/a?b=%00"])
def test_a_nul_in_an_address_is_refused(client: Caller, path: str) -> None:
    assert client.get(path, headers=AUTH).status_code == 400


def test_a_wrong_method_is_told_the_right_one(client: Caller) -> None:
    answer = client.request("DELETE", "/api/refused", headers=AUTH)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
