"""Peers in environments of their own, made when a benchmark first asks for them and kept under build/peers."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

PEERS = Path(__file__).parent.parent / "build" / "peers"


def peer(name: str, *requirements: str, python: str = sys.executable) -> Path:
    """Return the Python of an environment that holds exactly these requirements and what they need.

    Raises subprocess.CalledProcessError where they cannot be installed; half-made environments are made anew.
    """
    wanted = hashlib.sha256("\n".join(sorted(requirements)).encode()).hexdigest()[:12]
    folder = PEERS / f"{name}-{wanted}"
    found = folder / "bin" / "python"
    if (folder / "complete").exists():
        return found
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([python, "-m", "venv", folder], check=True, env=environment)
    install = [found, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements]
    subprocess.run(install, check=True, env=environment)
    (folder / "complete").touch()
    return found
