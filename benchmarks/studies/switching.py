"""Versions are switched under load: does anybody get a wrong answer or none, and do callers feel it?

    python -m benchmarks.studies.switching --minutes 10            # 500 requests/s, 100 switches, both ways
    python -m benchmarks.studies.switching --minutes 2 --way control

`table`: routing tables are published as they come: live, shadow, canary, another champion; what a table names is
loaded beside the live version, what no table names any more is dropped. `control`: a project's own store and actions:
rollbacks to named versions, and every tenth time a new version is registered, rolled out and promoted.

Every answer is compared with what the version that it names says to this input, and with the log.
"""

from __future__ import annotations

import argparse
import base64
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from gateway_process import Gateway, Place, gateway, wait_for  # noqa: E402 - tests are no package
from modelloop import app  # noqa: E402
from modelloop.deploy import actions  # noqa: E402
from modelloop.deploy.actions.following import routing  # noqa: E402
from modelloop.deploy.records import Arm, Route, Stage  # noqa: E402
from modelloop.evaluate.settings import Task  # noqa: E402
from modelloop.project import read_project  # noqa: E402
from modelloop.scaffold import scaffold  # noqa: E402
from packages import make_candidate, put_package  # noqa: E402
from served import put_version  # noqa: E402

from ..measure import environ, versions  # noqa: E402

RESULT = ROOT / "benchmarks" / "results" / "switching.json"
RATE = 500.0
AFTER = 0.5
"""Seconds after the gateway has said that it serves the new table that still count as the switch."""
LEAST_QUIET = 1.0
"""Seconds at the beginning that are not counted: connections are opened, code runs for the first time."""
ENDPOINT = """
[endpoints.late]
model = "delay"
registered = true
[endpoints.late.rollout]
shadow_rows = 0
canary = [0.5]
canary_rows = 20
bake_rows = 0
"""


def weights(number: int) -> tuple[float, float, float]:
    """Return what the version with this number weighs its inputs with: no two answer alike."""
    return (0.01 * number, -0.001, 0.2)


def answer(number: int, delay: float) -> float:
    """Return what it says."""
    by_delay, by_distance, by_carrier = weights(number)
    return 1 / (1 + math.exp(-(by_delay * delay + by_distance * 300 + by_carrier)))


DELAYS = [1.5 + step for step in range(50)]


