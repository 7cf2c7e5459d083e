"""The lane towards a process of its own behaves as any lane does; and crashes, hangs and leaks stay behind it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import odd_models as models
from gateway_process import wait_for
from modelloop.deploy.gateway.edge import ArmError
from modelloop.deploy.gateway.lanes import ThreadLane
from modelloop.testing.executors import gone
from modelloop.testing.lanes import LaneSuite, _Told
from modelloop.train.outside.process import ProcessRuntime
from modelloop.train.outside.records import Limits, Served


class TestLaneToAProcess(LaneSuite):
    @pytest.fixture
    def opened(self) -> Iterator[ThreadLane]:
        def write(folder: Path) -> None:
            models.write_odd(folder)
            code = folder / "code" / "odd_model.py"
            code.write_text(code.read_text() + NEGATIVE)

        served = Served(
            **{
                name: getattr(models.SERVED, name)
                for name in ("kind", "flavor", "data", "settings", "output", "outputs")
            },
            inputs=models.INPUTS[:1],
            pickle=True,
        )
        made = ThreadLane(ProcessRuntime(served, write, limits=Limits(beat_seconds=0.1)), name="m:1")
        yield made
        made.close()


NEGATIVE = """
class Model:
    def predict(self, frame):
        x = np.asarray(frame["x"], dtype=float)
        if (x < 0).any():
            raise ValueError("below zero")
        return x * 2
"""


def ask(lane: ThreadLane, *do: int) -> _Told:
    told = _Told()
    lane.submit({"x": np.arange(1.0, len(do) + 1), "do": np.array(do, dtype=np.float64)}, len(do), told)
    return told


def well(lane: ThreadLane) -> bool:
    answer = ask(lane, models.FINE).wait()
    return isinstance(answer, dict) and answer["score"].tolist() == [2.0]


@pytest.mark.parametrize("do", [models.DIES, models.HANGS])
def test_the_requests_in_flight_fail_and_those_of_another_lane_do_not(do: int) -> None:
    runtime, other = models.odd(answer_seconds=1.0), models.odd()
    bad, good = ThreadLane(runtime, name="bad:2", timeout=1.0), ThreadLane(other, name="good:1")
    assert well(bad)
    assert well(good)
    stop, failures = threading.Event(), []

    def champion() -> None:
        while not stop.is_set():
            if not well(good):
                failures.append(good.trouble)

    thread = threading.Thread(target=champion)
    thread.start()
    told = [ask(bad, models.FINE) for _ in range(3)] + [ask(bad, do)] + [ask(bad, models.FINE) for _ in range(3)]
    answers = [one.wait() for one in told]
    assert isinstance(answers[3], ArmError)
    assert "bad:2" in str(answers[3])
    wait_for(lambda: well(bad))
    stop.set()
    thread.join()
    assert not failures
    assert bad.counts.restarts == 1
    assert (good.counts.restarts, good.counts.failed) == (0, 0)
    for lane in (bad, good):
        lane.close()


def test_nobody_is_lost_while_the_process_is_killed_again_and_again() -> None:
    runtime = models.odd()
    lane = ThreadLane(runtime, name="m:1", most_waiting=100_000)
    assert well(lane)
    told: list[Any] = []
    for _ in range(5):
        pid = runtime.pid
        told += [ask(lane, models.FINE, models.FINE) for _ in range(50)]
        told[-50].wait()
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
        told += [ask(lane, models.FINE) for _ in range(50)]
        wait_for(lambda: well(lane))
    answers = [one.wait() for one in told]
    assert all(len(one.answers) == 1 for one in told)
    for one in answers:
        assert isinstance(one, ArmError) or one["score"].tolist() in ([2.0], [2.0, 4.0])
    assert any(isinstance(one, dict) for one in answers)
    lane.close()


def test_a_closed_lane_ends_the_process() -> None:
    runtime = models.odd()
    lane = ThreadLane(runtime, name="m:1")
    assert well(lane)
    pid = runtime.pid
    assert pid is not None
    lane.close()
    assert gone([pid], within=10.0)
