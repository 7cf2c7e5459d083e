"""Trials in this process."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelloop.ground.core.errors import Conflict, InvalidInput
from modelloop.train.parallel.crew import Failed, Finished, Pruned, Reported, Stopped, crew_for, value_of
from modelloop.train.parallel.target import FarEnough, check_not_loading, loading


def test_a_trial_is_a_mapping_with_more() -> None:
    seen: list[Any] = []

    def objective(trying: Any) -> float:
        seen.extend([dict(trying), trying.number, trying.seed, trying.data["x"].flags.writeable, len(trying)])
        return 2

    x = np.ones(3)
    crew = crew_for(objective, data={"x": x})
    crew.start(7, {"a": 1}, 5)
    with pytest.raises(Conflict, match="under way"):
        crew.start(8, {}, 0)
    end = crew.next()
    assert isinstance(end, Finished)
    assert end.value == 2.0
    assert seen == [{"a": 1}, 7, 5, False, 1]
    assert x.flags.writeable
    assert crew.next() is None
    crew.close()


def test_what_is_raised_is_told_with_its_cause() -> None:
    def objective(trying: Any) -> float:
        raise ZeroDivisionError("of nothing")

    crew = crew_for(objective)
    crew.start(0, {}, 0)
    end = crew.next()
    assert isinstance(end, Failed)
    assert end.error.startswith("ZeroDivisionError: of nothing")
    assert isinstance(end.cause, ZeroDivisionError)


def test_an_interrupt_goes_through() -> None:
    def objective(trying: Any) -> float:
        raise KeyboardInterrupt

    crew = crew_for(objective)
    crew.start(0, {}, 0)
    with pytest.raises(KeyboardInterrupt):
        crew.next()


def curve(trying: Any) -> float:
    for step in range(10):
        trying.report(step, step * 1.0)
    return 1.0


def test_a_listener_stops_a_trial_while_it_runs() -> None:
    heard: list[Reported] = []

    def listen(report: Reported) -> bool:
        heard.append(report)
        return report.step == 3

    crew = crew_for(curve, heard=listen)
    crew.start(0, {}, 0)
    end = crew.next()
    assert isinstance(end, Stopped)
    assert end.step == 3
    assert len(heard) == 4


def test_without_a_listener_reports_come_with_the_end() -> None:
    crew = crew_for(curve)
    crew.start(0, {}, 0)
    events = [crew.next() for _ in range(11)]
    assert [type(event) for event in events] == [Reported] * 10 + [Finished]
    crew.start(1, {}, 0)
    crew.stop(1)
    assert [type(crew.next()) for _ in range(2)] == [Reported, Stopped]


def test_a_step_that_is_no_whole_number_is_refused() -> None:
    crew = crew_for(lambda trying: trying.report(0.5, 1.0))
    crew.start(0, {}, 0)
    end = crew.next()
    assert isinstance(end, Failed)
    assert "A report at step 0.5" in end.error


@pytest.mark.parametrize(
    ("returned", "value"),
    [(1, 1.0), (np.float32(2), 2.0), ((1, 2), (1.0, 2.0)), ({"a": np.int64(3)}, {"a": 3.0})],
)
def test_values(returned: Any, value: Any) -> None:
    assert value_of(returned) == value


@pytest.mark.parametrize("wrong", ["much", None, {"a": "b"}, [None], object()])
def test_what_is_no_value(wrong: Any) -> None:
    with pytest.raises(InvalidInput, match="The objective returned"):
        value_of(wrong)


def test_a_script_that_is_run_again_ends_where_it_starts_processes() -> None:
    check_not_loading()
    token = loading.set(True)
    try:
        with pytest.raises(FarEnough):
            crew_for(curve)
    finally:
        loading.reset(token)
    assert issubclass(Pruned, Exception)
