"""Whole processes that log: ended, broken, killed, forked, on a full disk; and a real control as their server."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from fake_mlflow import FakeMlflow
from modelloop.sdk import leftover
from servers import unavailable
from tracked import Place, Seen, environ, fake_place, make_project, opened, seen_in, store_place

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(params=["server", "store"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Both kinds of place."""
    if request.param == "store":
        yield store_place(make_project(tmp_path / "project"))
        return
    made = FakeMlflow()
    yield fake_place(made)
    made.stop()


def start(tmp_path: Path, place: Place, program: str) -> subprocess.Popen[str]:
    """Start a program that logs to a place."""
    head = f"import modelloop, os, random, sys, time\nPLACE = {place.to!r}\n"
    (tmp_path / "train.py").write_text(head + program)
    words = [sys.executable, "train.py"]
    where = environ(XDG_CACHE_HOME=str(tmp_path / "cache"))
    return subprocess.Popen(
        words, cwd=tmp_path, env=where, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )  # fmt: skip


def ran(tmp_path: Path, place: Place, program: str, code: int = 0) -> tuple[Seen, str]:
    """Run a program to its end; return its one run and what it said."""
    process = start(tmp_path, place, program)
    told, wrong = process.communicate(timeout=60)
    assert process.returncode == code, wrong
    (run,) = place.all()
    return place.look(run), told + wrong


def roots(tmp_path: Path) -> tuple[Path, ...]:
    """Return where spools may be."""
    return (tmp_path / "project" / ".modelloop" / "spool", tmp_path / "cache" / "modelloop" / "spool")


def sync(tmp_path: Path) -> list[leftover.Left]:
    """Send what waits, as the command does."""
    return leftover.sync(roots(tmp_path), environ(), tmp_path, lambda _: None)


def test_a_script_that_ends_ends_its_run(tmp_path: Path, place: Place) -> None:
    seen, _ = ran(
        tmp_path,
        place,
        "run = modelloop.start_run(to=PLACE)\nprint('words')\nfor i in range(1000): run.log('loss', 1.0 / (i + 1))\n",
    )
    assert seen.status == "FINISHED"
    assert len(seen.series("loss")) == 1000
    assert seen.files["output.log"] == b"words\n"
    assert b"modelloop.start_run" in seen.files["code/uncommitted.diff"]
    assert not any(list(root.iterdir()) for root in roots(tmp_path) if root.exists())


def test_a_script_that_breaks_says_why(tmp_path: Path, place: Place) -> None:
    seen, told = ran(
        tmp_path, place, "run = modelloop.start_run(to=PLACE)\nrun.log('a', 1.0)\nraise ValueError('odd data')\n", 1
    )
    assert seen.status == "FAILED"
    assert seen.tags["modelloop.error"] == "ValueError: odd data"
    assert b"train.py" in seen.files["error.txt"]
    assert seen.series("a") == [(0, 1.0)]
    assert "ValueError: odd data" in told


def test_a_killed_script_loses_a_second_at_most(tmp_path: Path, place: Place) -> None:
    process = start(
        tmp_path,
        place,
        "run = modelloop.start_run(to=PLACE)\n"
        "print('begun', flush=True)\nat = time.time()\n"
        "run.log('file.bin', b'bytes')\n"
        "while True:\n    run.log('at', time.time() - at)\n    time.sleep(0.005)\n",
    )
    time.sleep(2.5)
    process.send_signal(signal.SIGKILL)
    assert process.stdout is not None
    process.communicate()
    (left,) = sync(tmp_path)
    assert left.state == "sent", left.reason
    (run,) = place.all()
    seen = place.look(run)
    assert seen.status == "KILLED"
    assert seen.files["file.bin"] == b"bytes"
    assert b"begun" in seen.files["output.log"]
    steps = [step for step, _ in seen.series("at")]
    assert steps == list(range(len(steps)))
    lasted = seen.series("at")[-1][1]
    assert lasted > 2.5 - 1.0 - 0.7, "a second, and what Python needed to start"
    assert sync(tmp_path) == []


