"""Alerts reach a receiver in spite of its failures, and never our own network."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from modelloop.ground.core.errors import AddressRefused
from modelloop.ground.store.context import Context
from modelloop.monitor import actions, tables
from modelloop.monitor.adapters import webhook
from modelloop.monitor.settings import AlertSettings, Channel
from served import make_project

ALLOW = {webhook.ALLOW_PRIVATE: "1"}


@pytest.fixture
def receiver() -> Iterator[dict[str, Any]]:
    """A receiver that answers with the codes in `codes`, then 200, and keeps what came."""
    state: dict[str, Any] = {"codes": [], "came": []}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state["came"].append((dict(self.headers), json.loads(body)))
            code = state["codes"].pop(0) if state["codes"] else 200
            self.send_response(code)
            if code == 302:
                self.send_header("Location", "http://127.0.0.1:1/")
            self.end_headers()

        def log_message(self, *args: Any) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state["url"] = f"http://localhost:{server.server_port}/hook?key=1"
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


def waiting(ctx: Context) -> None:
    body = {"event": "raised", "message": "Quality fell", "alert": "alert_1"}
    with ctx.db.transaction() as connection:
        tables.post(connection, [{"id": "m1", "channel": "hook", "body": body, "attempts": 0, "next_at": ctx.now()}])


PROJECT = make_project(alerts={"hook": AlertSettings(Channel.WEBHOOK, url_from="HOOK")})


def test_sent_again_until_it_arrives(ctx: Context, receiver: dict[str, Any]) -> None:
    waiting(ctx)
    receiver["codes"] = [500, 302]
    environ = ALLOW | {"HOOK": receiver["url"]}
    assert actions.send_alerts(ctx, PROJECT, environ) == 0
    assert actions.send_alerts(ctx, PROJECT, environ) == 0, "not before its time"
    ctx.clock.advance(timedelta(seconds=6))  # type: ignore[attr-defined]
    assert actions.send_alerts(ctx, PROJECT, environ) == 0
    ctx.clock.advance(timedelta(seconds=11))  # type: ignore[attr-defined]
    assert actions.send_alerts(ctx, PROJECT, environ) == 1
    assert [body["message"] for _, body in receiver["came"]] == ["Quality fell"] * 3
    assert {headers["Idempotency-Key"] for headers, _ in receiver["came"]} == {"m1"}
    assert {headers["Host"].split(":")[0] for headers, _ in receiver["came"]} == {"localhost"}


def test_given_up_after_five_tries_with_the_reason_kept(ctx: Context) -> None:
    waiting(ctx)
    for _ in range(8):
        actions.send_alerts(ctx, PROJECT, {})
        ctx.clock.advance(timedelta(hours=1))  # type: ignore[attr-defined]
    with ctx.db.reading() as connection:
        row = connection.execute(tables.outbox.select()).mappings().one()
    assert (row["attempts"], row["sent_at"]) == (5, None)
    assert "'HOOK'" in row["error"]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://localhost:9/",
        "http://10.1.2.3/",
        "http://169.254.169.254/",
        "http://[::1]/",
        "http://0.0.0.0/",
    ],
)
def test_our_own_network_is_refused(url: str) -> None:
    with pytest.raises(AddressRefused, match="not a public address"):
        webhook.post(url, {}, key="k", environ={})


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.org/", "http://", "nonsense"])
def test_only_web_addresses(url: str) -> None:
    with pytest.raises(AddressRefused):
        webhook.post(url, {}, key="k", environ=ALLOW)
