from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from modelloop.evaluate.experiments.records import Basis, Board, Curve, Entry, Estimate, Headline, Line, Standing
from modelloop.evaluate.records import Direction
from modelloop.web.axes import curves_of, parallel
from modelloop.web.chart import BOTTOM, LEFT, RIGHT, TOP


def board(params: list[dict[str, str]], values: list[float]) -> Board:
    lines = tuple(
        Line(n, Entry((f"run{n}",), "", one, Estimate(value, basis=Basis.NONE)), Standing.UNKNOWN, None)
        for n, (one, value) in enumerate(zip(params, values, strict=True), 1)
    )
    return Board(Headline("auc", Direction.HIGHER, ""), lines, 0.95, "")


def places(points: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in points.split())]


WORDS = st.sampled_from(["1", "2.5", "1e-9", "nan", "relu", "−", "", "1e300", "-4"])


@given(st.lists(st.tuples(WORDS, WORDS, st.floats(-1e9, 1e9)), min_size=2, max_size=30))
def test_every_line_stays_on_the_paper(rows: list[tuple[str, str, float]]) -> None:
    drawn = parallel(board([{"a": a, "b": b} for a, b, _ in rows], [value for *_, value in rows]))
    assert drawn is not None
    assert [axis["name"] for axis in drawn["axes"]] == ["a", "b", "auc"]
    for line in drawn["lines"]:
        for x, y in places(line["points"]):
            assert LEFT - 0.1 <= x <= RIGHT + 0.1
            assert TOP - 0.1 <= y <= BOTTOM + 0.1
        assert 0 <= line["strength"] <= 1


def test_wide_ranges_are_drawn_by_powers() -> None:
    drawn = parallel(board([{"lr": "0.001"}, {"lr": "0.01"}, {"lr": "0.1"}], [1, 2, 3]))
    assert drawn is not None
    low, middle, high = drawn["axes"][0]["places"]
    assert drawn["axes"][0]["log"]
    assert abs((low + high) / 2 - middle) < 0.1


def test_nothing_to_draw_is_nothing() -> None:
    assert parallel(board([{"a": "1"}], [1])) is None
    assert parallel(board([{}, {}], [1, 2])) is None
    assert curves_of([]) is None
    assert curves_of([Curve("a", "a", ((0, 1.0),), 1)]) is None


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=50))
def test_curves_stay_on_the_paper(values: list[float]) -> None:
    drawn = curves_of([Curve("a", "a", tuple(enumerate(values)), len(values))])
    assert drawn is not None
    for x, y in places(drawn["lines"][0]["points"]):
        assert LEFT - 0.1 <= x <= RIGHT + 0.1
        assert TOP - 0.1 <= y <= BOTTOM + 0.1
