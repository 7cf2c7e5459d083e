from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from modelloop.ground.core.records import Verdict
from modelloop.monitor.records import Signal, Window
from modelloop.web.chart import BOTTOM, LEFT, RIGHT, TOP, chart, nice, ring

START = datetime(2013, 3, 1, tzinfo=UTC)
numbers = st.floats(-1e6, 1e6, allow_nan=False)


def signal(week: int, value: float | None, verdict: Verdict = Verdict.PASS) -> Signal:
    window = Window("delay", START + timedelta(weeks=week), START + timedelta(weeks=week + 1))
    low, high = (None, None) if value is None else (value - 0.02, value + 0.02)
    return Signal(
        f"s{week}", "quality", "quality", window, "delay:1", verdict, value, low, high, None, 100, "why", {}, START
    )


@given(numbers, numbers)
def test_a_scale_holds_all_values_and_has_few_round_steps(one: float, two: float) -> None:
    low, high, step = nice(min(one, two), max(one, two))
    slack = 1e-6 * max(1.0, abs(one), abs(two))
    assert low <= min(one, two) + slack
    assert high >= max(one, two) - slack
    assert 1 <= round((high - low) / step) <= 8
    mantissa = step / 10 ** math.floor(math.log10(step) + 1e-9)
    assert min(abs(mantissa - nice_one) for nice_one in (1, 2, 2.5, 5)) < 1e-6


@given(st.lists(st.floats(0, 1), min_size=2, max_size=30))
def test_everything_drawn_lies_on_the_paper(values: list[float]) -> None:
    drawn = chart([signal(n, value) for n, value in enumerate(values)], [(START, ":1")])
    assert drawn is not None
    (line,) = drawn["lines"]
    assert len(line["dots"]) == len(values)
    for dot in line["dots"]:
        assert LEFT <= dot["x"] <= RIGHT
        assert TOP - 0.2 <= dot["y"] <= BOTTOM + 0.2
    assert 1 <= len(drawn["columns"]) <= 14


def test_a_better_value_is_drawn_higher_and_a_later_one_further_right() -> None:
    drawn = chart([signal(1, 0.7), signal(0, 0.6, Verdict.FAIL)], [])
    assert drawn is not None
    first, second = drawn["lines"][0]["dots"]
    assert first["state"] == "fail"
    assert first["x"] < second["x"]
    assert first["y"] > second["y"]


def test_one_value_is_no_line() -> None:
    assert chart([signal(0, 0.7), signal(1, None)], []) is None


def test_the_ring_takes_nine_stages_in_order() -> None:
    nodes = ring([{"word": word} for word in "abcdefghi"])["nodes"]
    assert [node["word"] for node in nodes] == list("abcdefghi")
    assert [node["x"] for node in nodes[:5]] == sorted(node["x"] for node in nodes[:5])
    assert [node["x"] for node in nodes[5:]] == sorted((node["x"] for node in nodes[5:]), reverse=True)
