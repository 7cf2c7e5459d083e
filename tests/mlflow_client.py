"""An environment that holds the real MLflow, built once from its lock under build/peers: for tests and benchmarks.

`python tests/mlflow_client.py` builds it (under a minute); instant where it is there. Runs under a bare Python.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
LOCKS = (ROOT / "requirements" / "mlflow.txt", ROOT / "requirements" / "torch.txt")
PLAIN = "torch==2.13.0"
PATIENCE = 900


def folder() -> Path:
    """Return where the environment is, or will be: another lock makes another one."""
    wanted = hashlib.sha256(b"\n".join(lock.read_bytes() for lock in LOCKS) + sys.version[:4].encode()).hexdigest()
    return ROOT / "build" / "peers" / f"mlflow-{wanted[:12]}"


def python() -> Path | None:
    """Return its interpreter, or None where it is not built."""
    place = folder()
    return place / "bin" / "python" if (place / "complete").exists() else None


def holds_torch() -> bool:
    """Say whether torch is in it: there is a locked build for some machines only."""
    return (folder() / "torch").exists()


def build() -> Path:
    """Build it where it is not there, and return its interpreter; raises CalledProcessError.

    Whoever comes while another builds waits for that. What is half made has another name.
    """
    place = folder()
    if (found := python()) is not None:
        return found
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if python() is None:
            draft = place.with_suffix(".draft")
            shutil.rmtree(draft, ignore_errors=True)
            shutil.rmtree(place, ignore_errors=True)
            _fill(draft)
            draft.rename(place)
    return place / "bin" / "python"


def _fill(draft: Path) -> None:
    _uv("venv", "--quiet", "--relocatable", "--python", sys.executable, str(draft))
    _install(draft, LOCKS[0])
    # uv looks a build of torch up by its whole name, which the lock leaves out: pip does not need it
    named = draft / "torch.txt"
    named.write_text(LOCKS[1].read_text().replace(PLAIN, f"{PLAIN}+cpu"))
    try:
        _install(draft, named)
        (draft / "torch").touch()
    except subprocess.CalledProcessError:
        sys.stderr.write("no build of torch for this machine: its tests with MLflow will be skipped\n")
    (draft / "complete").touch()


def _install(place: Path, lock: Path) -> None:
    links = os.environ.get("PIP_FIND_LINKS")
    options = [
        "--quiet",
        "--compile-bytecode",
        "--require-hashes",
        "--no-deps",
        *(["--find-links", links] if links else []),
    ]
    _uv("pip", "install", "--python", str(place / "bin" / "python"), *options, "--requirement", str(lock))


def _uv(*words: str) -> None:
    beside = Path(sys.executable).with_name("uv")
    command = [str(beside) if beside.exists() else "uv", *words]
    environment = {k: v for k, v in os.environ.items() if k not in {"PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV"}}
    subprocess.run(command, check=True, env=environment, stdin=subprocess.DEVNULL, timeout=PATIENCE)


if __name__ == "__main__":
    sys.stdout.write(f"{build()}\n")
