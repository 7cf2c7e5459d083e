"""The behaviour suite over child processes, and what only they must do."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from modelloop.ground.flow.elsewhere import Executor
from modelloop.ground.pool.adapters.local import LocalExecutor
from modelloop.ground.store.blobs import Blobs
from modelloop.testing.executors import Asking, ExecutorSuite, gone, write_steps


@pytest.fixture(scope="module")
def blobs(tmp_path_factory: pytest.TempPathFactory) -> Blobs:
    return Blobs(tmp_path_factory.mktemp("blobs").as_uri())


@pytest.fixture(scope="module")
def executor(tmp_path_factory: pytest.TempPathFactory, blobs: Blobs) -> Iterator[Executor]:
    made = LocalExecutor(write_steps(tmp_path_factory.mktemp("project")), blobs.url, processors=2)
    yield made
    made.close()


class TestLocalExecutor(ExecutorSuite):
    def test_processes_are_used_again(self, executor: Executor, asking: Asking) -> None:
        """Two are enough for any number of calls, one after the other or together."""
        found = self.all(executor, [asking.task("add", number) for number in range(50)])
        assert len({answer.place for answer in found.values()}) <= 2
        again = self.all(executor, [asking.task("add", 1)])[0]
        assert again.place in {answer.place for answer in found.values()}


def test_prints_go_where_this_process_prints(tmp_path: Path, blobs: Blobs, capfd: pytest.CaptureFixture[str]) -> None:
    made = LocalExecutor(write_steps(tmp_path), blobs.url, processors=1)
    assert [answer.error for _, answer in made.run([Asking(blobs).task("tell", "there")])] == [None]
    assert "hello from there" in capfd.readouterr().out
    made.close()


def test_blobs_in_memory_cannot_be_reached(tmp_path: Path) -> None:
    assert not LocalExecutor(tmp_path, "memory:///", processors=2).usable


DRIVER = """
    import sys
    from pathlib import Path
    from modelloop.ground.pool.adapters.local import LocalExecutor
    from modelloop.ground.store.blobs import Blobs
    from modelloop.testing.executors import Asking
    project, blobs, notes = sys.argv[1:]
    executor = LocalExecutor(Path(project), blobs, processors=2)
    for _ in executor.run([Asking(Blobs(blobs)).task("linger", notes, 300)] * 2):
        pass
"""


def test_nothing_is_left_of_a_run_that_was_killed(tmp_path: Path) -> None:
    """SIGKILL lets it say nothing to its processes, nor these to theirs: the kernel ends them all."""
    project, notes = write_steps(tmp_path / "project"), tmp_path / "notes"
    notes.mkdir()
    argv = [sys.executable, "-c", dedent(DRIVER), str(project), (tmp_path / "blobs").as_uri(), str(notes)]
    driver = subprocess.Popen(argv)
    try:
        until = time.monotonic() + 60
        while len(list(notes.glob("*.pids"))) < 2 and time.monotonic() < until:
            time.sleep(0.02)
        pids = [int(word) for path in notes.glob("*.pids") for word in path.read_text().split()]
        assert len(pids) == 4
    finally:
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    assert gone(pids)