def requests(address: str) -> list[bytes]:
    """Return what callers send, one for each delay."""
    found = []
    for delay in DELAYS:
        columns = {"delay": ("FP64", delay), "distance": ("INT64", 300), "carrier": ("BYTES", "UA")}
        inputs = [
            {"name": name, "datatype": kind, "shape": [1], "data": [value]} for name, (kind, value) in columns.items()
        ]
        body = json.dumps({"inputs": inputs}).encode()
        head = f"POST /v2/models/late/infer HTTP/1.1\r\nHost: {urlsplit(address).netloc}\r\n"
        found.append(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    return found


@dataclass
class Told:
    """What one run came to."""

    switches: int = 0
    answers: int = 0
    failed: list[Any] = field(default_factory=list)
    wrong: list[Any] = field(default_factory=list)
    not_logged: int = 0
    logged_twice: int = 0
    logged_otherwise: int = 0
    logged_unasked: int = 0
    versions: dict[str, int] = field(default_factory=dict)
    quiet: list[float] = field(default_factory=list)
    switching: list[float] = field(default_factory=list)
    seconds_to_serve: list[float] = field(default_factory=list)
    """From the order to the report of the gateway."""


class Tables:
    """Tables are published by hand."""

    name = "table"

    def __init__(self, folder: Path) -> None:
        self.place = Place(folder, (folder / "blobs").as_uri())
        self._arms = [Arm(f"delay:{n}", put_package(self.place.blobs, make_candidate(weights(n)))) for n in (1, 2, 3)]
        self._generation = 1
        self.place.publish(1, Route("late", self._arms[0]))

    def begin(self) -> None:
        """Wait for the first table."""
        self.place.wait_for_generation(1)

    def switch(self, number: int) -> None:
        """Publish the next table; return when it is served."""
        self._generation += 1
        now, following = self._arms[number // 4 % 3], self._arms[(number // 4 + 1) % 3]
        kinds = (
            Route("late", now, following, Stage.SHADOW, 0.5, f"ro_{number}"),
            Route("late", now, following, Stage.CANARY, 0.5, f"ro_{number}"),
            Route("late", following),
            Route("late", following, now, Stage.CANARY, 0.1, f"back_{number}"),
        )
        self.place.publish(self._generation, kinds[number % 4])
        self.place.wait_for_generation(self._generation)

    def close(self) -> None:
        """Nothing is open."""


class Control:
    """A project's own actions on its own store."""

    name = "control"

    def __init__(self, folder: Path) -> None:
        home = folder / "project"
        scaffold(home, "trial", task=Task.BINARY)
        file = home / "modelloop.toml"
        file.write_text(file.read_text() + ENDPOINT)
        self._project = read_project(file)
        self._ctx = app.open_context(home)
        self.place = Place(home / ".modelloop", app.settings_for(home).blobs_url)
        self._newest = 0
        self._live = 0

    def begin(self) -> None:
        """Bring the first two versions."""
        self._promoted()
        self._promoted()

    def _promoted(self) -> None:
        """Register a version, roll it out and promote it to live."""
        self._newest += 1
        digest = put_package(self._ctx.blobs, make_candidate(weights(self._newest)))
        put_version(self._ctx, self._newest, digest=digest)
        rollout = actions.start_rollout(self._ctx, self._project, "late", f"delay:{self._newest}", reason="switching")
        while rollout.stage is Stage.CHECK:
            time.sleep(0.05)
            rollout = actions.advance(self._ctx, rollout.id)
        while rollout.stage not in (Stage.LIVE, Stage.BACK):
            rollout = actions.promote(self._ctx, "late", reason="switching")
        assert rollout.stage is Stage.LIVE, rollout.verdicts
        self._live = self._newest
        self._served()

    def _served(self) -> None:
        generation = routing(self._ctx).generation
        wait_for(lambda: self.place.report().generation >= generation)

    def switch(self, number: int) -> None:
        """Go back to a version that answered before, or on to a new one; return when it is served."""
        if number % 10 == 4:
            self._promoted()
            return
        self._live = 1 + self._live % self._newest
        actions.rollback(self._ctx, "late", to=f"delay:{self._live}", reason="switching")
        self._served()

    def close(self) -> None:
        """Let go of the store."""
        self._ctx.db.close()


WAYS: dict[str, Callable[[Path], Tables | Control]] = {"table": Tables, "control": Control}


def switched(
    folder: Path, way: str, *, seconds: float, switches: int, rate: float = RATE, options: Sequence[str] = ()
) -> Told:
    """Run the experiment once in a folder of its own; `options`: more of the gateway's."""
    ways = WAYS[way](folder)
    try:
        with gateway(ways.place, *options) as process:
            ways.begin()
            with _load(process, folder / "answers.jsonl", rate, seconds) as began:
                spans = _switch(ways, began, seconds, switches)
            assert process.stop() == 0
    finally:
        ways.close()
    return _judged(folder / "answers.jsonl", spans, ways.place.records(), began)


@contextmanager
def _load(process: Gateway, path: Path, rate: float, seconds: float) -> Iterator[float]:
    """Let callers ask meanwhile; give the moment at which they began, end when all have heard."""
    argv = [sys.executable, "-m", "benchmarks.studies.switching_load", str(urlsplit(process.address).port)]
    argv += [str(rate), str(seconds), str(path)]
    with subprocess.Popen(argv, cwd=ROOT, env=environ(), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as callers:
        assert callers.stdin is not None
        assert callers.stdout is not None
        callers.stdin.write(b"\n".join(base64.b64encode(one) for one in requests(process.address)) + b"\n")
        callers.stdin.close()
        try:
            yield float(json.loads(callers.stdout.readline())["began"])
        except BaseException:
            callers.kill()
            raise
        assert callers.wait() == 0, "the callers failed"


def _switch(ways: Tables | Control, began: float, seconds: float, switches: int) -> list[tuple[float, float]]:
    """Switch so many times at even distances; return when each was ordered and when it was served."""
    spans = []
    every = (seconds - LEAST_QUIET) / switches
    for number in range(switches):
        due = began + LEAST_QUIET + (number + 0.5) * every
        time.sleep(max(0.0, due - time.monotonic()))
        ordered = time.monotonic()
        ways.switch(number)
        spans.append((ordered, time.monotonic()))
    return spans


def _judged(path: Path, spans: list[tuple[float, float]], records: list[dict[str, Any]], began: float) -> Told:
    told = Told(switches=len(spans), seconds_to_serve=[end - start for start, end in spans])
    given: dict[str, tuple[str, float]] = {}
    for line in path.read_bytes().splitlines():
        due, latency, status, which, name, version, score = json.loads(line)
        told.answers += 1
        if status != 200:
            told.failed.append([due - began, status, score])
            continue
        told.versions[version] = told.versions.get(version, 0) + 1
        if name in given or abs(score - answer(int(version.rpartition(":")[2]), DELAYS[which])) > 1e-5:
            told.wrong.append([due - began, name, version, score])
        given[name] = (version, score)
        if due - began > LEAST_QUIET:
            in_switch = any(start - latency <= due <= end + AFTER for start, end in spans)
            (told.switching if in_switch else told.quiet).append(latency)
    logged: dict[str, tuple[str, float]] = {}
    for record in records:
        if record["k"] == "a":
            told.logged_twice += record["id"] in logged
            logged[record["id"]] = (record["v"], record["s"][0])
    told.not_logged = len(given.keys() - logged.keys())
    told.logged_unasked = len(logged.keys() - given.keys()) - len(told.failed)
    told.logged_otherwise = sum(1 for name, said in given.items() if name in logged and not _same(logged[name], said))
    return told


def _same(one: tuple[str, float], other: tuple[str, float]) -> bool:
    return one[0] == other[0] and abs(one[1] - other[1]) < 1e-6  # the log has the float32 as it is, JSON its digits


def p(values: list[float], share: float) -> float:
    """Return a quantile in milliseconds."""
    return round(1000 * sorted(values)[int(len(values) * share)], 3) if values else 0.0


def shown(told: Told) -> dict[str, Any]:
    """Return a run as the result has it."""
    quiet, switching = p(told.quiet, 0.99), p(told.switching, 0.99)
    return {
        "answers": told.answers,
        "switches": told.switches,
        "failed": len(told.failed),
        "wrong": len(told.wrong),
        "log": {
            "missing": told.not_logged,
            "twice": told.logged_twice,
            "otherwise": told.logged_otherwise,
            "unasked": told.logged_unasked,
        },
        "versions": dict(sorted(told.versions.items())),
        "requests while quiet / in a switch": [len(told.quiet), len(told.switching)],
        "quiet p50, p99, max ms": [p(told.quiet, 0.5), quiet, p(told.quiet, 0.999999)],
        "switch p50, p99, max ms": [p(told.switching, 0.5), switching, p(told.switching, 0.999999)],
        "ratio of p99": round(switching / quiet, 2) if quiet else None,
        "from order to served, median and worst s": [
            round(sorted(told.seconds_to_serve)[len(told.seconds_to_serve) // 2], 2),
            round(max(told.seconds_to_serve), 2),
        ],
        "first failures": told.failed[:3] + told.wrong[:3],
    }


def main(words: list[str]) -> int:
    """Return 0 when nobody got a wrong answer or none."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.studies.switching")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--switches", type=int, default=None, help="default: ten a minute")
    parser.add_argument("--way", choices=sorted(WAYS), action="append", help="default: both")
    asked = parser.parse_args(words)
    switches = asked.switches or max(1, round(asked.minutes * 10))
    result = json.loads(RESULT.read_text()) if RESULT.exists() else {"ways": {}}
    result |= {
        "what": f"versions switched under {RATE:.0f} requests/s; latency from the moment a request was due",
        "command": "python -m benchmarks.studies.switching --minutes 10",
        "versions": versions("uvicorn", "uvloop", "onnxruntime"),
    }
    good = True
    for way in asked.way or sorted(WAYS):
        with tempfile.TemporaryDirectory() as folder:
            told = switched(Path(folder), way, seconds=asked.minutes * 60, switches=switches)
        result["ways"][way] = {"minutes": asked.minutes} | shown(told)
        RESULT.write_text(json.dumps(result, indent=1) + "\n")
        print(json.dumps({way: result["ways"][way]}, indent=1), flush=True)
        bad = told.failed or told.wrong or told.not_logged or told.logged_twice or told.logged_otherwise
        good = good and not bad
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