def test_killed_at_any_instant_nothing_is_doubled_or_torn(tmp_path: Path, place: Place) -> None:
    program = (
        "with modelloop.start_run(to=PLACE, capture=False) as run:\n"
        "    for i in range(4000):\n        run.log('n', float(i))\n        time.sleep(0.0001)\n"
    )
    for pause in (0.35, 0.5, 0.65, 0.8):
        process = start(tmp_path, place, program)
        time.sleep(pause)
        process.kill()
        process.communicate()
    while sync(tmp_path):
        continue
    assert len(place.all()) >= 1
    for run in place.all():
        found = place.look(run).series("n")
        assert found == [(step, float(step)) for step in range(len(found))]


def test_children_of_multiprocessing_add_to_the_run(tmp_path: Path, place: Place) -> None:
    seen, _ = ran(
        tmp_path,
        place,
        "import multiprocessing\n"
        "def train(run, number):\n    for i in range(50): run.log(f'child {number}', float(i))\n"
        "if __name__ == '__main__':\n"
        "    with modelloop.start_run(to=PLACE) as run:\n"
        "        run.log('parent', 1.0)\n"
        "        for kind in ('fork', 'spawn'):\n"
        "            ways = multiprocessing.get_context(kind)\n"
        "            all = [ways.Process(target=train, args=(run, f'{kind} {n}')) for n in range(2)]\n"
        "            [one.start() for one in all]; [one.join() for one in all]\n"
        "        assert not any(one.exitcode for one in all)\n",
    )
    assert seen.own == {"parent", "child fork 0", "child fork 1", "child spawn 0", "child spawn 1"}
    for name in seen.own - {"parent"}:
        assert seen.series(name) == [(step, float(step)) for step in range(50)]
    assert seen.status == "FINISHED"


