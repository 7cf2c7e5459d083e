"""A crew of processes: what it carries out, and what becomes of it when they raise, hang, die or are interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import psutil
import pytest

from modelloop.ground.core.errors import Conflict, InvalidInput, PipelineInvalid
from modelloop.testing.executors import gone
from modelloop.train.parallel.crew import Crew, Event, Failed, Finished, Reported, Stopped, crew_for
from modelloop.train.parallel.processes import ProcessCrew

sys.path.insert(0, str(Path(__file__).parent))
import parallel_objectives as objectives


def carried_out(crew: Crew, trials: list[dict[str, Any]]) -> list[Event]:
    """Have all trials carried out, and return their ends by number."""
    ends: dict[int, Event] = {}
    waiting = list(enumerate(trials))
    while waiting or len(ends) < len(trials):
        while waiting and len(trials) - len(waiting) - len(ends) < crew.size:
            number, params = waiting.pop(0)
            crew.start(number, params, seed=number)
        event = crew.next(60)
        assert event is not None
        if not isinstance(event, Reported):
            ends[event.number] = event
    return [ends[number] for number in range(len(trials))]


def test_trials_run_in_other_processes_that_are_used_again() -> None:
    with closing(crew_for(objectives.where, processes=2)) as crew:
        ends = carried_out(crew, [{}] * 6)
    found = [end.value for end in ends if isinstance(end, Finished)]
    assert {one["parent"] for one in found} == {float(os.getpid())}  # type: ignore[index]
    assert len({one["pid"] for one in found}) <= 2  # type: ignore[index]


def test_a_dead_process_fails_its_trial_and_is_replaced() -> None:
    with closing(crew_for(objectives.odd_ones_die, processes=2)) as crew:
        ends = carried_out(crew, [{}] * 6)
    assert [type(end) for end in ends] == [Finished, Failed] * 3
    assert "signal 9" in ends[1].error  # type: ignore[union-attr]


def test_an_exception_fails_its_trial_with_the_reason_and_the_place() -> None:
    with closing(crew_for(objectives.raising, processes=2)) as crew:
        first, second = carried_out(crew, [{"a": "lamp"}, {"a": "oil"}])
    assert isinstance(first, Failed)
    assert first.error.startswith("KeyError: 'no lamp'")
    assert "deeper" in first.error
    assert "train/parallel/own.py" not in first.error
    assert isinstance(second, Failed)


def test_a_hanging_trial_is_ended_with_all_it_started(tmp_path: Path) -> None:
    with closing(crew_for(objectives.hanging, processes=2, time_limit=2)) as crew:
        slow, fast = carried_out(crew, [{"hangs": True, "file": str(tmp_path / "pids")}, {"hangs": False}])
    assert isinstance(slow, Failed)
    assert "time limit of 2 s" in slow.error
    assert isinstance(fast, Finished)
    assert gone([int(word) for word in (tmp_path / "pids").read_text().split()], within=5)


def test_what_is_no_number_is_said_to_be_none() -> None:
    with closing(crew_for(objectives.textual, processes=2)) as crew:
        (end,) = carried_out(crew, [{}])
    assert isinstance(end, Failed)
    assert "The objective returned str: 'much'" in end.error


def test_reports_come_back_and_a_listener_stops_trials() -> None:
    heard: list[Reported] = []

    def listen(report: Reported) -> bool:
        heard.append(report)
        return report.number == 1 and report.step == 3

    with closing(crew_for(objectives.curve, processes=2, heard=listen)) as crew:
        ends = carried_out(crew, [{"steps": 10, "slope": 1.0}, {"steps": 10, "slope": 2.0}])
    assert isinstance(ends[0], Finished)
    assert isinstance(ends[1], Stopped)
    assert ends[1].step == 3
    assert [report.value for report in heard if report.number == 1] == [0.0, 2.0, 4.0, 6.0]
    assert sum(report.number == 0 for report in heard) == 10


def test_stop_reaches_a_trial_that_nobody_listens_to() -> None:
    with closing(crew_for(objectives.curve, processes=2)) as crew:
        crew.start(0, {"steps": 10_000_000, "slope": 1.0}, 0)
        assert isinstance(crew.next(60), Reported)
        crew.stop(0)
        event = crew.next(60)
        while isinstance(event, Reported):
            event = crew.next(60)
    assert isinstance(event, Stopped)


def test_a_trial_that_catches_its_stop_may_still_return_something() -> None:
    with closing(crew_for(objectives.catching, processes=2, heard=lambda report: report.step == 4)) as crew:
        (end,) = carried_out(crew, [{"steps": 10, "slope": 1.0}])
    assert isinstance(end, Stopped)
    assert end.value == 104.0


def test_more_than_fits_is_refused_and_nothing_happens_without_a_trial() -> None:
    with closing(crew_for(objectives.add, processes=2)) as crew:
        assert crew.next(0.1) is None
        crew.start(0, {"a": 1}, 0)
        crew.start(1, {"a": 1}, 0)
        with pytest.raises(Conflict, match="2 trials are under way"):
            crew.start(2, {"a": 1}, 0)
    crew.close()


def test_next_gives_up_after_its_timeout() -> None:
    with closing(crew_for(objectives.hanging, processes=2)) as crew:
        crew.start(0, {"hangs": True, "file": os.devnull}, 0)
        began = time.monotonic()
        assert crew.next(0.2) is None
        assert time.monotonic() - began < 5


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, "2"])
def test_a_wrong_number_of_processes_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidInput, match="A crew of"):
        crew_for(objectives.add, processes=wrong)


def test_an_unknown_executor_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no executor 'cloud'"):
        crew_for(objectives.add, processes=2, executor="cloud")


def test_parameters_that_cannot_travel_are_refused() -> None:
    with closing(crew_for(objectives.add, processes=2)) as crew, pytest.raises(InvalidInput, match="parameters"):
        crew.start(0, {"a": object()}, 0)


def test_a_module_that_cannot_be_loaded_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "once_only.py").write_text(
        "import os\nif os.getppid() != int(os.environ['FIRST']):\n    raise RuntimeError('not here')\n"
        "def objective(trying):\n    return 1.0\n"
    )
    monkeypatch.setenv("FIRST", str(os.getppid()))
    monkeypatch.syspath_prepend(str(tmp_path))
    module = __import__("once_only")
    with closing(crew_for(module.objective, processes=2)) as crew:
        crew.start(0, {}, 0)
        with pytest.raises(PipelineInvalid, match="RuntimeError: not here"):
            crew.next(60)


@pytest.fixture
def crew_script(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A script that has two trials under way, says which processes they are, and waits."""
    path = tmp_path / "busy.py"
    path.write_text(
        "import os, time\n"
        "from modelloop.train.parallel.crew import crew_for\n"
        "def objective(trying):\n"
        "    time.sleep(600)\n"
        "if __name__ == '__main__':\n"
        "    crew = crew_for(objective, processes=2)\n"
        "    crew.start(0, {}, 0)\n"
        "    crew.start(1, {}, 1)\n"
        "    print(*crew.pids, crew.folder, flush=True)\n"
        "    crew.next()\n"
    )
    process = subprocess.Popen([sys.executable, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_whatever_ends_the_script_ends_its_crew(crew_script: subprocess.Popen[str], number: signal.Signals) -> None:
    assert crew_script.stdout is not None
    *words, folder = crew_script.stdout.readline().split()
    pids = [int(word) for word in words]
    assert len(pids) == 2
    assert all(psutil.pid_exists(pid) for pid in pids)
    crew_script.send_signal(number)
    crew_script.wait(10)
    assert gone(pids, within=5)
    with closing(ProcessCrew(objectives.add, size=1, data={})):  # whoever comes next removes what it left
        assert not Path(folder).exists()


def test_the_files_are_gone_with_the_crew() -> None:
    crew = ProcessCrew(objectives.add, size=1, data={"x": np.ones(5)})
    folder = crew.folder
    assert folder.exists()
    crew.close()
    assert not folder.exists()


def test_the_memory_of_a_process_does_not_grow_with_the_data(tmp_path: Path) -> None:
    """Not its own (USS); and of what is shared (PSS) it has its half, the other half being the other process's."""
    rows = 8_000_000
    few, many = taken(tmp_path / "few", 1_000), taken(tmp_path / "many", rows)
    bytes_shared = 2 * 8 * rows
    for less, more in zip(few, many, strict=True):
        assert more["total"] == rows * (rows - 1) / 2 + rows
        assert more["uss"] - less["uss"] < 0.05 * bytes_shared
        assert more["pss"] - less["pss"] < 0.55 * bytes_shared


def taken(folder: Path, rows: int) -> list[dict[str, float]]:
    """Return what reading an array and a frame of so many rows took of each of two processes."""
    data = {"x": np.arange(rows, dtype=np.float64), "frame": pl.DataFrame({"a": np.ones(rows)})}
    for name in ("ready", "ready-done"):
        (folder / name).mkdir(parents=True)
    with closing(crew_for(objectives.summing, processes=2, data=data)) as crew:
        ends = carried_out(crew, [{"ready": str(folder / "ready"), "together": 2}] * 2)
    return [dict(end.value) for end in ends if isinstance(end, Finished)]  # type: ignore[arg-type]


def test_shared_arrays_cannot_be_written() -> None:
    for processes in (1, 2):
        with closing(crew_for(objectives.writing, processes=processes, data={"x": np.zeros(4)})) as crew:
            (end,) = carried_out(crew, [{}])
        assert isinstance(end, Failed)
        assert "read-only" in end.error
