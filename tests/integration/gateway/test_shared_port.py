"""Several gateways at one port, started again one after the other under load: no caller notices."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway_process import Place, gateway, request, wait_for, wait_ready
from modelloop.deploy.records import Arm, Route
from packages import make_candidate, put_package

INFER = "/v2/models/late/infer"
SCRIPT = """
import sys
from pathlib import Path
from modelloop import supervise
from modelloop.ground.core.settings import read_settings
home, port, processes, way = Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
environ = {"MODELLOOP_GATEWAY_PORT": port, "MODELLOOP_GATEWAY_PROCESSES": processes, "MODELLOOP_HOME": str(home)}
settings = read_settings({**environ, "MODELLOOP_GATEWAY_HTTP": way}, home)
made = supervise.Supervisor(home, supervise.gateways(settings), lambda line: print(line, flush=True))
supervise.keep_up(made, when_ready=lambda: print("ready", flush=True))
"""


def put(place: Place, number: int) -> Arm:
    return Arm(f"delay:{number}", put_package(place.blobs, make_candidate()))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path, (tmp_path / "blobs").as_uri())
    made.publish(1, Route("late", put(made, 1)))
    return made


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def supervised(place: Place, processes: int, way: str = "hot") -> Iterator[tuple[subprocess.Popen[str], int]]:
    port = free_port()
    argv = [sys.executable, "-c", SCRIPT, str(place.folder), str(port), str(processes), way]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready"
        yield process, port
    finally:
        process.terminate()
        process.wait(20)
        if process.stdout is not None:
            process.stdout.close()


class Load(threading.Thread):
    """A plain client: one connection for as long as it is let, no second try of anything."""

    def __init__(self, port: int, *, keep: bool) -> None:
        super().__init__(daemon=True)
        self.port, self.keep = port, keep
        self.stop = threading.Event()
        self.answered = 0
        self.failed: list[str] = []

    def run(self) -> None:
        body = json.dumps(request())
        line = self._line()
        while not self.stop.is_set():
            try:
                line.request("POST", INFER, body)
                reply = line.getresponse()
                text = reply.read()
                if reply.status != 200:
                    self.failed.append(f"{reply.status}: {text[:200]!r}")
                self.answered += 1
                if reply.will_close or not self.keep:
                    line.close()
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(f"{type(error).__name__}: {error}")
                line.close()
            time.sleep(0.002)
        line.close()

    def _line(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)


def pids(place: Place) -> dict[str, int]:
    state: dict[str, Any] = json.loads((place.folder / "up.json").read_text())
    return {process["name"]: process["pid"] for process in state["processes"]}


@pytest.mark.parametrize(("processes", "way"), [(2, "hot"), (1, "asgi")])
def test_a_rolling_restart_under_load_fails_no_answer(place: Place, processes: int, way: str) -> None:
    with supervised(place, processes, way) as (process, port):
        clients = [Load(port, keep=keep) for keep in (True, True, True, False)]
        for client in clients:
            client.start()
        before = pids(place)
        assert len(before) == processes
        for _ in range(2):
            was = pids(place)
            process.send_signal(signal.SIGHUP)
            wait_for(lambda was=was: all(pid and pid != was[name] for name, pid in pids(place).items()))
            so_far = [client.answered for client in clients]
            wait_for(
                lambda so_far=so_far: all(one.answered > had + 30 for one, had in zip(clients, so_far, strict=True))
            )
        for client in clients:
            client.stop.set()
        for client in clients:
            client.join()
        assert [failure for client in clients for failure in client.failed] == []
        assert sum(client.answered for client in clients) > 200
        assert set(before.values()).isdisjoint(pids(place).values())


def test_all_processes_answer_and_each_has_its_own_log(place: Place) -> None:
    with supervised(place, 2) as (_, port):
        for _ in range(60):  # the system chooses one for each connection
            assert httpx.post(f"http://127.0.0.1:{port}{INFER}", json=request()).status_code == 200
        folders = {path.parent.name for path in (place.folder / "predictions").glob("*/*.log")}
        assert folders == {"g1", "g2"}
        assert len([record for record in place.records() if record["k"] == "a"]) == 60


def test_a_killed_gateway_is_replaced_and_its_port_stays(place: Place) -> None:
    with supervised(place, 1) as (_, port):
        os.kill(pids(place)["gateway1"], signal.SIGKILL)
        answer = httpx.post(f"http://127.0.0.1:{port}{INFER}", json=request(), timeout=15)
        assert answer.status_code == 200, "the caller waited while it was started again"


def test_two_that_share_a_port_by_themselves(place: Place) -> None:
    port = str(free_port())
    with (
        gateway(place, "--port", port, "--share-port") as first,
        gateway(place, "--port", port, "--share-port", "--id", "g2") as second,
    ):
        assert first.address == second.address
        with httpx.Client(base_url=first.address) as client:
            wait_ready(client)
        assert first.stop() == 0
        for _ in range(20):
            assert httpx.post(f"{second.address}{INFER}", json=request()).status_code == 200


def test_an_idle_gateway_ends_at_once_and_an_idle_connection_gets_its_time(place: Place) -> None:
    with gateway(place, "--drain", "1.5") as running:
        with httpx.Client(base_url=running.address) as client:
            wait_ready(client)
        began = time.monotonic()
        assert running.stop() == 0
        assert time.monotonic() - began < 1.2
    with gateway(place, "--drain", "1.5") as running, httpx.Client(base_url=running.address) as client:
        wait_ready(client)
        running.process.terminate()
        time.sleep(0.5)
        answer = client.post(INFER, json=request())
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")
        assert running.process.wait(10) == 0
