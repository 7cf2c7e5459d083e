"""Parity counts rows that differ, and a row without a number always does."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelloop.ground.core.errors import ParityFailed
from modelloop.prepare.records import Columns
from modelloop.register.parity import parity


class Fixed:
    def __init__(self, answers: list[float]) -> None:
        self.answers = np.array(answers)

    def score(self, _columns: Columns) -> npt.NDArray[np.float64]:
        return self.answers


def test_rows_beyond_are_counted() -> None:
    found = parity(Fixed([0.1, 0.2, float("nan")]), {}, np.array([0.1, 0.25, 0.3]), 1e-3)
    assert (found.rows, found.beyond, found.holds) == (3, 2, False)
    assert found.largest == pytest.approx(0.05)


def test_no_rows_is_no_parity() -> None:
    assert not parity(Fixed([]), {}, np.array([]), 1.0).holds


def test_other_rows_are_refused() -> None:
    with pytest.raises(ParityFailed, match="1 answers"):
        parity(Fixed([1.0]), {}, np.array([1.0, 2.0]), 1.0)


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=30), st.floats(0, 1))
def test_holds_exactly_where_no_difference_is_larger(answers: list[float], tolerance: float) -> None:
    expected = np.round(np.array(answers), 1)
    found = parity(Fixed(answers), {}, expected, tolerance)
    larger = [abs(a - e) > tolerance * max(1.0, abs(e)) * (1 + 1e-12) for a, e in zip(answers, expected, strict=True)]
    smaller = [abs(a - e) < tolerance * max(1.0, abs(e)) * (1 - 1e-12) for a, e in zip(answers, expected, strict=True)]
    assert not (found.holds and any(larger))
    assert found.holds or not all(smaller)


def test_large_answers_are_compared_relative_to_their_size() -> None:
    """A float32 answer near 1000 is off by its own rounding; the same difference near 1 is not."""
    assert parity(Fixed([1000.05]), {}, np.array([1000.0]), 1e-4).holds
    assert not parity(Fixed([1.05]), {}, np.array([1.0]), 1e-4).holds