def test_a_full_disk_does_not_stop_what_can_be_sent(tmp_path: Path) -> None:
    fake = FakeMlflow()
    place = fake_place(fake)
    with small_disk(tmp_path / "cache"):
        filling = "open(os.environ['XDG_CACHE_HOME'] + '/filling', 'wb').write(bytes(3_000_000))"
        seen, told = ran(
            tmp_path,
            place,
            "run = modelloop.start_run(to=PLACE)\n"
            f"try:\n    {filling}\nexcept OSError:\n    pass\n"
            "for i in range(5000): run.log('n', float(i))\n"
            "run.log('file.bin', bytes(100_000))\n"
            "time.sleep(0.5)\nrun.log('last', 1.0)\n",
        )
    fake.stop()
    assert seen.status == "FINISHED"
    assert len(seen.series("n")) == 5000
    assert seen.series("last") == [(0, 1.0)]
    assert seen.files["file.bin"] == bytes(100_000)
    assert "Traceback" not in told


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """Mount two megabytes."""
    folder.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root on Linux may mount a small disk")
    words = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    made = subprocess.run(words, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        unavailable(f"no small disk can be mounted: {made.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


HEAVY = {"numpy", "polars", "pandas", "sqlalchemy", "psycopg", "sqlite3", "alembic", "obstore", "torch", "sklearn"}


def loaded(tmp_path: Path, place: Place, program: str) -> set[str]:
    """Return what a program has loaded at its end."""
    process = start(tmp_path, place, program + "\nprint(' '.join({name.split('.')[0] for name in sys.modules}))")
    told, wrong = process.communicate(timeout=60)
    assert process.returncode == 0, wrong
    return set(told.splitlines()[-1].split())


def test_logging_to_a_server_loads_neither_numbers_nor_databases(tmp_path: Path) -> None:
    fake = FakeMlflow()
    found = loaded(tmp_path, fake_place(fake), "with modelloop.start_run(to=PLACE) as run: run.log('a', 1.0)")
    fake.stop()
    assert found & HEAVY == set()


def test_importing_is_light(tmp_path: Path) -> None:
    place = Place("", lambda _: Seen("", "", "", [], {}, {}), list)
    found = loaded(tmp_path, place, "")
    assert found & {*HEAVY, "httpx", "msgspec", "orjson", "psutil"} == set()
    argv = [sys.executable, "-c", "import time, modelloop; print(time.process_time())"]
    took = min(float(subprocess.run(argv, capture_output=True, text=True, check=True).stdout) for _ in range(3))
    assert took < 0.3


class Control:
    """A real control process of a project, at one port all its life."""

    def __init__(self, folder: Path) -> None:
        self.folder = make_project(folder)
        with opened(folder):
            pass
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def token(self) -> str:
        return (self.folder / ".modelloop" / "secrets" / "token").read_text().strip()

    def start(self) -> None:
        words = [sys.executable, "-m", "modelloop", "control", "--project", str(self.folder), "--port", str(self.port)]
        kept = {name: value for name, value in environ().items() if not name.startswith("MODELLOOP_")}
        self.process = subprocess.Popen(words, env=kept, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 30
        while True:
            try:
                if httpx.get(f"{self.url}/health", trust_env=False).is_success:
                    return
            except httpx.TransportError:
                assert time.monotonic() < until, "control does not come up"
            time.sleep(0.05)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Control]:
    made = Control(tmp_path / "served")
    yield made
    made.kill()


def at_control(tmp_path: Path, control: Control, program: str) -> subprocess.Popen[str]:
    """Start a program that logs to control."""
    place = Place(control.url, lambda _: Seen("", "", "", [], {}, {}), list)
    (tmp_path / "token").write_text(control.token)
    return start(tmp_path, place, f"os.environ['MODELLOOP_TRACKING_TOKEN'] = open('token').read()\n{program}")


def test_a_run_at_a_real_control(tmp_path: Path, control: Control) -> None:
    process = at_control(
        tmp_path,
        control,
        "with modelloop.start_run('served', name='one', params={'a': 1}, tags={'ü': 'ß'}, to=PLACE) as run:\n"
        "    print('words')\n"
        "    for i in range(3000): run.log('loss', 1.0 / (i + 1))\n"
        "    run.log({'nan': float('nan'), 'inf': float('inf'), '-inf': float('-inf')})\n"
        "    run.log('größe/ä b.bin', b'x' * 3_000_000)\n"
        "    run.log('rows', [{'a': 1}])\n"
        "    with run.child('part') as part: part.log('b', 2.0)\n"
        "print(run.id, part.id, dict(run.problems))\n",
    )
    told, wrong = process.communicate(timeout=60)
    assert process.returncode == 0, wrong
    run, part, problems = told.splitlines()[-1].split(" ", 2)
    assert problems == "{}", problems
    seen = seen_in(control.folder, run)
    assert (seen.status, seen.experiment, seen.name) == ("FINISHED", "served", "one")
    assert [step for step, _ in seen.series("loss")] == list(range(3000))
    assert {name: value for name, value, _ in seen.points if "nan" in name or "inf" in name} == {
        "nan": "nan", "inf": "inf", "-inf": "-inf"
    }  # fmt: skip
    assert seen.files["größe/ä b.bin"] == b"x" * 3_000_000
    assert seen.files["output.log"] == b"words\n"
    assert (seen.params, seen.tags["ü"]) == ({"a": "1"}, "ß")
    assert seen_in(control.folder, part).tags["mlflow.parentRunId"] == run


def test_control_may_be_killed_and_come_back(tmp_path: Path, control: Control) -> None:
    process = at_control(
        tmp_path,
        control,
        "with modelloop.start_run('served', to=PLACE, capture=False) as run:\n"
        "    for i in range(3000):\n        run.log('n', float(i))\n        time.sleep(0.001)\n"
        "    time.sleep(2.5)\n",
    )
    for _ in range(2):
        time.sleep(1.2)
        control.kill()
        time.sleep(0.3)
        control.start()
    _, wrong = process.communicate(timeout=60)
    assert process.returncode == 0, wrong
    place = store_place(control.folder)
    sent = leftover.sync(
        roots(tmp_path), environ(MODELLOOP_TRACKING_TOKEN=control.token), tmp_path, lambda _: None
    )  # fmt: skip
    assert all(left.state == "sent" for left in sent), json.dumps([left.reason for left in sent])
    (run,) = place.all()
    seen = place.look(run)
    assert [step for step, _ in seen.series("n")] == list(range(3000))
    assert seen.status == "FINISHED"
