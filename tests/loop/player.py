"""Plays the bikes example against real processes: what its user would do, with a client that tries again."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import httpx
import polars as pl

from modelloop.client import Client
from modelloop.ground.core.errors import StoreUnavailable

T = TypeVar("T")
EXAMPLE = Path(__file__).parents[2] / "examples" / "bikes"
PATIENCE = 90.0
DATABASE = "bikes.db"
FILES = """[sources.rides]
path = "landing"
format = "csv"
dataset = "rides"
contract = "rides"

[contracts.rides]
key = ["at"]

[contracts.rides.columns]"""
"""The same project with files that land, and a contract that stops."""
HOURS = 2
"""Of a day, asked about in one request: below a hundred requests a rollout can show little."""


def example() -> ModuleType:
    """Import examples/bikes/world.py by path."""
    spec = importlib.util.spec_from_file_location("bikes_world", EXAMPLE / "world.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def modelloop(*words: str, project: Path | None = None, timeout: float = 120.0) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does."""
    argv = [sys.executable, "-m", "modelloop", *words]
    return subprocess.run(argv, cwd=project, capture_output=True, text=True, timeout=timeout, check=False)


@contextmanager
def up(project: Path, environ: dict[str, str] | None = None) -> Iterator[Callable[[], dict[str, Any]]]:
    """Run `modelloop up`; yield a function that reads what runs where."""
    env = os.environ | {"MODELLOOP_CONTROL_PORT": "0", "MODELLOOP_GATEWAY_PORT": "0"} | (environ or {})
    argv = [sys.executable, "-m", "modelloop", "up", "--project", str(project)]
    with (project / "up.log").open("wb") as log:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=env)
        try:
            deadline = time.monotonic() + PATIENCE
            while not _state(project).get("ready"):
                assert process.poll() is None, (project / "up.log").read_text()
                assert time.monotonic() < deadline, (project / "up.log").read_text()
                time.sleep(0.05)
            yield lambda: _state(project)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def _state(project: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((project / ".modelloop" / "up.json").read_text()))
    except (FileNotFoundError, ValueError):
        return {}


def make_project(folder: Path, *, database: bool = False) -> Path:
    """Do what the how-to says: `modelloop init`, then the two files of the example.

    Without `database` the rides come as CSV files, under a contract that stops at the first row that breaks it.
    """
    made = modelloop("init", str(folder), "--name", "bikes", "--task", "regression")
    assert made.returncode == 0, made.stderr
    for name in ("modelloop.toml", "steps.py"):
        shutil.copy(EXAMPLE / name, folder / name)
    if not database:
        (folder / "modelloop.toml").write_text(from_files((EXAMPLE / "modelloop.toml").read_text()))
    return folder


def from_files(text: str) -> str:
    """Return the project file with files for a source, and without what only the database has, or the calendar."""
    begin, columns = text.index("[sources.rides]"), "[contracts.rides.columns]"
    text = text[:begin] + FILES + text[text.index(columns) + len(columns) :]
    for start, end in (("change = {", "[pipelines.train]"), ("[triggers.mondays]", "[alerts.desk]")):
        text = text[: text.index(start)] + "\n" + text[text.index(end) :]
    return text.replace("min = 0.01, max = 1 }     # air is never quite dry", "min = 0, max = 1 }")


