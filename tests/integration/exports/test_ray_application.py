"""The exported Ray Serve application: run by a real Ray, as its README says; and its answering part by itself."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from deployed import publish, route
from gateway_process import Place, gateway, request, wait_ready
from modelloop.cli.acts.deployments import write
from modelloop.deploy.actions.exporting import export_deployment
from modelloop.deploy.exports.records import Platform, Wish
from modelloop.deploy.exports.replica import Replica
from modelloop.deploy.log import read_frames
from modelloop.ground.core.errors import NotReady
from modelloop.ground.store.context import Context
from modelloop.testing.fakes import make_context
from ray_serve import RAY_SERVE
from servers import free_ports

sys.path.insert(0, str(Path(__file__).parents[1] / "pool"))
from cluster import Cluster

INFER = "/v2/models/late_flights/infer"
VERSION = "/v2/models/late_flights/versions/{}/infer"
HERE = Path(__file__).parent
SOURCE = HERE.parents[2] / "src"
HOOK = json.dumps({"worker_process_setup_hook": "loopback.hold"})
PATIENCE = 120
CI = os.environ.get("CI") == "true"


def export_into(ctx: Context, folder: Path) -> Path:
    publish(ctx.blobs, route(ctx.blobs))
    write(export_deployment(ctx, "late_flights", Platform.RAY_SERVE, Wish(least=1, most=1)), folder)
    return folder


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    ctx = make_context(tmp_path_factory.mktemp("project"))
    yield export_into(ctx, tmp_path_factory.mktemp("out"))
    ctx.db.close()


ASKED: tuple[tuple[str, str, Any], ...] = (
    ("POST", VERSION.format(1), request(rows=3)),
    ("POST", VERSION.format(2), request(rows=3)),
    ("POST", INFER, b"{"),
    ("POST", INFER, {"inputs": []}),
    ("GET", "/v2/models/late_flights", None),
    ("GET", "/v2/models/late_flights/ready", None),
    ("GET", "/nowhere", None),
)


def ask(client: httpx.Client, method: str, path: str, body: Any) -> tuple[int, Any]:
    """Return status and answer, less what no two answers have alike."""
    content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    answer = client.request(method, path, content=content)
    told = answer.json()
    for place in (told, told.get("parameters", {})):
        for name in ("id", "prediction_id"):
            place.pop(name, None)
    return answer.status_code, told


def test_a_replica_answers_as_a_gateway_does(exported: Path, tmp_path: Path) -> None:
    async def ask_it() -> list[tuple[int, bytes]]:
        replica = Replica((exported / "deployment").as_uri(), tmp_path / "log", "Replica#1")
        replica.check()
        body = json.dumps(request()).encode()
        asked = [
            ("POST", INFER, body),
            ("GET", "/v2/health/ready", b""),
            ("POST", INFER, b"{"),
            ("GET", "/nowhere", b""),
        ]
        answers = [await replica.answer(method, path, [], data) for method, path, data in asked]
        replica.stop()
        return [(status, data) for status, _, data in answers]

    answers = asyncio.run(ask_it())
    assert [status for status, _ in answers] == [200, 200, 400, 404]
    assert json.loads(answers[0][1])["outputs"][0]["shape"] == [1]
    assert list((tmp_path / "log" / "rreplica1").glob("*.log")), "the prediction log is written here too"


def test_a_replica_without_a_table_says_that_it_is_not_well(tmp_path: Path) -> None:
    async def check() -> None:
        replica = Replica((tmp_path / "empty").as_uri(), tmp_path / "log", "one")
        try:
            replica.check()
        finally:
            replica.stop()

    with pytest.raises(NotReady):
        asyncio.run(check())


@dataclass
class Served:
    """The running application."""

    address: str
    log: Path
    pids: list[int]


@pytest.fixture(scope="module")
def ray_python() -> Path:
    """Ray Serve's environment, which the set-up step of CI has begun to build. Only elsewhere it may be missing."""
    try:
        return RAY_SERVE.build()
    except (subprocess.SubprocessError, OSError) as error:
        if CI:
            raise
        pytest.skip(f"Ray Serve cannot be installed here: {error}")


