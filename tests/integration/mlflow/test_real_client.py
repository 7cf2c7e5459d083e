"""The unmodified MLflow client, in an environment of its own, against a real control process.

Nothing is set but MLFLOW_TRACKING_URI and MLFLOW_TRACKING_TOKEN. What it does stands in `drives`, and asserts itself.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import mlflow_client
from control_process import Control, control_process

DRIVES = Path(__file__).parent / "drives"
PATIENCE = 240
CI = os.environ.get("CI") == "true"

pytestmark = pytest.mark.timeout(PATIENCE + 60)


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Control]:
    if mlflow_client.python() is None:
        try:
            mlflow_client.build()
        except (subprocess.SubprocessError, OSError) as error:
            if CI:
                raise
            pytest.skip(f"MLflow cannot be installed here: {error}")
    with control_process(tmp_path_factory.mktemp("control") / "project") as running:
        yield running


def begin(control: Control, folder: Path, name: str, *words: str) -> subprocess.Popen[str]:
    python = mlflow_client.python()
    assert python is not None
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "MLFLOW_TRACKING_URI": control.url,
        "MLFLOW_TRACKING_TOKEN": control.token,
    }
    argv = [str(python), str(DRIVES / name), *words]
    return subprocess.Popen(
        argv,
        env=environ,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ended(process: subprocess.Popen[str], control: Control) -> None:
    try:
        output, _ = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
        raise AssertionError(f"it takes too long:\n{output[-4000:]}") from None
    log = (control.folder / "control.log").read_text()
    assert process.returncode == 0, f"{output[-6000:]}\ncontrol says:\n{log[-3000:]}"
    assert "Traceback" not in log, log[-3000:]


@pytest.mark.parametrize(
    "drive", ["tracking.py", "registry.py", "sklearn_models.py", "lightgbm_models.py", "torch_models.py"]
)
def test_what_clients_do(control: Control, tmp_path: Path, drive: str) -> None:
    if drive.startswith("torch") and not mlflow_client.holds_torch():
        pytest.skip("no build of torch for this machine")
    ended(begin(control, tmp_path, drive), control)


def test_four_clients_at_once(control: Control, tmp_path: Path) -> None:
    folders = [tmp_path / str(number) for number in range(4)]
    for folder in folders:
        folder.mkdir()
    processes = [begin(control, folder, "many.py", folder.name) for folder in folders]
    try:
        for process in processes:
            ended(process, control)
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_a_large_file_needs_no_memory(control: Control, tmp_path: Path) -> None:
    before = memory(control.pid)
    ended(begin(control, tmp_path, "large.py", str(400 << 20), str(tmp_path)), control)
    peak = int(status(control.pid, "VmHWM")) // 1024
    assert peak < before + 150, f"{before} MB before, {peak} MB at most"


def test_the_server_is_small_and_idle_when_idle(control: Control) -> None:
    assert control.ready < 10, "3 s on a quiet machine; tests share theirs"
    assert memory(control.pid) < 250
    spent = cpu(control.pid)
    time.sleep(2)
    assert cpu(control.pid) - spent <= 0.03, "an idle server uses nothing"


def memory(pid: int) -> int:
    return int(status(pid, "VmRSS")) // 1024


def status(pid: int, name: str) -> str:
    text = Path(f"/proc/{pid}/status").read_text()
    return text.split(f"{name}:")[1].split()[0]


def cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
