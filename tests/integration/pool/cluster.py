"""A Ray cluster of two nodes on this machine, on loopback addresses; only its own processes are ended."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from modelloop.testing.executors import gone

TOKEN = "modelloop-tests-token-of-more-than-thirty-two-letters"


class Cluster:
    """Nodes are started one by one, each in a session of its own."""

    def __init__(self, folder: Path, python: str | Path = sys.executable) -> None:
        """`python`: of the environment whose Ray it is."""
        self._python = str(python)
        # sockets of Ray have long names, and a path of one may have 107 letters
        self._folder = Path(tempfile.mkdtemp(prefix="mltest-", dir="/tmp"))
        token = folder / "token"
        token.write_text(TOKEN)
        token.chmod(0o600)
        self.environment = {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_health_check_period_ms": "500",
            "RAY_health_check_failure_threshold": "3",
            "RAY_health_check_initial_delay_ms": "500",
        }
        self.port = _free_port()
        self._nodes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def address(self) -> str:
        """Return where the first node is joined."""
        return f"127.0.0.2:{self.port}"

    @property
    def nodes(self) -> list[str]:
        """Return the addresses of the nodes, the head first."""
        return list(self._nodes)

    def start(self, ip: str, *, cpus: int) -> None:
        """Start a node and wait until it is ready; the first one is the head."""
        words = ["start", "--block", f"--node-ip-address={ip}", f"--num-cpus={cpus}", "--disable-usage-stats"]
        words += ["--object-store-memory=100000000", "--include-log-monitor=false"]
        if self._nodes:
            words.append(f"--address={self.address}")
        else:
            words += ["--head", f"--port={self.port}", "--include-dashboard=false", f"--temp-dir={self._folder}"]
        log = (self._folder / f"{ip}.log").open("wb")
        argv = [self._python, "-m", "ray.scripts.scripts", *words]
        with log:
            node = subprocess.Popen(
                argv,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._nodes[ip] = node
        until = time.monotonic() + 90
        path = self._folder / f"{ip}.log"
        while "Ray runtime started" not in path.read_text(errors="replace"):
            assert node.poll() is None, path.read_text(errors="replace")[-3000:]
            assert time.monotonic() < until, path.read_text(errors="replace")[-3000:]
            time.sleep(0.1)

    def pids(self) -> list[int]:
        """Return the processes of all nodes."""
        return [pid for node in self._nodes.values() for pid in (node.pid, *below(node.pid))]

    def kill(self, ip: str) -> None:
        """End a node as a machine ends: all its processes at once."""
        node = self._nodes.pop(ip)
        pids = [*below(node.pid), node.pid]
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        node.wait()
        assert gone(pids, within=20)

    def stop(self) -> None:
        """End all nodes."""
        for ip in list(self._nodes)[::-1]:
            self.kill(ip)
        shutil.rmtree(self._folder, ignore_errors=True)


def below(pid: int) -> list[int]:
    """Return the processes that descend from one, youngest last."""
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with suppress(OSError):
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                parents.setdefault(parent, []).append(int(folder.name))
    found, waiting = [], [pid]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found += children
        waiting += children
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.2", 0))
        return int(probe.getsockname()[1])