@contextmanager
def serve_run(python: Path, folder: Path, cluster: Cluster) -> Iterator[subprocess.Popen[bytes]]:
    """Run what the export's README says, in its folder."""
    argv = [python, "-m", "ray.serve.scripts", "run", "serve_config.yaml", "--runtime-env-json", HOOK]
    environment = {**os.environ, **cluster.environment, "RAY_ADDRESS": f"127.0.0.1:{cluster.port}"}
    with (folder / "serve.log").open("wb") as log:
        process = subprocess.Popen(
            argv, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for_answers(process: subprocess.Popen[bytes], folder: Path, address: str) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        with suppress(httpx.HTTPError):
            if httpx.get(f"{address}/v2/health/ready", timeout=5).status_code == 200:
                return
        time.sleep(0.1)
    raise AssertionError((folder / "serve.log").read_text()[-4000:])


@pytest.fixture(scope="module")
def served(ray_python: Path, exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The application on a Ray of our own; whatever was started is ended by its number."""
    (port,) = free_ports(1)
    address = f"http://127.0.0.1:{port}"
    config = exported / "serve_config.yaml"
    config.write_text(config.read_text().replace("port: 8000", f"port: {port}"))
    log = tmp_path_factory.mktemp("predictions")
    cluster = Cluster(tmp_path_factory.mktemp("cluster"), ray_python)
    cluster.environment |= {
        "PYTHONPATH": f"{SOURCE}{os.pathsep}{HERE / 'drives'}",
        "PREDICTION_LOG": str(log),
        # where clusters are off, Ray leaves 127.0.0.1 as it is, and a node of that address listens on loopback only
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    }
    try:
        cluster.start("127.0.0.1", cpus=2)
        with serve_run(ray_python, exported, cluster) as process:
            wait_for_answers(process, exported, address)
            yield Served(address, log, [process.pid, *cluster.pids()])
    finally:
        cluster.stop()


@pytest.fixture(scope="module")
def beside(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A gateway on the same table and packages."""
    place = Place(tmp_path_factory.mktemp("gateway"), (exported / "deployment").as_uri())
    with gateway(place, "--no-report") as running, httpx.Client(base_url=running.address, timeout=20) as client:
        wait_ready(client)
        yield running.address


@pytest.mark.timeout(PATIENCE + 180)  # the environment may be on its way
@pytest.mark.parametrize("asked", ASKED, ids=[f"{method} {path}" for method, path, _ in ASKED])
def test_ray_serve_answers_as_a_gateway_does(served: Served, beside: str, asked: tuple[str, str, Any]) -> None:
    with (
        httpx.Client(base_url=served.address, timeout=30) as ray,
        httpx.Client(base_url=beside, timeout=30) as ours,
    ):
        assert ask(ray, *asked) == ask(ours, *asked)


def test_ray_serve_says_and_logs_what_it_answered(served: Served) -> None:
    answer = httpx.post(f"{served.address}{INFER}", json=request(rows=2), timeout=30)
    assert answer.status_code == 200
    name = answer.headers["modelloop-prediction-id"]
    assert answer.json()["parameters"]["prediction_id"] == name
    logged = [record for file in served.log.glob("*/*.log") for record in read_frames(file)[0]]
    (record,) = [record for record in logged if record["id"] == name]
    assert record["s"] == pytest.approx(answer.json()["outputs"][0]["data"], abs=1e-6)


def test_nobody_else_reaches_it(served: Served) -> None:
    """Ours and Ray's ports are all of the loopback."""
    found: list[str] = []
    for pid in served.pids:
        with suppress(psutil.NoSuchProcess):
            lines = psutil.Process(pid).net_connections("tcp")
            found += [line.laddr.ip for line in lines if line.status == psutil.CONN_LISTEN]
    assert found
    assert {ip.removeprefix("::ffff:") for ip in found} == {"127.0.0.1"}
