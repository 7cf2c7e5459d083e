"""`modelloop up` on a real project: what was killed comes back, and work that was cut off goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from modelloop.client import Client
from modelloop.ground.core.errors import ModelloopError, NotFound, StoreUnavailable, Unauthenticated

PROJECT = """
[project]
name = "trial"
owner = "the tests"

[objective]
question = "Does it go on?"
task = "binary"
metric = "auc"
meaning = "How often it goes on."
label = "late"

[pipelines.count]
function = "steps:count"
params = { upto = 3 }
"""
STEPS = """
import time
from pathlib import Path
from modelloop import pipeline, step

@step
def one(number: int, marks: str) -> int:
    with open(marks, "a") as file:
        file.write(f"{number}\\n")
    time.sleep(0.4)
    return number * number

@pipeline
def count(upto: int, marks: str) -> int:
    print("counting")
    return sum(one(number, marks) for number in range(upto))
"""


def wait(found: Callable[[], Any], seconds: float = 30.0) -> Any:
    deadline = time.monotonic() + seconds
    while True:
        try:
            if value := found():
                return value
        except StoreUnavailable:
            pass  # control is being started again
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


class Running:
    """A project with its processes up."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        environ = os.environ | {"MODELLOOP_CONTROL_PORT": "0", "MODELLOOP_GATEWAY_PORT": "0"}
        argv = [sys.executable, "-m", "modelloop", "up", "--project", str(folder), "--json"]
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=environ)
        wait(lambda: self.state().get("ready"))

    def state(self) -> dict[str, Any]:
        try:
            return dict(json.loads((self.folder / ".modelloop" / "up.json").read_text()))
        except (FileNotFoundError, ValueError):
            assert self.process.poll() is None, "it ended"
            return {}

    def pid(self, kind: str) -> int:
        return next((int(p["pid"] or 0) for p in self.state().get("processes", []) if p["kind"] == kind), 0)

    def address(self, kind: str) -> str:
        return next(str(p["address"]) for p in self.state()["processes"] if p["kind"] == kind)

    def token(self) -> str:
        return (self.folder / ".modelloop" / "secrets" / "token").read_text().strip()

    def kill(self, kind: str) -> None:
        before = self.pid(kind)
        os.kill(before, signal.SIGKILL)
        wait(lambda: self.pid(kind) not in (0, before))

    def run(self, *words: str) -> Any:
        argv = [sys.executable, "-m", "modelloop", *words, "--project", str(self.folder), "--json"]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    (tmp_path / "modelloop.toml").write_text(PROJECT)
    (tmp_path / "steps.py").write_text(STEPS)
    made = Running(tmp_path)
    yield made
    made.process.terminate()
    assert made.process.wait(20) == 0
    assert made.process.stdout is not None
    made.process.stdout.close()


def test_control_answers_again_at_the_same_address_and_knows_its_sessions(running: Running) -> None:
    address, page = running.address("control"), running.run("page")["page"]
    with httpx.Client(follow_redirects=True) as browser:
        assert browser.get(page).status_code == 200
        assert browser.get(page).status_code == 401, "the address opened twice"
        running.kill("control")
        wait(lambda: _answers(address + "/health"))
        assert browser.get(address + "/").status_code == 200
        assert running.address("control") == address


def test_the_client_raises_what_control_says(running: Running) -> None:
    with Client(running.address("control"), running.token()) as client:
        assert client.get("/api/loop")["number"] > 0
        with pytest.raises(NotFound, match="declares no endpoint"):
            client.post("/api/episodes", {"pipeline": "count", "endpoint": "nothing"})
    with Client(running.address("control"), "wrong") as stranger, pytest.raises(Unauthenticated):
        stranger.get("/api/loop")
    with Client("http://127.0.0.1:9", "any") as nobody, pytest.raises(StoreUnavailable, match="modelloop up"):
        nobody.get("/api/loop")
    assert issubclass(NotFound, ModelloopError)


def test_a_killed_worker_comes_back_and_no_finished_step_runs_again(running: Running) -> None:
    marks = running.folder / "marks"
    asked = running.run("run", "count", "-P", "upto=6", "-P", f"marks={marks}", "--no-wait")
    run_id = asked["run"]["id"]
    with Client(running.address("control"), running.token()) as client:
        wait(lambda: len(client.get(f"/api/runs/{run_id}")["steps"]) >= 2)
        running.kill("worker")
        running.kill("control")
        done = wait(lambda: (run := client.get(f"/api/runs/{run_id}"))["run"]["state"] == "done" and run)
    assert len(done["steps"]) == 6
    counts = [marks.read_text().split().count(str(number)) for number in range(6)]
    assert counts[:2] == [1, 1]
    assert sorted(counts)[:5] == [1] * 5, "more than the interrupted step ran again"
    assert "counting" in running.run("runs", "stdout", run_id)["stdout"]


def test_a_second_up_is_refused(running: Running) -> None:
    argv = [sys.executable, "-m", "modelloop", "up", "--project", str(running.folder)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "already runs" in done.stderr


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False
