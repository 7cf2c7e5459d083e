"""Several processes train one torch model: through torch's launcher on this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest

from modelloop.ground.core.errors import InvalidInput, StepFailed, StepTimeout, WorkerDied
from modelloop.testing.executors import gone
from modelloop.train.parallel.together import distributed

sys.path.insert(0, str(Path(__file__).parent))
import parallel_ranks as ranks

pytest.importorskip("torch")
TRUE = np.array([1.0, 2.0, -3.0], dtype=np.float32)


def test_two_processes_fit_one_model() -> None:
    x = np.random.default_rng(0).normal(size=(101, 3)).astype(np.float32)
    told = distributed(ranks.fit, processes=2, params={"steps": 100}, data={"x": x, "y": x @ TRUE}, time_limit=120)
    first, second = told.values
    assert (first["rank"], second["rank"], first["world"], first["rows"]) == (0, 1, 2, 50)
    assert np.allclose(first["array"], TRUE, atol=0.01)
    assert np.array_equal(first["array"], second["array"])
    assert type(told.value["weight"]).__name__ == "Tensor"


def test_nothing_listens_beyond_loopback() -> None:
    for told in distributed(ranks.listening, processes=2, time_limit=120).values:
        assert told["total"] == 2.0
        assert told["places"], "they do talk to one another"
        assert all(place.startswith("127.") or place in ("::1", "::ffff:127.0.0.1") for place in told["places"]), told[
            "places"
        ]


def test_the_error_of_one_process_ends_all_and_is_told() -> None:
    began = time.monotonic()
    with pytest.raises(StepFailed, match=r"Process 1 of 2 failed\. KeyError: 'lamp oil'"):
        distributed(ranks.second_raises, processes=2, params={"sleep": 600})
    assert time.monotonic() - began < 120


def test_the_death_of_one_process_ends_all(tmp_path: Path) -> None:
    with pytest.raises(WorkerDied, match="process 1 with -9"):
        distributed(ranks.second_dies, processes=2, params={"pids": str(tmp_path)})
    assert gone([int(path.name) for path in tmp_path.iterdir()], within=10)


def test_a_time_limit_ends_all(tmp_path: Path) -> None:
    with pytest.raises(StepTimeout, match="time limit of 8 s"):
        distributed(ranks.hangs, processes=2, params={"pids": str(tmp_path)}, time_limit=8)
    assert gone([int(path.name) for path in tmp_path.iterdir()], within=10)


def test_a_failure_is_tried_again_where_asked_for(tmp_path: Path) -> None:
    told = distributed(ranks.fails_once, processes=2, params={"mark": str(tmp_path / "mark")}, restarts=1)
    assert told.values == ("done", "done")


def test_no_process_outlives_the_one_that_asked(tmp_path: Path) -> None:
    (tmp_path / "pids").mkdir()
    (tmp_path / "script.py").write_text(
        dedent(
            f"""
            import sys
            sys.path.insert(0, {str(Path(__file__).parent)!r})
            import parallel_ranks
            from modelloop.train.parallel.together import distributed
            if __name__ == "__main__":
                distributed(parallel_ranks.hangs, processes=2, params={{"pids": {str(tmp_path / "pids")!r}}})
            """
        )
    )
    script = subprocess.Popen([sys.executable, str(tmp_path / "script.py")])
    until = time.monotonic() + 90
    while len(pids := [int(path.name) for path in (tmp_path / "pids").iterdir()]) < 2:
        assert time.monotonic() < until
        time.sleep(0.1)
    os.kill(script.pid, signal.SIGKILL)
    script.wait()
    assert gone(pids, within=10)


def test_wrong_words_are_refused() -> None:
    with pytest.raises(InvalidInput, match="0 processes"):
        distributed(ranks.fit, processes=0)
    with pytest.raises(InvalidInput, match="cannot be sent"):
        distributed(ranks.fit, params={"x": np.ones(3)})
    with pytest.raises(InvalidInput, match="no executor 'cloud'"):
        distributed(ranks.fit, executor="cloud")
