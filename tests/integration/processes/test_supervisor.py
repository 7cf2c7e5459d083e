"""The supervisor with real processes: restarts what died, leaves nothing behind."""

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

import pytest

SCRIPT = """
import sys
from pathlib import Path
from modelloop import supervise
home = Path(sys.argv[1])
sleeper = (sys.executable, "-c", "import time; time.sleep(600)")
dying = (sys.executable, "-c", "raise SystemExit(3)")
wanted = [supervise.Program("sleeper", "worker", sleeper), supervise.Program("second", "worker", sleeper)]
if "dying" in sys.argv:
    wanted.append(supervise.Program("dying", "worker", dying))
with supervise.alone(home):
    made = supervise.Supervisor(home, wanted, lambda line: print(line, flush=True))
    supervise.keep_up(made, when_ready=lambda: print("ready", flush=True))
print("over", flush=True)
"""


def wait(found: Callable[[], Any], seconds: float = 10.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)
    return value


def state(home: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((home / "up.json").read_text()))
    except (FileNotFoundError, ValueError):
        return {}


def pid_of(home: Path, name: str) -> int:
    found = [p["pid"] for p in state(home).get("processes", []) if p["name"] == name]
    return int(found[0] or 0) if found else 0


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def begin(*words: str) -> subprocess.Popen[str]:
        argv = [sys.executable, "-c", SCRIPT, str(tmp_path), *words]
        started.append(subprocess.Popen(argv, stdout=subprocess.PIPE, text=True))
        wait(lambda: state(tmp_path).get("processes"))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def test_what_died_is_started_again_at_once(start: Callable[..., Any], tmp_path: Path) -> None:
    start()
    first = wait(lambda: pid_of(tmp_path, "sleeper"))
    other = pid_of(tmp_path, "second")
    os.kill(first, signal.SIGKILL)
    began = time.monotonic()
    second = wait(lambda: (found := pid_of(tmp_path, "sleeper")) != first and found)
    assert time.monotonic() - began < 1.0
    assert alive(second)
    assert not alive(first)
    assert pid_of(tmp_path, "second") == other


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_end_it_ends_all(start: Callable[..., Any], tmp_path: Path, number: signal.Signals) -> None:
    process = start()
    children = [wait(lambda name=name: pid_of(tmp_path, name)) for name in ("sleeper", "second")]
    process.send_signal(number)
    assert process.wait(10) == 0
    assert not any(alive(child) for child in children)
    assert not (tmp_path / "up.json").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal")
def test_killed_it_leaves_nothing_behind(start: Callable[..., Any], tmp_path: Path) -> None:
    process = start()
    children = [wait(lambda name=name: pid_of(tmp_path, name)) for name in ("sleeper", "second")]
    process.kill()
    process.wait()
    wait(lambda: not any(alive(child) for child in children))


def test_what_dies_again_and_again_is_started_more_and_more_slowly(start: Callable[..., Any], tmp_path: Path) -> None:
    start("dying")
    time.sleep(3)
    restarts = next(p["restarts"] for p in state(tmp_path)["processes"] if p["name"] == "dying")
    assert 3 <= restarts <= 8
