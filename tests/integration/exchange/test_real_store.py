"""A store of 200 runs, written by the real MLflow, comes in by file and by server, is proved equal, goes out."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

import mlflow_client
from modelloop.exchange.exporting import export_store
from modelloop.exchange.importing import import_store
from modelloop.exchange.opening import open_store
from modelloop.exchange.records import Imported
from modelloop.ground.store.context import Context

MAKE = Path(__file__).parent / "make_store.py"
PATIENCE = 180
pytestmark = pytest.mark.timeout(PATIENCE + 60)


def python() -> str:
    try:
        return str(mlflow_client.build())
    except (subprocess.SubprocessError, OSError) as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"MLflow cannot be installed here: {error}")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    done = subprocess.run(  # noqa: PLW1510 - asserted below, with what it said
        [python(), str(MAKE), str(folder)], cwd=folder, env=environ, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def brought_in(ctx: Context, source: str) -> Imported:
    with closing(open_store(source)) as found:
        return import_store(ctx, found)


def counts(report: Imported) -> dict[str, int]:
    assert report.equal, (report.differs, report.lines)
    return {line.what: line.here for line in report.lines}


EXPECTED = {
    "experiments": 3,
    "runs": 200,
    "metric values": 5202,
    "metrics": 402,
    "params": 400,
    "tags": 800,
    "dataset inputs": 3,
    "logged models": 2,
    "model versions": 2,
    "registered models": 1,
    "aliases": 1,
    "files": 44,
}


def test_by_its_file_and_out_again(ctx: Context, store: Path, tmp_path: Path) -> None:
    report = brought_in(ctx, f"sqlite:///{store / 'mlflow.db'}")
    assert counts(report) == EXPECTED
    assert not report.missing
    again = brought_in(ctx, str(store / "mlflow.db"))
    assert again.equal
    assert again.written == {}
    assert again.digests == report.digests
    made = export_store(ctx, tmp_path / "out")
    assert (made.counts["runs"], made.counts["metrics"], made.counts["artifacts"]) == (200, 5202, 44)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert all((tmp_path / "out" / name).is_file() for name in manifest["files"])


def test_by_its_server(ctx: Context, store: Path) -> None:
    with server(store) as address:
        assert counts(brought_in(ctx, address)) == EXPECTED
        by_server = brought_in(ctx, address)
    assert by_server.written == {}
    by_file = brought_in(ctx, str(store / "mlflow.db"))
    assert by_file.equal
    assert by_file.written == {}
    assert by_file.digests == by_server.digests


@contextmanager
def server(store: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    argv = [python(), "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{store}/mlflow.db", "--workers", "1"]
    argv += ["--host", "127.0.0.1", "--port", str(port), "--default-artifact-root", str(store / "mlruns")]
    environ = {"PATH": os.environ["PATH"], "HOME": str(store)}
    with (store / "server.log").open("wb") as log:
        process = subprocess.Popen(argv, cwd=store, env=environ, stdout=log, stderr=log, start_new_session=True)
    try:
        wait(f"http://127.0.0.1:{port}", process, store / "server.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, 15)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()


def wait(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 90
    while True:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            assert process.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < until, log.read_text()[-3000:]
            time.sleep(0.1)
