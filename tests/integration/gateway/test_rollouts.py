"""Rollouts at real gateways: to live without a restart, back within a second by one command, the same after a crash."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway_process import Gateway, Place, gateway, request, wait_for, wait_ready
from modelloop import app
from modelloop.deploy import actions
from modelloop.deploy.records import Rollout, Stage
from modelloop.evaluate.settings import Task
from modelloop.ground.store.context import Context
from modelloop.project import Project, read_project
from modelloop.scaffold import scaffold
from packages import make_candidate, put_package
from served import put_version

INFER = "/v2/models/late/infer"
ENDPOINT = """
[endpoints.late]
model = "delay"
registered = true
[endpoints.late.rollout]
shadow_rows = 0
canary = [0.5]
canary_rows = 20
bake_rows = 30
"""


class Site:
    """A project on disk, with gateways that follow it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        scaffold(folder, "trial", task=Task.BINARY)
        file = folder / "modelloop.toml"
        file.write_text(file.read_text() + ENDPOINT)
        self.project: Project = read_project(file)
        self.ctx: Context = app.open_context(folder)
        self.place = Place(folder / ".modelloop", app.settings_for(folder).blobs_url)

    def register(self, number: int) -> str:
        digest = put_package(self.ctx.blobs, make_candidate((number / 10, -0.01, 0.2)))
        return str(put_version(self.ctx, number, digest=digest).name)

    def go(self, number: int) -> Rollout:
        """Start a rollout and bring it to the end of its check."""
        started = actions.start_rollout(self.ctx, self.project, "late", self.register(number), reason="test")

        def checked() -> Rollout | None:
            found = actions.advance(self.ctx, started.id)
            return found if found.stage is not Stage.CHECK else None

        found = wait_for(checked)
        assert isinstance(found, Rollout)
        assert found.stage is not Stage.BACK, found.verdicts[-1].reason
        return found

    def live(self, number: int) -> None:
        """Let a version answer everybody, with the bake over."""
        rollout = self.go(number)
        while rollout.stage is not Stage.LIVE:
            rollout = actions.promote(self.ctx, "late", reason="test")

    def command(self, *words: str) -> dict[str, Any]:
        line = [sys.executable, "-m", "modelloop", *words, "--json", "--project", str(self.folder)]
        done = subprocess.run(line, capture_output=True, text=True, check=True, timeout=60)
        answer = json.loads(done.stdout)
        assert isinstance(answer, dict)
        return answer


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path / "project")
    yield made
    made.ctx.db.close()


@pytest.fixture
def running(site: Site) -> Iterator[tuple[Gateway, httpx.Client]]:
    with gateway(site.place) as process, httpx.Client(base_url=process.address) as client:
        site.live(1)
        wait_ready(client)
        yield process, client


def version(client: httpx.Client) -> str:
    answer = client.post(INFER, json=request())
    assert answer.status_code == 200, answer.text
    return str(answer.json()["parameters"]["version"])


def answers_with(client: httpx.Client, name: str) -> None:
    wait_for(lambda: version(client) == name)


