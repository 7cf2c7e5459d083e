"""A gateway that reaches nothing but control: routing table, packages and its report go over HTTP."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
import polars as pl
import pytest
import uvicorn

from deployed import live, publish, route
from gateway_process import Place, gateway, request, wait_for, wait_ready
from modelloop.deploy.actions import reports
from modelloop.deploy.online import OnlineDocument, decode, table_document
from modelloop.deploy.online_frame import to_table
from modelloop.deploy.records import Lookup
from modelloop.deploy.settings import OnlineSettings
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
    with controlled(ctx, tmp_path) as address:
        yield address


@contextmanager
def controlled(ctx: Context, tmp_path: Path) -> Iterator[str]:
    """Control's API, until the block ends."""
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


LOOKUP = Lookup("known", ("carrier",), ("delay",))


def fill(ctx: Context, delay: float) -> OnlineDocument:
    """Make the newest state of the online table: the delay of a carrier."""
    settings = OnlineSettings("known", ("carrier",), "at", ("delay",))
    rows = pl.DataFrame({"carrier": ["UA"], "at": [datetime(2020, 1, 1, tzinfo=UTC)], "delay": [delay]})
    data, count, datatypes = to_table("known", settings, rows.lazy())
    document = OnlineDocument(ctx.blobs.put(data), "known", 1, "", count, len(decode(data)), ("carrier",), datatypes)
    ctx.blobs.write_document(table_document("known"), msgspec.json.encode(document))
    return document


def bare() -> dict[str, Any]:
    """Return a request that leaves the delay to be looked up."""
    made = request()
    made["inputs"] = [one for one in made["inputs"] if one["name"] != "delay"]
    return made


def score(client: httpx.Client, body: dict[str, Any]) -> float:
    answer = client.post("/v2/models/late_flights/infer", json=body)
    assert answer.status_code == 200, answer.text
    return float(answer.json()["outputs"][0]["data"][0])


def with_delay(delay: float) -> dict[str, Any]:
    made = request()
    next(one for one in made["inputs"] if one["name"] == "delay")["data"] = [delay]
    return made


def test_online_tables_come_over_http_and_are_kept(ctx: Context, tmp_path: Path) -> None:
    """Filled anew they are swapped; cut off the last ones count, also after a start; no store is ever reached."""
    found = live(route(ctx.blobs))
    publish(ctx.blobs, found, generation=1)
    token = tmp_path / "gateway-token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    place = Place(tmp_path / "node", "")
    with controlled(ctx, tmp_path) as control:
        routing = ("--routing", f"{control}/api/routing", "--routing-token", str(token), "--poll", "0.05")
        command = (*routing, "--state", str(tmp_path / "state"))
        with gateway(place, *command) as running, httpx.Client(base_url=running.address) as client:
            wait_ready(client)
            assert client.post("/v2/models/late_flights/infer", json=bare()).status_code == 400
            first = fill(ctx, 40.0)
            publish(ctx.blobs, replace(found, features=(LOOKUP,)), generation=2)
            # the table is there before the first answer that needs it: no look is answered 503
            answers = []
            while not answers or answers[-1] == 400:
                answers.append(client.post("/v2/models/late_flights/infer", json=bare()).status_code)
            assert answers[-1] == 200
            assert score(client, bare()) == score(client, with_delay(40.0))
            second = fill(ctx, -20.0)
            assert second.digest != first.digest
            wait_for(lambda: score(client, bare()) == score(client, with_delay(-20.0)))
            assert "online" not in client.get("/v2/health/ready").json()
            damaged = replace(second, digest="0" * 64)
            ctx.blobs.write_document(table_document("known"), msgspec.json.encode(damaged))
            told = wait_for(lambda: client.get("/v2/health/ready").json().get("online"))
            assert "0000" in told["known"]
            assert score(client, bare()) == score(client, with_delay(-20.0))
            assert running.stop() == 0
    with gateway(place, *command) as running, httpx.Client(base_url=running.address) as client:
        wait_ready(client)
        assert score(client, bare()) == score(client, with_delay(-20.0))


def test_only_online_tables_that_are_read_are_given_out(ctx: Context, control: str) -> None:
    document = fill(ctx, 1.0)
    found = live(route(ctx.blobs))
    publish(ctx.blobs, found)
    with httpx.Client(base_url=control, headers=AUTH) as client:
        assert client.get("/api/routing/online/known").status_code == 404
        assert client.get(f"/api/routing/content/{document.digest}").status_code == 404
        publish(ctx.blobs, replace(found, features=(LOOKUP,)), generation=8)
        answer = client.get("/api/routing/online/known")
        assert msgspec.json.decode(answer.content, type=OnlineDocument) == document
        tag = {"if-none-match": answer.headers["etag"]}
        assert client.get("/api/routing/online/known", headers=tag).status_code == 304
        content = client.get(f"/api/routing/content/{document.digest}")
        assert hash_bytes(content.content) == document.digest
        for name in ("other", "..%2f..%2fsecret", "x" * 400):
            assert client.get(f"/api/routing/online/{name}").status_code == 404, name
    with httpx.Client(base_url=control) as client:
        assert client.get("/api/routing/online/known").status_code == 401
