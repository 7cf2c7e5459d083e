"""Who holds a trial: a process, told apart from all others, so that a dead one's trials are free at once."""

from __future__ import annotations

import os
import secrets
import socket
from pathlib import Path

import psutil


def owner() -> str:
    """Return a name for this process's next ledger: its machine, its process, and a word of its own."""
    return f"{_machine()}|{os.getpid()}|{_started(os.getpid())}|{secrets.token_hex(6)}"


def is_gone(text: str) -> bool:
    """Say whether the process is known to be dead; one on another machine never is (its lease ends)."""
    machine, _, rest = text.partition("|")
    pid, _, rest = rest.partition("|")
    started = rest.partition("|")[0]
    if not text:
        return True
    return machine == _machine() and pid.isdigit() and _started(int(pid)) != started


def _machine() -> str:
    """Return what tells machines apart, and containers that count processes by themselves."""
    return f"{socket.gethostname()[:60]}/{_text('/proc/sys/kernel/random/boot_id')[:8]}/{_space()}"


def _space() -> str:
    try:
        return Path("/proc/self/ns/pid").readlink().name.strip("pid:[]")
    except OSError:
        return ""


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except OSError:
        return str(int(psutil.boot_time()))


def _started(pid: int) -> str:
    """Return when a process began, or nothing where there is none (a number is used again; one that died is none)."""
    try:
        process = psutil.Process(pid)
        return "" if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except psutil.Error:
        return ""