class Callers:
    """Some that ask all the time."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._stop = threading.Event()
        self.seen: list[tuple[int, str]] = []
        self._threads = [threading.Thread(target=self._ask) for _ in range(2)]

    def _ask(self) -> None:
        with httpx.Client(base_url=self._address) as client:
            while not self._stop.is_set():
                answer = client.post(INFER, json=request())
                self.seen.append((answer.status_code, answer.json().get("parameters", {}).get("version", "")))
                time.sleep(0.002)

    def __enter__(self) -> Callers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def test_check_canary_bake_live_and_back_without_one_failed_answer(
    site: Site, running: tuple[Gateway, httpx.Client]
) -> None:
    process, _ = running
    pid = site.place.report().pid
    with Callers(process.address) as callers:
        rollout = site.go(2)
        assert rollout.stage is Stage.CANARY

        def on(*stages: Stage) -> Any:
            actions.collect(site.ctx)
            found = actions.advance(site.ctx, rollout.id)
            return found if found.stage in stages else None

        wait_for(lambda: on(Stage.BAKE, Stage.BACK))
        ended = wait_for(lambda: on(Stage.LIVE, Stage.BACK))
        assert ended.stage is Stage.LIVE, ended.verdicts[-1].reason
        assert site.command("rollback", "late")["answers"] == "delay:1"
        time.sleep(0.1)
    assert {status for status, _ in callers.seen} == {200}
    assert {name for _, name in callers.seen} == {"delay:1", "delay:2"}
    report = site.place.report()
    assert (report.pid, report.failed) == (pid, {})  # retargeted, never restarted


def test_one_command_goes_back_within_a_second(site: Site, running: tuple[Gateway, httpx.Client]) -> None:
    _, client = running
    site.live(2)
    site.live(3)
    wait_for(lambda: version(client) == "delay:3")
    assert set(site.place.wait_for_generation(actions.publish(site.ctx)).loaded) >= {"delay:2", "delay:3"}
    began = time.perf_counter()
    said = site.command("rollback", "late", "--reason", "complaints")
    took = time.perf_counter() - began
    assert version(client) == "delay:2"
    assert said["answers"] == "delay:2"
    assert said["gateways"] == {"alive": 1, "reached": 1, "behind": [], "done": True}
    assert site.command("rollback", "late", "--to", "delay:3")["answers"] == "delay:3"
    assert version(client) == "delay:3"
    assert site.command("rollback", "late", "--to", "delay:1")["answers"] == "delay:1"
    assert version(client) == "delay:1"
    assert took < 5.0  # under a second on a quiet machine: the docs have the figure


def test_what_is_kept_loaded_answers_again_without_a_byte_of_it(
    site: Site, running: tuple[Gateway, httpx.Client]
) -> None:
    """The bytes of all versions are gone, and so is what answered before the one that is gone back to."""
    _, client = running
    site.live(2)
    site.live(3)
    wait_for(lambda: version(client) == "delay:3")
    site.place.wait_for_generation(actions.publish(site.ctx))
    pid = site.place.report().pid
    content = site.folder / ".modelloop" / "blobs" / "content"
    content.rename(content.with_name("away"))
    said = site.command("rollback", "late")
    assert (said["answers"], said["gateways"]["done"]) == ("delay:2", True)
    assert version(client) == "delay:2"
    wait_for(lambda: "delay:1" in site.place.report().failed)  # to be kept from now on: tried, and told
    assert version(client) == "delay:2"
    content.with_name("away").rename(content)
    wait_for(lambda: site.place.report().failed == {})
    report = site.place.report()
    assert (report.pid, set(report.loaded)) == (pid, {"delay:1", "delay:2"})


def test_a_gateway_that_is_killed_comes_back_with_the_same_routing(site: Site) -> None:
    with gateway(site.place) as process, httpx.Client(base_url=process.address) as client:
        site.live(1)
        wait_ready(client)
        rollout = site.go(2)
        before = actions.route_of(site.ctx, "late")
        process.kill()
    with gateway(site.place) as process, httpx.Client(base_url=process.address) as client:
        wait_ready(client)
        generation = actions.publish(site.ctx)
        report = site.place.wait_for_generation(generation)
        assert set(report.loaded) == {"delay:1", "delay:2"}
        assert actions.route_of(site.ctx, "late") == before
        seen = {version(client) for _ in range(60)}
        assert seen == {"delay:1", "delay:2"}  # the canary's share, as before
        assert actions.rollout(site.ctx, rollout.id).stage is Stage.CANARY


def test_a_rollback_is_done_when_every_living_gateway_has_it(site: Site) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(gateway(site.place, "--id", "g1"))
        second = stack.enter_context(gateway(site.place, "--id", "g2"))
        clients = [stack.enter_context(httpx.Client(base_url=one.address)) for one in (first, second)]
        site.live(1)
        site.live(2)
        for client in clients:
            wait_ready(client)
            answers_with(client, "delay:2")
        said = site.command("rollback", "late")
        assert said["gateways"] == {"alive": 2, "reached": 2, "behind": [], "done": True}
        assert [version(client) for client in clients] == ["delay:1", "delay:1"]
        seen = actions.wait_for_gateways(site.ctx, timedelta(0))
        assert {step.gateway for step in seen.gateways} == {"g1", "g2"}


def test_steps_by_the_command_line(site: Site, running: tuple[Gateway, httpx.Client]) -> None:
    site.go(2)
    assert site.command("rollout", "pause", "late", "--reason", "lunch")["paused_by"]
    shown = site.command("rollouts", "show", "late")
    assert (shown["stage"], shown["gateways"]["alive"]) == ("canary", 1)
    assert [stage["stage"] for stage in shown["way"]] == ["check", "canary", "bake", "live"]
    assert site.command("rollout", "resume", "late")["paused_by"] is None
    assert site.command("rollout", "promote", "late", "--reason", "sure")["stage"] == "bake"
    assert site.command("rollout", "abort", "late")["stage"] == "back"
    assert [one["stage"] for one in site.command("rollouts")["rollouts"]] == ["back", "live"]


def test_a_changed_project_file_is_followed_without_a_rollout(
    site: Site, running: tuple[Gateway, httpx.Client]
) -> None:
    _, client = running
    assert client.post(INFER, json=request(3)).status_code == 200
    file = site.folder / "modelloop.toml"
    file.write_text(file.read_text().replace('model = "delay"\n', 'model = "delay"\nmax_rows = 2\n'))
    assert actions.sync_endpoints(site.ctx, read_project(file)) == ["late"]
    wait_for(lambda: client.post(INFER, json=request(3)).status_code in (400, 413))
    assert client.post(INFER, json=request(2)).status_code == 200
