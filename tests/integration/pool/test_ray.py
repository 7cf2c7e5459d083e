"""The behaviour suite over a Ray cluster of two nodes, and what becomes of a run when nodes are not there or go."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent

import pytest

from modelloop.ground.core.errors import NotReady, PipelineInvalid
from modelloop.ground.flow import actions as flow
from modelloop.ground.flow.elsewhere import Executor, Resources
from modelloop.ground.pool.adapters.ray import RayExecutor
from modelloop.ground.pool.places import executor_for
from modelloop.ground.pool.settings import PoolKind, PoolSettings
from modelloop.ground.store.blobs import Blobs
from modelloop.ground.store.context import Context
from modelloop.testing.executors import Asking, ExecutorSuite, gone, write_steps

sys.path.insert(0, str(Path(__file__).parent))
from cluster import Cluster, below

pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"
)


def test_a_cluster_that_is_away_is_said_to_be(tmp_path: Path) -> None:
    """At once, with its address and what to do. First of all: a process has one connection to Ray."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        made = RayExecutor(address, tmp_path, "memory:///")
        assert not made.usable
        began = time.monotonic()
        with pytest.raises(NotReady, match=f"Ray cluster at {address} does not answer") as told:
            made.check(Resources())
    assert time.monotonic() - began < 10
    assert "ray start" in told.value.hint
    made.close()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two nodes with a processor each; their addresses are of the loopback."""
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in made.environment.items():
            patch.setenv(name, value)
        try:
            made.start("127.0.0.2", cpus=1)
            made.start("127.0.0.3", cpus=1)
            yield made
        finally:
            made.stop()


@pytest.fixture(scope="module")
def blobs(tmp_path_factory: pytest.TempPathFactory) -> Blobs:
    return Blobs(tmp_path_factory.mktemp("blobs").as_uri())


@pytest.fixture(scope="module")
def executor(tmp_path_factory: pytest.TempPathFactory, blobs: Blobs, cluster: Cluster) -> Iterator[Executor]:
    settings = PoolSettings(PoolKind.RAY, cluster.address)
    made = executor_for(settings, write_steps(tmp_path_factory.mktemp("project")), blobs.url)
    yield made
    made.close()


class TestRayExecutor(ExecutorSuite):
    def test_both_nodes_are_used(self, executor: Executor, asking: Asking, tmp_path: Path) -> None:
        """Two calls of one processor are together only on two nodes."""
        found = self.all(executor, [asking.task("meet", str(tmp_path), number, 2, 60) for number in range(2)])
        assert [asking.value(found[place]) for place in range(2)] == [True, True]
        assert {answer.place.split()[2] for answer in found.values()} == {"127.0.0.2", "127.0.0.3"}

    def test_prints_go_where_this_process_prints(
        self, executor: Executor, asking: Asking, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """All of them, and without a word of Ray's."""
        self.all(executor, [asking.task("tell", name) for name in ("here", "there")])
        assert sorted(capsys.readouterr().out.splitlines()) == ["hello from here", "hello from there"]

    def test_a_node_that_dies_is_an_answer(
        self, executor: Executor, asking: Asking, cluster: Cluster, tmp_path: Path
    ) -> None:
        """Its calls are told to be lost, the others go on, and can be made again on what is left. Keep it last."""

        def kill_when_both_work() -> None:
            self.lingering(tmp_path, 2)
            cluster.kill("127.0.0.3")

        tasks = [asking.task("linger", str(tmp_path), 4) for _ in range(2)]
        with ThreadPoolExecutor(1) as other:
            killing = other.submit(kill_when_both_work)
            found = self.all(executor, tasks, stop_at_error=False)
            killing.result()
        errors = [answer.error for answer in found.values() if answer.error is not None]
        assert [error.kind for error in errors] == ["WorkerDied"]
        assert "linger is gone before the call was over" in errors[0].message
        again = self.all(executor, [asking.task("add", number) for number in range(3)])
        assert [asking.value(again[place]) for place in range(3)] == [1, 2, 3]
        assert {answer.place.split()[2] for answer in again.values()} == {"127.0.0.2"}
        with pytest.raises(PipelineInvalid, match=r"127\.0\.0\.2.*1 processors"):
            executor.check(Resources(cpus=2))


STEPS = """
    import os, time
    from pathlib import Path
    from modelloop import WorkerDied, pipeline, step

    @step(retries=3, pause=0.1, retry_on=WorkerDied)
    def work(number, folder):
        Path(folder, f"{number}-{os.getpid()}").touch()
        until = time.monotonic() + 60
        while not Path(folder, "killed").exists() and time.monotonic() < until:
            time.sleep(0.05)
        return number * 10

    @pipeline
    def main(folder):
        return work.map([1, 2], folder)
"""


def test_a_run_goes_on_without_a_node_that_dies(
    ctx: Context, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two calls on two nodes; one node is ended as they work; its call is made again on the other."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    if len(cluster.nodes) < 2:
        cluster.start("127.0.0.4", cpus=1)
    project, notes = tmp_path / "project", tmp_path / "notes"
    notes.mkdir()
    project.mkdir()
    (project / "ray_steps.py").write_text(dedent(STEPS))

    def kill_when_both_work() -> None:
        until = time.monotonic() + 60
        while len(list(notes.iterdir())) < 2 and time.monotonic() < until:
            time.sleep(0.05)
        cluster.kill(cluster.nodes[-1])
        (notes / "killed").touch()

    made = RayExecutor(cluster.address, project, ctx.blobs.url)
    queued = flow.submit(
        ctx,
        pipeline="test",
        function="ray_steps:main",
        project_dir=project,
        inputs={},
        params={"folder": str(notes)},
    )
    with ThreadPoolExecutor(1) as other:
        killing = other.submit(kill_when_both_work)
        run = flow.execute(ctx, queued.id, resolve=lambda ref: ref, executor=made)
        killing.result()
    assert run.error is None, run.error
    assert flow.result(ctx, run.id) == [10, 20]
    steps = flow.steps_of(ctx, run.id)
    assert sorted(step.attempts for step in steps) == [1, 2]
    assert {step.place.split()[2] for step in steps} == {cluster.nodes[0]}


DRIVER = """
    import sys
    from pathlib import Path
    from modelloop.ground.pool.adapters.ray import RayExecutor
    from modelloop.ground.store.blobs import Blobs
    from modelloop.testing.executors import Asking
    project, blobs, notes = sys.argv[1:]
    asking = Asking(Blobs(blobs))
    executor = RayExecutor("local", Path(project), blobs, processors=1)
    (answer,) = executor.run([asking.task("add", 1)])
    Path(notes, "first").write_text(str(asking.value(answer[1])))
    for _ in executor.run([asking.task("linger", notes, 300)]):
        pass
"""


def test_a_cluster_of_its_own_ends_with_a_run_that_was_killed(tmp_path: Path) -> None:
    """Ray's processes, the call's, and what that started."""
    project, notes = write_steps(tmp_path / "project"), tmp_path / "notes"
    notes.mkdir()
    argv = [sys.executable, "-c", dedent(DRIVER), str(project), (tmp_path / "blobs").as_uri(), str(notes)]
    driver = subprocess.Popen(argv, start_new_session=True)
    try:
        until = time.monotonic() + 120
        while not list(notes.glob("*.pids")) and time.monotonic() < until and driver.poll() is None:
            time.sleep(0.05)
        pids = [int(word) for path in notes.glob("*.pids") for word in path.read_text().split()]
        pids += below(driver.pid)
        assert (notes / "first").read_text() == "2"
        assert len(pids) > 5
    finally:
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    assert gone(pids, within=20)
