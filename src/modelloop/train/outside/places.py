"""Folders for models' processes; those that killed gateways left behind are removed by the next one."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import psutil

PREFIX = "modelloop-outside-"


def make_place() -> Path:
    """Return an empty folder of this process, for one model."""
    root = Path(tempfile.gettempdir())
    for left in root.glob(f"{PREFIX}*"):
        number = left.name.removeprefix(PREFIX).partition("-")[0]
        if number.isdigit() and not psutil.pid_exists(int(number)):
            shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
