"""The plain install: the SDK, the remote client, the command line and control, without numpy and Polars."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LIMIT = 170e6
HEAVY = ("numpy", "polars", "pyarrow", "onnxruntime", "sklearn", "optuna", "torch", "lightgbm", "ray")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python in an environment with the core dependencies and this checkout's source."""
    folder = tmp_path_factory.mktemp("plain") / "env"
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    install = ["-m", "pip", "--python", python, "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run(
        [sys.executable, *install, "--require-hashes", "-r", ROOT / "requirements" / "core.txt"],
        check=True,
        env=clean,
        timeout=280,
    )
    places = subprocess.run(
        [python, "-c", "import site; print(site.getsitepackages()[0])"], check=True, capture_output=True, text=True
    )
    (Path(places.stdout.strip()) / "modelloop.pth").write_text(f"{ROOT / 'src'}\n")
    return python


@pytest.fixture(scope="module")
def project(plain: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("projects")
    run(plain, "init", "shop", place=place)
    return place / "shop"


def run(python: Path, *words: str, place: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [python, "-m", "modelloop", *words], cwd=place, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == code, done.stderr
    return done


def test_it_is_small(plain: Path) -> None:
    packages = next((plain.parent.parent / "lib").glob("python*/site-packages"))
    installed = sum(file.stat().st_size for file in packages.rglob("*") if file.is_file())
    ours = sum(file.stat().st_size for file in (ROOT / "src").rglob("*.py"))
    assert installed + 2 * ours < LIMIT, f"{(installed + 2 * ours) / 1e6:.0f} MB"


@pytest.mark.parametrize(
    "module", ["modelloop", "modelloop.client", "modelloop.sdk", "modelloop.control", "modelloop.cli.entry"]
)
def test_what_looks_on_loads_nothing_heavy(plain: Path, module: str) -> None:
    code = f"import sys, {module}; print([n for n in {HEAVY!r} if n in sys.modules])"
    told = subprocess.run([plain, "-c", code], check=True, capture_output=True, text=True)
    assert told.stdout.strip() == "[]"


@pytest.mark.parametrize("module", ["modelloop", "modelloop.client", "modelloop.sdk"])
def test_what_sends_loads_no_database_library(plain: Path, module: str) -> None:
    code = f"import sys, {module}; print([n for n in ('sqlalchemy', 'psycopg', 'sqlite3') if n in sys.modules])"
    told = subprocess.run([plain, "-c", code], check=True, capture_output=True, text=True)
    assert told.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "command", ["status", "data", "runs", "models", "monitor", "episodes", "triggers", "cost", "audit"]
)
def test_commands_that_look_work(plain: Path, project: Path, command: str) -> None:
    json.loads(run(plain, command, "--json", place=project).stdout)


def test_a_missing_extra_is_named_with_its_command(plain: Path, project: Path) -> None:
    (project / "landing" / "data" / "a.csv").write_text("id,at,amount,kind,target\n1,2026-01-01T00:00:00Z,1,a,0\n")
    refused = run(plain, "data", "ingest", place=project, code=1)
    assert "pip install 'modelloop[data]'" in refused.stderr


@pytest.fixture
def control(plain: Path, project: Path) -> Iterator[str]:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen([plain, "-m", "modelloop", "control", "--port", str(port)], cwd=project)
    try:
        for _ in range(300):
            with closing(socket.socket()) as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def test_control_answers(project: Path, control: str) -> None:
    token = (project / ".modelloop" / "secrets" / "token").read_text().strip()
    for path in ("/", "/data", "/runs", "/triggers", "/cost", "/api/picture", "/api/models", "/api/openapi.json"):
        request = urllib.request.Request(control + path, headers={"authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 200, path
