"""Forms of pages and bytes on their way out, through the shell, on routes of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from modelloop.ground.core.errors import Conflict, InvalidInput
from modelloop.ground.core.rights import Right
from modelloop.ground.http import Call, Route
from modelloop.ground.store.context import Context
from modelloop.web import shell
from modelloop.web.download import Download, can_be_shown
from modelloop.web.forms import Form, address, fields
from modelloop.web.pages import environment
from modelloop.web.session import Doorkeeper

TOKEN = "a-token-of-at-least-thirty-two-letters"
ME = {"origin": "http://localhost:8900"}
SAID: list[Mapping[str, Any]] = []


def say(call: Call) -> dict[str, Any]:
    """Note what came."""
    if call.text("word") == "no":
        raise Conflict("<b>It cannot be.</b>")
    SAID.append({**call.body, "who": call.ctx.actor.name})
    return {}


def fetch(call: Call) -> Download:
    """Return bytes."""
    name = call.query["name"]
    data = call.project_dir / "large" if call.query.get("large") else b"<script>boom()</script>"
    return Download(name, data, shown="show" in call.query)


ROUTES = (
    Route("POST", "/things/{name}", say, Right.RUN, Form("/things/{name}", "refused.html", back="/things/{name}")),
    Route("GET", "/bytes", fetch, Right.READ),
)


@pytest.fixture
def ask(ctx: Context, tmp_path: Path) -> Any:
    """Ask as a browser with a session does."""
    SAID.clear()
    (tmp_path / "large").write_bytes(b"large" * 10)
    door = Doorkeeper(TOKEN, tmp_path / "secrets")
    project = SimpleNamespace(project={"name": "flights", "owner": "desk"})
    site = shell.Site(ctx, project, tmp_path, door, frozenset({"localhost"}), environment())
    guarded = shell.Guarded(shell.build(site, ROUTES), frozenset({"localhost"}))
    session = door.redeem(door.once(ctx.now()), ctx.now()) or ""

    def asked(method: str, path: str, *, cookie: str = session, **what: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(guarded, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8900") as client:
                client.cookies.set("modelloop_8900", cookie)
                return await client.request(method, path, **what)

        return asyncio.run(send())

    return asked


def test_a_form_acts_and_leads_back(ask: Any) -> None:
    answer = ask("POST", "/things/a%20b", data={"word": "yes", "text": "ä\r\nb"}, headers=ME)
    assert (answer.status_code, answer.headers["location"]) == (303, "/things/a%20b")
    assert SAID == [{"word": "yes", "text": "ä\nb", "who": "browser"}]
    assert ask("POST", "/api/things/a", json={"word": "yes"}, headers=ME).json() == {}


def test_a_form_is_refused_as_json_is(ask: Any) -> None:
    words = {"word": "yes"}
    assert ask("POST", "/things/a", data=words).status_code == 403
    assert ask("POST", "/things/a", data=words, headers={"origin": "http://evil.example"}).status_code == 403
    assert ask("POST", "/things/a", data=words, headers={"origin": "null"}).status_code == 403
    assert ask("POST", "/things/a", json=words, headers=ME).status_code == 400
    assert ask("POST", "/things/a", data=words, headers=ME, cookie="x").status_code == 401
    assert ask("GET", "/things/a").status_code == 405
    refused = ask("POST", "/things/a", data={"word": "no"}, headers=ME)
    assert refused.status_code == 409
    assert "&lt;b&gt;It cannot be." in refused.text
    assert SAID == []


@pytest.mark.parametrize(
    "body", [b"a=1&a=2", b"a=%00", b"a=%ff", b"\xff=1", b"&".join(b"a%d=" % n for n in range(300))]
)
def test_forms_that_cannot_be_read_are_refused(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        fields("application/x-www-form-urlencoded", body)


def test_the_way_back_stays_on_this_site() -> None:
    assert address(Form("/x", "x", back="/runs/{id}"), {"id": "//evil.example/?a"}) == "/runs/%2F%2Fevil.example%2F%3Fa"


@pytest.mark.parametrize(
    ("name", "shown", "kind"),
    [
        ("report.html", True, "text/html; charset=utf-8"),
        ("report.html", False, "application/octet-stream"),
        ("notes.json", True, "text/plain; charset=utf-8"),
        ("picture.svg", True, "image/svg+xml"),
        ("model.bin", True, "application/octet-stream"),
        ('../../a"b\r\nx: y\n.pdf', True, "application/octet-stream"),
        ("ä.HTML", True, "text/html; charset=utf-8"),
        ("", True, "application/octet-stream"),
    ],
)
@pytest.mark.parametrize("large", ["", "1"])
def test_bytes_are_saved_or_shown_in_a_sandbox(ask: Any, name: str, kind: str, large: str, *, shown: bool) -> None:
    asked = {"name": name, "large": large, **({"show": "1"} if shown else {})}
    answer = ask("GET", "/api/bytes", params=asked)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == kind
    assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert answer.headers["x-content-type-options"] == "nosniff"
    inline = kind != "application/octet-stream"
    disposition = answer.headers["content-disposition"]
    assert disposition.startswith("inline; " if inline else "attachment; ")
    assert "/" not in disposition
    assert "x" not in answer.headers
    assert answer.content == (b"large" * 10 if large else b"<script>boom()</script>")
    assert can_be_shown(name) is (kind != "application/octet-stream") or not shown
