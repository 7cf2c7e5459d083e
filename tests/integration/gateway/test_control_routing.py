"""A gateway that reaches nothing but control: routing table, packages and its report go over HTTP."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn

from deployed import live, publish, route
from gateway_process import Place, gateway, request, wait_for, wait_ready
from modelloop.deploy.actions import reports
from modelloop.ground.core.hashing import hash_bytes
from modelloop.ground.store.context import Context
from modelloop.web import gateways, shell
from modelloop.web.pages import environment
from modelloop.web.session import Doorkeeper
from served import make_project

TOKEN = "a-token-of-at-least-thirty-two-letters"
AUTH = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def control(ctx: Context, tmp_path: Path) -> Iterator[str]:
    """Control's API at a port, on a store that the gateway is not told of."""
    door = Doorkeeper(TOKEN, tmp_path)
    hosts = frozenset({"127.0.0.1"})
    site = shell.Site(ctx, make_project(), tmp_path, door, hosts, environment())
    app = shell.Guarded(shell.build(site, gateways.ROUTES), hosts)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join()


def test_a_gateway_lives_on_control_alone(ctx: Context, control: str, tmp_path: Path) -> None:
    both = route(ctx.blobs)
    publish(ctx.blobs, live(both), generation=1)
    token = tmp_path / "gateway-token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    place = Place(tmp_path / "node", "")
    routing = ("--routing", f"{control}/api/routing", "--routing-token", str(token), "--poll", "0.05")
    command = (*routing, "--state", str(tmp_path / "state"))
    with gateway(place, *command) as running, httpx.Client(base_url=running.address) as client:
        wait_ready(client)
        assert client.post("/v2/models/late_flights/infer", json=request()).status_code == 200
        publish(ctx.blobs, both, generation=2)
        wait_for(lambda: client.get("/v2/health/ready").json()["generation"] == 2)
        (report,) = wait_for(lambda: [found for found in reports(ctx) if found.generation == 2])
        assert report.loaded == ("delay:1", "delay:2")
        assert report.source == f"{control}/api/routing"


def test_only_routed_content_is_given_out_and_only_to_whom_may(ctx: Context, control: str) -> None:
    found = route(ctx.blobs)
    with httpx.Client(base_url=control) as client:
        assert client.get("/api/routing").status_code == 401
        assert client.get("/api/routing", headers=AUTH).status_code == 404
        publish(ctx.blobs, live(found))
        assert client.get("/api/routing", headers=AUTH).json()["generation"] == 7
        answer = client.get(f"/api/routing/content/{found.champion.package}", headers=AUTH)
        assert hash_bytes(answer.content) == found.champion.package
        private = ctx.blobs.put(b"rows of somebody's data")
        assert found.challenger is not None
        for digest in (private, found.challenger.package, "x" * 64):
            assert client.get(f"/api/routing/content/{digest}", headers=AUTH).status_code == 404, digest
        bad = client.post("/api/routing/reports", headers=AUTH, json={"report": {"gateway": "../x"}})
        assert bad.status_code == 400


def test_who_has_the_table_gets_an_empty_answer(ctx: Context, control: str) -> None:
    publish(ctx.blobs, live(route(ctx.blobs)))
    with httpx.Client(base_url=control, headers=AUTH) as client:
        first = client.get("/api/routing")
        tag = first.headers["etag"]
        again = client.get("/api/routing", headers={"if-none-match": tag})
        assert (again.status_code, again.content) == (304, b"")
        publish(ctx.blobs, live(route(ctx.blobs)), generation=8)
        began = time.monotonic()
        assert client.get("/api/routing", headers={"if-none-match": tag}).status_code == 200
        assert time.monotonic() - began < 5
