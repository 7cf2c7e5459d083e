"""All routes of control, walked: each declares its right, each role reaches what it may and no more."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest

from modelloop.evaluate.settings import Task
from modelloop.ground.core.records import Actor, Role
from modelloop.ground.core.rights import Right, may
from modelloop.ground.http import Route
from modelloop.ground.store.context import Context
from modelloop.project import Project, read_project
from modelloop.scaffold import scaffold
from modelloop.web import shell
from modelloop.web.pages import environment
from modelloop.web.routes import ROUTES
from modelloop.web.session import Doorkeeper

HOSTS = frozenset({"localhost"})
TOKEN = "t" * 40
SEGMENTS = {"number": "1"}


class AsRole(Doorkeeper):
    """Lets in whoever names a role as the token."""

    def bearer(self, header: str | None) -> Actor | None:
        role = (header or "").removeprefix("Bearer ")
        return Actor("somebody", Role(role)) if role in set(Role) else None


@pytest.fixture
def project(tmp_path: Path) -> Project:
    scaffold(tmp_path / "project", "trial", task=Task.BINARY)
    return read_project(tmp_path / "project" / "modelloop.toml")


@pytest.fixture
def site(ctx: Context, project: Project, tmp_path: Path) -> shell.Guarded:
    door = AsRole(TOKEN, tmp_path / "secrets")
    made = shell.Site(ctx, project, tmp_path / "project", door, HOSTS, environment())
    return shell.Guarded(shell.build(made, ROUTES), HOSTS)


def ask(site: shell.Guarded, calls: Sequence[tuple[str, str, str | None]]) -> list[httpx.Response]:
    async def all_of_them() -> list[httpx.Response]:
        transport = httpx.ASGITransport(site)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return [
                await client.request(
                    method,
                    path,
                    headers={"authorization": f"Bearer {role}"} if role else {},
                    json={} if method == "POST" else None,
                )
                for method, path, role in calls
            ]

    return asyncio.run(all_of_them())


def path_of(route: Route) -> str:
    return "/api" + re.sub(r"\{(\w+)\}", lambda found: SEGMENTS.get(found[1], "nothing"), route.path)


def test_every_route_declares_a_right_and_none_is_public() -> None:
    assert len(ROUTES) > 20
    for route in ROUTES:
        assert isinstance(route.right, Right)
        assert route.right is not Right.PUBLIC, route.path
        assert route.right is not Right.READ or route.method == "GET", route.path
        assert route.action.__doc__, route.path


def test_no_two_routes_share_an_address() -> None:
    addresses = [(route.method, route.path) for route in ROUTES]
    assert len(set(addresses)) == len(addresses)


def test_nobody_reaches_anything(site: shell.Guarded) -> None:
    calls = [(route.method, path_of(route), None) for route in ROUTES]
    assert {answer.status_code for answer in ask(site, calls)} == {401}


def test_each_role_reaches_what_it_may_and_no_more(site: shell.Guarded) -> None:
    calls = [(route, role) for route in ROUTES for role in Role]
    answers = ask(site, [(route.method, path_of(route), str(role)) for route, role in calls])
    for (route, role), answer in zip(calls, answers, strict=True):
        denied = answer.status_code == 403 and answer.json()["code"] == "ML401"
        assert denied is not may(Actor("somebody", role), route.right), (route.path, role, answer.text)
        assert answer.status_code < 500, (route.path, answer.text)


def test_pages_and_their_json_twins_answer_on_an_empty_store(site: shell.Guarded) -> None:
    page, twin, missing = ask(
        site, [("GET", "/", "admin"), ("GET", "/api/picture", "admin"), ("GET", "/episodes/nothing", "admin")]
    )
    assert page.status_code == twin.status_code == 200
    assert [stage["word"] for stage in twin.json()["stages"]] == [
        *("data", "label", "prepare", "train", "evaluate"),
        *("register", "deploy", "monitor", "retrain"),
    ]
    for stage in twin.json()["stages"]:
        assert f">{stage['word']}</text>" in page.text
    assert twin.json()["objective"]["question"] in page.text
    assert missing.status_code == 404


def test_each_page_has_a_twin_and_both_answer_on_an_empty_store(site: shell.Guarded) -> None:
    pages = [route for route in ROUTES if route.method == "GET" and route.page is not None and "{" not in route.path]
    plain = {"/", "/data", "/runs", "/experiments", "/endpoints", "/triggers", "/cost"}
    assert {route.page.path for route in pages if route.page} == plain | {"/compare"}
    for route in pages:
        assert route.page is not None
        if route.page.path not in plain:  # runs to compare must be named
            continue
        page, twin, nobody = ask(
            site,
            [
                ("GET", route.page.path, "viewer"),
                ("GET", "/api" + route.path, "viewer"),
                ("GET", route.page.path, None),
            ],
        )
        assert (page.status_code, twin.status_code, nobody.status_code) == (200, 200, 401), route.path
        assert f'<a href="/api{route.path}">' in page.text


def test_forms_ask_for_the_right_of_their_route(site: shell.Guarded) -> None:
    run = "run_" + "0" * 26
    answered = [ask(site, [("POST", f"/runs/{run}/{what}", role)])[0] for what, role in (
        ("cancel", "viewer"), ("cancel", "scientist"), ("answers", "scientist"), ("answers", "engineer")
    )]  # fmt: skip
    # who may is only told that JSON is no form
    assert [answer.status_code for answer in answered] == [403, 400, 403, 400]


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "..%2f..%2fetc", "a" * 500, "A", "x;drop", "%00", "1e9", "<script>", "٣"]
)
def test_names_from_outside_are_checked(site: shell.Guarded, name: str) -> None:
    calls = [
        ("GET", f"/api/data/{name}", "admin"),
        ("GET", f"/api/models/{name}/1", "admin"),
        ("GET", f"/api/models/m/{name}", "admin"),
        ("GET", f"/models/m/{name}", "admin"),
        ("GET", f"/api/runs/{name}", "admin"),
        ("GET", f"/data/{name}", "admin"),
        ("GET", f"/data/rows/diff/1/{name}", "admin"),
        ("GET", f"/runs/{name}", "admin"),
        ("GET", f"/api/episodes/{name}", "admin"),
        ("GET", f"/api/runs?limit={name}", "admin"),
    ]
    for answer in ask(site, calls):
        assert answer.status_code in (400, 404), answer.text
        assert "<script>" not in answer.text or answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "outcome",
    [
        {},
        {"prediction_id": 1, "label": 1},
        {"prediction_id": "p", "label": 1, "event_time": "soon"},
        {"prediction_id": "p", "label": 1, "event_time": "2013-03-01T00:00:00Z", "row": -1},
        {"prediction_id": "p", "label": 1, "event_time": "2013-03-01T00:00:00Z", "row": True},
    ],
)
def test_outcomes_of_a_wrong_form_are_refused(site: shell.Guarded, outcome: dict[str, object]) -> None:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(site)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            body = {"endpoint": "trial", "outcomes": [outcome]}
            return await client.post("/api/outcomes", json=body, headers={"authorization": "Bearer admin"})

    answer = asyncio.run(send())
    assert answer.status_code == 400
    assert answer.json()["code"] in ("ML100", "ML105")
