"""The executor on a Ray cluster. The only file that touches Ray.

Ray places calls and tells when a node is gone; what happens on the node is `faraway`. A plain function goes to Ray by
its name, bytes go in and out: nothing of the user's is pickled.
"""

from __future__ import annotations

import importlib
import logging
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ...core.errors import ExtraMissing, NotReady, PipelineInvalid
from ...flow.bound import bind_to, end_group
from ...flow.caller import answer_of, asked_of
from ...flow.codecs import from_text
from ...flow.elsewhere import Answer, Resources, Task
from ...flow.records import RunError
from ...store.blobs import Blobs
from .. import faraway, machine, shipping

LOCAL = "local"
_LOOPBACK = "127.0.0.2"
"""Ray turns 127.0.0.1 into the address of a network interface and listens there; this one it leaves alone."""
_SHORT, _FOLDER = Path("/tmp"), "mlray-"  # noqa: S108 - a path of a socket has at most 107 letters
_CONNECT = 5.0
_LOOK = 2.0
"""So often a look is taken at the nodes while calls wait."""
_ASK_TO_END = 5.0
_OBJECT_STORE = 150_000_000


class RayExecutor:
    """Carries out calls on a Ray cluster: that at `address`, or with "local" one of its own on this machine.

    Each node needs Modelloop and what the project imports; the project's own code is sent. `processors`: how many the
    calls may share at a time.
    """

    def __init__(self, address: str, project: Path, blobs_url: str, *, processors: int | None = None) -> None:
        self._address, self._project, self._blobs_url = address, project, blobs_url
        self._processors = processors
        self._cluster: _Cluster | None = None
        self._shipped: str | None = None

    @property
    def usable(self) -> bool:
        """Say whether other processes can reach the blobs at all."""
        return not self._blobs_url.startswith("memory:")

    def check(self, resources: Resources) -> None:
        """Raise PipelineInvalid for what no node has; NotReady where the cluster does not answer."""
        self._join().check(resources)

    def run(self, tasks: Sequence[Task], *, stop_at_error: bool = True) -> Iterator[tuple[int, Answer]]:
        """Yield (place, answer) as they come: see `flow.elsewhere.Executor`."""
        cluster = self._join()
        for resources in {task.resources for task in tasks}:
            cluster.check(resources)
        waiting = deque(enumerate(tasks))
        flying: dict[Any, int] = {}
        try:
            while waiting or flying:
                self._send(cluster, waiting, flying, tasks)
                over = cluster.over(list(flying))
                _check_nodes(cluster, [] if over else [tasks[place] for place in flying.values()])
                for ref in over:
                    place = flying.pop(ref)
                    answer = cluster.receive(ref, tasks[place])
                    waiting = waiting if answer.error is None or not stop_at_error else deque()
                    yield place, answer
        finally:
            cluster.cancel(list(flying))  # only where whoever iterates gave up

    def close(self) -> None:
        """Leave the cluster; one that was started for this is ended."""
        if self._cluster is not None:
            self._cluster.leave()
            self._cluster = None

    def _join(self) -> _Cluster:
        if self._cluster is None:
            self._cluster = _Cluster.join(self._address, self._processors)
        return self._cluster

    def _send(
        self, cluster: _Cluster, waiting: deque[tuple[int, Task]], flying: dict[Any, int], tasks: Sequence[Task]
    ) -> None:
        limit = cluster.processors
        used = sum(tasks[place].resources.cpus for place in flying.values())
        while waiting and (not flying or used + waiting[0][1].resources.cpus <= limit + 1e-9):
            place, task = waiting.popleft()
            flying[cluster.submit(task, self._message(task))] = place
            used += task.resources.cpus

    def _message(self, task: Task) -> bytes:
        if self._shipped is None:
            self._shipped = Blobs(self._blobs_url).put(shipping.pack(self._project))
        limit = task.time_limit.total_seconds() if task.time_limit else None
        return faraway.message_of(asked_of(task), time_limit=limit, project=self._shipped, blobs_url=self._blobs_url)


