"""A model's process is killed, hangs, leaks, lies: calls fail and say why, and the next one is answered again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

import odd_models as models
from gateway_process import wait_for
from modelloop.ground.core.errors import InvalidInput, ModelloopError
from modelloop.testing.executors import gone
from modelloop.train.outside.places import PREFIX, make_place
from modelloop.train.outside.process import ProcessRuntime, WrongAnswer
from modelloop.train.outside.records import Gone
from modelloop.train.outside.started import Answered


@pytest.fixture
def runtime() -> Iterator[ProcessRuntime]:
    made = models.odd()
    yield made
    made.close()


def columns(*do: int) -> dict[str, Any]:
    return {"x": np.arange(1.0, len(do) + 1), "do": np.array(do, dtype=np.float64)}


def answered(runtime: ProcessRuntime, *do: int) -> list[float]:
    return runtime.score(columns(*do)).tolist()


def well(runtime: ProcessRuntime) -> bool:
    try:
        return answered(runtime, models.FINE) == [2.0]
    except Gone:
        return False


def test_it_answers_from_a_process_of_its_own(runtime: ProcessRuntime) -> None:
    assert runtime.pid is None, "nothing is started before it is asked"
    assert answered(runtime, 0, 0, 0) == [2.0, 4.0, 6.0]
    assert runtime.pid not in (None, os.getpid())
    empty = runtime.outputs({"x": np.empty(0), "do": np.empty(0)})
    assert empty["score"].shape == (0,)
    assert runtime.trouble == ""


def test_a_killed_process_is_started_again(runtime: ProcessRuntime) -> None:
    well(runtime)
    assert runtime.pid is not None
    os.kill(runtime.pid, signal.SIGKILL)
    wait_for(lambda: well(runtime))
    assert runtime.restarts == 1


@pytest.mark.parametrize(
    ("do", "said"),
    [
        (models.DIES, "ended by SIGKILL: about to die"),
        (models.HANGS, "hangs: it did not answer within 2 seconds"),
        (models.GARBAGE, "wrote what is no answer"),
    ],
)
def test_who_asks_is_told_and_the_next_is_answered(runtime: ProcessRuntime, do: int, said: str) -> None:
    well(runtime)
    before = runtime.pid
    with pytest.raises(Gone, match=said):
        answered(runtime, models.FINE, do)
    assert said in runtime.trouble
    with pytest.raises(Gone, match=said):
        answered(runtime, models.FINE)
    wait_for(lambda: well(runtime))
    assert runtime.pid != before
    assert runtime.trouble == ""
    assert before is not None
    assert gone([before])


@pytest.mark.parametrize(
    ("do", "kind", "said"),
    [
        (models.RAISES, Answered, "Odd: no such thing"),
        (models.EXITS, Answered, "SystemExit"),
        (models.SHORT, Answered, r"It answers \(1,\) to 2 rows"),
        (models.MISSING, WrongAnswer, "score is missing"),
        (models.HUGE, Answered, "MemoryError"),
        (models.SEVERAL, WrongAnswer, "answers came too; score is expected"),
        (models.WORDS, WrongAnswer, "label came too; score is expected"),
    ],
)
def test_errors_of_a_model_leave_its_process_alone(
    runtime: ProcessRuntime, do: int, kind: type[ModelloopError], said: str
) -> None:
    well(runtime)
    before = runtime.pid
    with pytest.raises(kind, match=said):
        answered(runtime, models.FINE, do)
    assert well(runtime)
    assert (runtime.pid, runtime.restarts) == (before, 0)


def test_what_is_answered_twice_is_nobody_elses_answer(runtime: ProcessRuntime) -> None:
    well(runtime)
    before = runtime.pid
    assert answered(runtime, models.FORKS) in ([2.0], [2002.0])
    told: list[list[float]] = []

    def replaced() -> bool:
        with suppress(Gone):
            told.append(answered(runtime, models.FINE))
        return runtime.restarts > 0

    wait_for(replaced)
    wait_for(lambda: well(runtime))
    assert all(one == [2.0] for one in told)
    assert before is not None
    assert gone([before])


def test_one_that_stands_still_is_found_without_being_asked(runtime: ProcessRuntime) -> None:
    well(runtime)
    assert runtime.pid is not None
    os.kill(runtime.pid, signal.SIGSTOP)
    wait_for(lambda: runtime.restarts == 1)
    wait_for(lambda: well(runtime))


def test_a_leak_is_ended_at_the_limit() -> None:
    runtime = models.odd(memory=250 << 20)
    well(runtime)

    def leak() -> None:
        for _ in range(200):
            answered(runtime, models.GROWS)
            time.sleep(0.02)

    with pytest.raises(Gone, match="MB of memory, at most 250 are allowed"):
        leak()
    wait_for(lambda: well(runtime))
    runtime.close()


def test_one_that_grows_is_replaced_and_nobody_notices() -> None:
    runtime = models.odd(growth=100 << 20)
    well(runtime)
    first = runtime.pid
    time.sleep(0.4)  # it has been looked at
    deadline = time.monotonic() + 20
    while not runtime.recycled and time.monotonic() < deadline:
        assert answered(runtime, models.GROWS) == [2.0]
        time.sleep(0.05)
    assert runtime.recycled >= 1
    assert runtime.pid != first
    assert first is not None
    assert gone([first])
    runtime.close()


def test_one_that_cannot_be_loaded_says_why_and_is_tried_ever_more_rarely() -> None:
    def write(folder: Path) -> None:
        models.write_odd(folder)
        (folder / "refuse").touch()

    runtime = models.odd(write)
    with pytest.raises(Gone, match="RuntimeError: this model cannot be loaded"):
        answered(runtime, models.FINE)
    began = time.monotonic()
    with pytest.raises(Gone, match="cannot be loaded"):
        answered(runtime, models.FINE)
    assert time.monotonic() - began < 0.5, "a version that is down does not keep its callers"
    runtime.close()


def test_files_that_cannot_be_read_are_told() -> None:
    def write(folder: Path) -> None:
        raise InvalidInput("a piece is damaged")

    runtime = models.odd(write)
    with pytest.raises(Gone, match="a piece is damaged"):
        answered(runtime, models.FINE)
    runtime.close()


def test_it_gets_none_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELLOOP_TOKEN", "secret")
    runtime = models.odd()
    well(runtime)
    assert runtime.pid is not None
    environment = psutil.Process(runtime.pid).environ()
    assert not [name for name in environment if "MODELLOOP" in name or "secret" in environment[name]]
    assert environment["OMP_NUM_THREADS"] == "1"
    runtime.close()


def test_it_ends_with_close_and_with_the_last_holder() -> None:
    for closed in (True, False):
        runtime = models.odd()
        well(runtime)
        pid = runtime.pid
        assert pid is not None
        if closed:
            runtime.close()
        del runtime
        assert gone([pid])


def test_it_ends_with_its_parent_and_the_next_one_sweeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = "import sys, time\nsys.path.insert(0, sys.argv[1])\nimport numpy as np\nimport odd_models\n"
    script += "made = odd_models.odd()\nmade.score({'x': np.ones(1), 'do': np.zeros(1)})\n"
    script += "print(made.pid, flush=True)\ntime.sleep(60)\n"
    tests = str(Path(models.__file__).parent)
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    parent = subprocess.Popen([sys.executable, "-c", script, tests], stdout=subprocess.PIPE, text=True, env=environment)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    with parent.stdout:
        parent.kill()
        parent.wait()
    assert gone([pid])
    assert list(tmp_path.glob(f"{PREFIX}{parent.pid}-*"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    make_place()
    assert not list(tmp_path.glob(f"{PREFIX}{parent.pid}-*"))
