"""Two tracking servers, ours and MLflow's own, each with its defaults; and one raw client for both.

What is measured is the CPU time of the server with all its processes: the client's costs are the same and not counted.
"""

import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .measure import environ, process_cpu

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import mlflow_client
from control_process import control_process
from servers import Servers

PREFIX = "/api/2.0/mlflow/"
PATIENCE = 120.0


@dataclass
class Server:
    """A running server and a connection to it."""

    url: str
    pid: int
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE)
        self._connection.connect()
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def post(self, path: str, body: Any) -> Any:
        """Send a message and return the answer."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"content-type": "application/json", **self.headers}
        self._connection.request("POST", PREFIX + path, data, headers)
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status} {text[:500]!r}")
        return json.loads(text)

    def run(self, experiment: str) -> str:
        """Begin a run and return its id."""
        made = self.post("runs/create", {"experiment_id": experiment, "start_time": 1_700_000_000_000})
        return str(made["run"]["info"]["run_id"])

    def experiment(self, name: str) -> str:
        """Make an experiment and return its id."""
        return str(self.post("experiments/create", {"name": name})["experiment_id"])

    def cpu_of(self, work: Callable[[], None]) -> float:
        """Return the CPU seconds that the server, with all its processes, needs for some work."""
        before = sum(map(process_cpu, family(self.pid)))
        work()
        return sum(map(process_cpu, family(self.pid))) - before


@contextmanager
def modelloop_server(folder: Path, database: str | None = None) -> Iterator[Server]:
    """Start our control process on a fresh project."""
    given = {"MODELLOOP_DATABASE_URL": database} if database else {}
    with control_process(folder / "project", given) as control:
        yield Server(control.url, control.pid, {"authorization": f"Bearer {control.token}"})


@contextmanager
def mlflow_server(folder: Path, database: str | None = None) -> Iterator[Server]:
    """Start MLflow's server on a fresh store."""
    folder.mkdir(parents=True, exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    store = database or f"sqlite:///{folder / 'mlflow.db'}"
    python = mlflow_client.build()
    argv = [python, "-m", "mlflow", "server", "--port", str(port), "--backend-store-uri", store]
    argv += ["--artifacts-destination", str(folder / "artifacts")]
    path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    with (folder / "server.log").open("wb") as log:
        started = subprocess.Popen(
            argv, cwd=folder, stdout=log, stderr=log, env=environ() | {"PATH": path}, start_new_session=True
        )
    try:
        _wait(port, started, folder / "server.log")
        yield Server(f"http://127.0.0.1:{port}", started.pid)
    finally:
        for pid in reversed(family(started.pid)):
            _end(pid)
        started.wait()


def family(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    found = [pid]
    for one in found:
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            found += [int(word) for word in task.read_text().split()]
    return found


def _wait(port: int, started: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return
        except OSError:
            if started.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"MLflow's server did not start:\n{log.read_text()[-3000:]}") from None
        finally:
            connection.close()
        time.sleep(0.2)


def _end(pid: int) -> None:
    try:
        os.kill(pid, 15)
    except ProcessLookupError:
        return


@contextmanager
def both(*, postgres: bool = False) -> Iterator[tuple[Server, Server]]:
    """Start both servers on fresh stores, SQLite or PostgreSQL, and yield ours and MLflow's."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        databases: list[str | None] = [None, None]
        if postgres:
            place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="modelloop-servers-")))
            place.chmod(0o755)  # the user whom PostgreSQL runs as must get there
            servers = Servers(place, stack)
            first, second = (stack.enter_context(servers.postgres("18").fresh()) for _ in range(2))
            databases = [first, second.replace("postgresql://", "postgresql+psycopg2://")]
        ours = stack.enter_context(modelloop_server(folder / "ours", databases[0]))
        yield ours, stack.enter_context(mlflow_server(folder / "theirs", databases[1]))


@dataclass(frozen=True)
class Task:
    """What both servers do: `times` in a round, fewer of the slower one."""

    prepare: Callable[[Server], Callable[[int], None]]
    """Makes what is needed, and returns what does the work so many times."""
    ours: int
    theirs: int
    rounds: int = 3


def cpu_a_time(task: Task, *, postgres: bool = False) -> tuple[float, float, dict[str, float]]:
    """Return the CPU seconds that each server needs for one time, ours first, and their wall times."""
    with both(postgres=postgres) as pair:
        notes: dict[str, float] = {}
        medians = []
        for server, times, name in zip(pair, (task.ours, task.theirs), ("ours", "MLflow"), strict=True):
            work = task.prepare(server)
            work(max(1, times // 10))
            spent, wall = [], []
            for _ in range(task.rounds):
                began = time.monotonic()
                spent.append(server.cpu_of(lambda work=work, times=times: work(times)) / times)
                wall.append((time.monotonic() - began) / times)
            medians.append(statistics.median(spent))
            notes[f"wall ms, {name}"] = round(statistics.median(wall) * 1e3, 2)
    return medians[0], medians[1], notes