class _Cluster:
    """A connection to Ray. There is one per process, so it is left alone where somebody else made it."""

    def __init__(
        self, ray: Any, address: str, *, ours: _OwnCluster | bool = False, processors: int | None = None
    ) -> None:
        self._ray, self._address, self._ours, self._limit = ray, address, ours, processors
        self._carry_out = ray.remote(_carry_out)
        self._nodes = self._alive()

    @classmethod
    def join(cls, address: str, processors: int | None) -> _Cluster:
        """Start or join; raises NotReady where there is no cluster, ExtraMissing without Ray."""
        if address == LOCAL:
            _protect(os.environ)
        ray = _library()
        if ray.is_initialized():
            return cls(ray, address, processors=processors)
        own = _OwnCluster(processors or machine.processors()) if address == LOCAL else None
        at = address if own is None else own.address
        try:
            _knock(at)
            ray.init(address=at, logging_level=logging.ERROR, log_to_driver=False)
        except (NotReady, ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            if own is not None:
                own.end()
            raise error if isinstance(error, NotReady) else _away(address, _first_line(error)) from error
        return cls(ray, address, ours=own or True, processors=processors)

    @property
    def processors(self) -> float:
        """Return how many processors calls may share."""
        there = sum(node.get("CPU", 0.0) for node in self._nodes.values())
        return float(there if self._limit is None else min(self._limit, there))

    def check(self, resources: Resources) -> None:
        """Raise PipelineInvalid for what no node has."""
        wanted = {"CPU": resources.cpus, "memory": float(resources.memory), "GPU": resources.gpus}
        if min(wanted.values()) < 0 or (resources.gpus > 1 and resources.gpus % 1):
            raise PipelineInvalid(
                f"A step asks for {resources}, which cannot be given.",
                hint="Shares of a processor or GPU are fractions above 0; above one GPU, whole ones.",
            )
        if resources.cpus <= self.processors and any(
            all(node.get(name, 0.0) >= amount for name, amount in wanted.items()) for node in self._nodes.values()
        ):
            return
        have = "; ".join(
            f"{name}: {node.get('CPU', 0):g} processors, {node.get('memory', 0) / 1e6:,.0f} MB, "
            f"{node.get('GPU', 0):g} GPUs"
            for name, node in sorted(self._nodes.items())
        )
        asked = f"{resources.cpus:g} processors, {resources.memory / 1e6:,.0f} MB of memory, {resources.gpus:g} GPUs"
        raise PipelineInvalid(
            f"A step asks for {asked} on one node of the Ray cluster {self._address}. There are: {have or 'no nodes'}.",
            hint="Ask for less, or add a node that has so much.",
        )

    def submit(self, task: Task, message: bytes) -> Any:
        """Have a call made on some node; return what stands for its answer."""
        resources = task.resources
        options: dict[str, Any] = {"num_cpus": resources.cpus, "num_gpus": resources.gpus, "name": task.step}
        if resources.memory:
            options["memory"] = resources.memory
        return self._carry_out.options(**options, max_retries=0).remote(message)

    def over(self, refs: list[Any]) -> list[Any]:
        """Return those that are over, after a while perhaps none."""
        ready, rest = self._ray.wait(refs, num_returns=1, timeout=_LOOK, fetch_local=False)
        if ready and rest:
            ready += self._ray.wait(rest, num_returns=len(rest), timeout=0, fetch_local=False)[0]
        return list(ready)

    def receive(self, ref: Any, task: Task) -> Answer:
        """Return an answer; a worker or node that is gone is one too."""
        errors = self._ray.exceptions
        try:
            told = from_text(self._ray.get(ref))
        except errors.RayError as error:
            return _lost(error, task)
        sys.stdout.write(told.pop("printed"))
        return answer_of(told)

    def cancel(self, refs: list[Any]) -> None:
        """End calls, with all they started; return when they are over."""
        for force in (False, True):
            for ref in refs:
                with suppress(ValueError):
                    self._ray.cancel(ref, force=force)
            if refs:
                _, refs = self._ray.wait(refs, num_returns=len(refs), timeout=_ASK_TO_END, fetch_local=False)

    def changed(self) -> bool:
        """Look at the nodes; say whether others are alive than before."""
        before, self._nodes = self._nodes, self._alive()
        return before.keys() != self._nodes.keys()

    def leave(self) -> None:
        """Let go of the connection, and of a cluster that was started for it."""
        if self._ours:
            self._ray.shutdown()
        if isinstance(self._ours, _OwnCluster):
            self._ours.end()

    def _alive(self) -> dict[str, dict[str, float]]:
        try:
            nodes = self._ray.nodes()
        except self._ray.exceptions.RayError as error:
            raise _away(self._address, _first_line(error)) from error
        alive = [node for node in nodes if node["Alive"]]
        return {f"{node['NodeManagerAddress']} {node['NodeID'][:6]}": node["Resources"] for node in alive}


class _OwnCluster:
    """A cluster of one node on this machine, in a process group that ends with this process whatever happens to it.

    Ray alone would leave two of its processes behind where this one is killed.
    """

    def __init__(self, processors: int) -> None:
        _sweep()
        self._folder = tempfile.mkdtemp(prefix=f"{_FOLDER}{os.getpid()}-", dir=_SHORT)
        reading, self._lifeline = os.pipe()
        words = [str(reading), str(os.getpid()), str(processors), self._folder]
        said = Path(self._folder, "said")
        with said.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, *words],
                pass_fds=[reading],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                process_group=0,
            )
        os.close(reading)
        assert self._process.stdout is not None
        self.address = self._process.stdout.readline().decode().strip()
        if not self.address:
            lines = said.read_text(errors="replace").strip().splitlines()
            self.end()
            raise _away(LOCAL, lines[-1].rstrip(".") if lines else "it ended without a word")

    def end(self) -> None:
        """End all its processes."""
        end_group(self._process.pid)
        self._process.communicate()
        os.close(self._lifeline)
        shutil.rmtree(self._folder, ignore_errors=True)


