"""Usage times prices, added up in every way."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelloop.ground.flow.taken import Taken
from modelloop.ground.pool.cost import By, Money, bill, is_priced, total
from modelloop.ground.pool.settings import PriceSettings

PRICES = PriceSettings("EUR", cpu_hour=0.04, memory_gb_hour=0.005, gpu_hour=2.0)
ONE = Taken("flights", "train", "run_1", "", datetime(2026, 11, 30, 23, 30, tzinfo=UTC), 60, 3600, 7.2e12, 1800)


def test_an_hour_of_each_costs_its_price() -> None:
    """1 cpu hour, 2 GB hours, half a GPU hour."""
    (line,) = bill([ONE], By.RUN, PRICES)
    assert (line.name, line.runs, line.wall_seconds) == ("run_1", 1, 60)
    assert (line.cpu_hours, line.memory_gb_hours, line.gpu_hours) == (1, 2, 0.5)
    assert line.cost is not None
    assert line.cost.amount == pytest.approx(0.04 + 0.01 + 1.0)
    assert str(line.cost) == "1.05 EUR"
    assert str(Money(0.00123, "USD")) == "0.0012 USD"


@pytest.mark.parametrize(
    ("by", "names"),
    [
        (By.RUN, ["run_1", "run_2", "run_3"]),
        (By.PIPELINE, ["train", "score"]),
        (By.MONTH, ["2026-11", "2026-12"]),
        (By.PROJECT, ["flights", "–"]),
    ],
)
def test_lines_are_what_is_asked_for(by: By, names: list[str]) -> None:
    later = replace(ONE, run="run_2", at=datetime(2026, 12, 1, tzinfo=UTC))
    other = replace(ONE, run="run_3", pipeline="score", project="")
    lines = bill([ONE, later, other], by, PRICES)
    assert [line.name for line in lines] == names
    assert sum(line.runs for line in lines) == 3


def test_without_prices_usage_is_shown_all_the_same() -> None:
    assert not is_priced(PriceSettings())
    (line,) = bill([ONE], By.RUN, PriceSettings())
    assert line.cost is None
    assert line.cpu_hours == 1


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from("xy"), st.floats(0, 1e6), st.floats(0, 1e15)), max_size=20
    ),
    st.sampled_from([By.RUN, By.PIPELINE, By.MONTH, By.PROJECT]),
)
def test_lines_add_up_to_the_total(rows: list[tuple[str, str, float, float]], by: By) -> None:
    taken = [replace(ONE, run=run, pipeline=line, cpu_seconds=cpu, byte_seconds=held) for run, line, cpu, held in rows]
    lines, whole = bill(taken, by, PRICES), total(taken, PRICES)
    assert whole.cost is not None
    assert sum(line.cost.amount for line in lines if line.cost) == pytest.approx(whole.cost.amount)
    assert sum(line.memory_gb_hours for line in lines) == pytest.approx(whole.memory_gb_hours)
