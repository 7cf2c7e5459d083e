"""Environments of their own under build/peers, each built once from its locks: for tests and benchmarks.

Runs under a bare Python: the set-up step builds them too.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PATIENCE = 900


@dataclass(frozen=True)
class Environment:
    """One environment: other locks make another one."""

    name: str
    locks: tuple[Path, ...]
    fill: Callable[[Path], None]
    """Installs into the environment that was just made."""

    @property
    def folder(self) -> Path:
        """Return where it is, or will be."""
        wanted = hashlib.sha256(b"\n".join(lock.read_bytes() for lock in self.locks) + sys.version[:4].encode())
        return ROOT / "build" / "peers" / f"{self.name}-{wanted.hexdigest()[:12]}"

    def python(self) -> Path | None:
        """Return its interpreter, or None where it is not built."""
        place = self.folder
        return place / "bin" / "python" if (place / "complete").exists() else None

    def build(self) -> Path:
        """Build it where it is not there, and return its interpreter; raises CalledProcessError.

        Whoever comes while another builds waits for that. What is half made has another name.
        """
        place = self.folder
        if (found := self.python()) is not None:
            return found
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self.python() is None:
                draft = place.with_suffix(".draft")
                shutil.rmtree(draft, ignore_errors=True)
                shutil.rmtree(place, ignore_errors=True)
                _uv("venv", "--quiet", "--relocatable", "--python", sys.executable, str(draft))
                self.fill(draft)
                (draft / "complete").touch()
                draft.rename(place)
        return place / "bin" / "python"


def install(place: Path, lock: Path) -> None:
    """Install what a lock names, and nothing else."""
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