def _sweep() -> None:
    """Remove the folders of clusters whose run was killed."""
    for folder in _SHORT.glob(f"{_FOLDER}*-*"):
        number = folder.name.removeprefix(_FOLDER).partition("-")[0]
        if not Path("/proc", number).exists() and Path("/proc/self").exists():
            shutil.rmtree(folder, ignore_errors=True)


def _keep(words: list[str]) -> None:
    """Be the process that `_OwnCluster` starts: hold a cluster until it is ended."""
    lifeline, parent, processors, folder = words
    bind_to(int(parent), int(lifeline))
    ray = _library()
    ray.init(
        num_cpus=int(processors),
        include_dashboard=False,
        object_store_memory=_OBJECT_STORE,
        logging_level=logging.ERROR,
        log_to_driver=False,
        _node_ip_address=_LOOPBACK,
        _temp_dir=folder,
    )
    sys.stdout.write(f"{ray.get_runtime_context().gcs_address}\n")
    sys.stdout.flush()
    while True:
        signal.pause()


def _check_nodes(cluster: _Cluster, waiting: Sequence[Task]) -> None:
    """Raise PipelineInvalid where a call waits for what only a node that is gone had."""
    if waiting and cluster.changed():
        for task in waiting:
            cluster.check(task.resources)


def _carry_out(message: bytes) -> bytes:
    """Make a call on a node: what Ray is given."""
    return faraway.carry_out(message, _library().util.get_node_ip_address())


def _library() -> Any:
    """Import Ray, which looks at the environment when it is imported."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        return importlib.import_module("ray")
    except ModuleNotFoundError as error:
        raise ExtraMissing(
            'The pool is a Ray cluster ([pool] kind = "ray"), and Ray is not installed.',
            hint='Install it: pip install "modelloop[ray]".',
        ) from error


def _protect(environ: MutableMapping[str, str]) -> None:
    """Give a cluster of our own a token of its own, unless the user has one."""
    if not any(environ.get(name) for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")):
        environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")


def _knock(address: str) -> None:
    """Raise NotReady where nobody listens: Ray itself would try for a minute."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT).close()
    except (OSError, ValueError) as error:
        raise _away(address, str(error)) from error


def _away(address: str, reason: str) -> NotReady:
    where = "a Ray cluster on this machine could not be started" if address == LOCAL else (
        f"the Ray cluster at {address} does not answer"
    )  # fmt: skip
    hint = "Is there memory for it? `kind = \"local\"` in [pool] needs no Ray." if address == LOCAL else (
        "Start it (`ray start --head`), make this machine a node of it (`ray start --address=HOST:PORT`), and see that "
        "[pool] address is right. RAY_AUTH_MODE must be the same everywhere."
    )  # fmt: skip
    return NotReady(f"{where[0].upper()}{where[1:]}: {reason}.", hint=hint)


def _lost(error: Exception, task: Task) -> Answer:
    """Return the answer for a call whose worker or node is gone."""
    name = task.step.partition(":")[2]
    kind = type(error).__name__
    reason = " ".join(str(error).split())[:300]
    said = f"The Ray worker of {name} is gone before the call was over ({kind}): {reason}"
    return Answer("", 0.0, error=RunError("WorkerDied", said, said, name), place="ray")


if __name__ == "__main__":
    _keep(sys.argv[1:])