@dataclass
class Player:
    """Callers and counters of the bikes project."""

    project: Path
    state: Callable[[], dict[str, Any]]
    database: bool = False
    """Whether rides come in the database, or as files."""
    world: ModuleType = field(default_factory=example)
    answered: list[tuple[str, int]] = field(default_factory=list)
    """(prediction id, rows) of every answer that reached us."""
    forecasts: list[tuple[datetime, pl.DataFrame, list[float]]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    waiting: list[tuple[datetime, dict[str, Any], pl.DataFrame]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.year = self.world.rides()
        by_kind = {process["kind"]: process["address"] for process in self.state()["processes"]}
        self.gateway = by_kind["gateway"]
        token = (self.project / ".modelloop" / "secrets" / "token").read_text().strip()
        self.control = Client(by_kind["control"], token)

    def __enter__(self) -> Player:
        return self

    def __exit__(self, *_: object) -> None:
        self.control.close()

    def get(self, path: str) -> Any:
        return retry(lambda: self.control.get(path))

    def post(self, path: str, body: dict[str, Any]) -> Any:
        return retry(lambda: self.control.post(path, body))

    def land(self, start: str, end: str) -> None:
        self.arrive(self.world.at(start), self.world.at(end))

    def arrive(self, start: datetime, end: datetime) -> None:
        if self.database:
            self.world.fill(self.year, self.project / DATABASE, start, end)
        else:
            self.world.land(self.year, self.project / "landing", start, end)

    def day(self, day: datetime, rows: pl.DataFrame) -> None:
        """Ask about a day, and report the truth about the day before."""
        answer = retry(lambda: self._ask(day, rows))
        if answer is not None:
            self.answered.append((answer["parameters"]["prediction_id"], rows.height))
            self.forecasts.append((day, rows, answer["outputs"][0]["data"]))
            self.waiting.append((day, answer, rows))
        ready = [item for item in self.waiting if item[0] < day]
        self.waiting = [item for item in self.waiting if item[0] >= day]
        found = [one for _, reply, asked in ready for one in self.world.outcomes(reply, asked)]
        if found:
            reply = self.post("/api/outcomes", {"endpoint": "demand", "outcomes": found})
            assert reply["unknown"] == []

    def play(self, start: str, end: str, every_day: Callable[[], None]) -> None:
        """Play days in order, calling `every_day` after each; files land each week."""
        landed = self.world.at(start)
        for day, rows in self.world.days(self.year, self.world.at(start), self.world.at(end)):
            if day - landed >= timedelta(days=7):
                self.arrive(landed, day)
                landed = day
            for part in rows.iter_slices(HOURS):
                self.day(day, part)
            every_day()

    def settle(self) -> None:
        """Wait for two turns that found nothing left to compute."""
        deadline = time.monotonic() + PATIENCE
        seen = self.get("/api/loop")["number"]
        while True:
            loop = self.get("/api/loop")
            if loop["number"] >= seen + 2 and not loop["busy"]:
                return
            assert time.monotonic() < deadline, loop
            time.sleep(0.05)

    def wait_for(self, done: Callable[[], T | None], what: str) -> T:
        """Wait until `done` answers something."""
        deadline = time.monotonic() + PATIENCE
        while True:
            found = done()
            if found:
                return found
            assert time.monotonic() < deadline, f"waited {PATIENCE} s for {what}: {self.get('/api/episodes')}"
            time.sleep(0.1)

    def first_model(self, as_of: str) -> None:
        self.land("2011-01-01", as_of)
        params = {"as_of": f"{as_of}T00:00:00Z"}
        self.post("/api/episodes", {"pipeline": "train", "endpoint": "demand", "params": params, "reason": "first"})
        self.wait_for(lambda: [e for e in self.episodes() if e["result"] == "promoted"], "the first model")

    def episodes(self) -> list[dict[str, Any]]:
        return list(self.get("/api/episodes")["episodes"])

    def _ask(self, day: datetime, rows: pl.DataFrame) -> dict[str, Any] | None:
        try:
            return dict(self.world.ask(self.gateway, day, rows))
        except httpx.HTTPStatusError as error:
            self.refused.append(f"{error.response.status_code} {error.response.text}")
            return None


def retry(call: Callable[[], T]) -> T:
    """Try again while a process is being started anew: a broken connection is no answer."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return call()
        except (httpx.TransportError, StoreUnavailable):
            assert time.monotonic() < deadline
            time.sleep(0.05)
