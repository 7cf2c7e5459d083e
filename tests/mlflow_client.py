"""An environment that holds the real MLflow, built once from its lock under build/peers: for tests and benchmarks.

`python tests/mlflow_client.py` builds it (under a minute); instant where it is there. Runs under a bare Python.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from locked_environment import ROOT, Environment, install

LOCKS = (ROOT / "requirements" / "mlflow.txt", ROOT / "requirements" / "torch.txt")
PLAIN = "torch==2.13.0"


def python() -> Path | None:
    """Return its interpreter, or None where it is not built."""
    return MLFLOW.python()


def holds_torch() -> bool:
    """Say whether torch is in it: there is a locked build for some machines only."""
    return (MLFLOW.folder / "torch").exists()


def build() -> Path:
    """Build it where it is not there, and return its interpreter; raises CalledProcessError."""
    return MLFLOW.build()


def _fill(draft: Path) -> None:
    install(draft, LOCKS[0])
    # uv looks a build of torch up by its whole name, which the lock leaves out: pip does not need it
    named = draft / "torch.txt"
    named.write_text(LOCKS[1].read_text().replace(PLAIN, f"{PLAIN}+cpu"))
    try:
        install(draft, named)
        (draft / "torch").touch()
    except subprocess.CalledProcessError:
        sys.stderr.write("no build of torch for this machine: its tests with MLflow will be skipped\n")


MLFLOW = Environment("mlflow", LOCKS, _fill)

if __name__ == "__main__":
    sys.stdout.write(f"{build()}\n")
