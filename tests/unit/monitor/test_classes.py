"""Which class is not found, which is answered more, and of which a window says nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from modelloop.deploy.records import Prediction
from modelloop.evaluate.profile import profile
from modelloop.ground.core.records import Verdict
from modelloop.monitor import alert as rules
from modelloop.monitor.actions.measuring import _answer
from modelloop.monitor.classes import absent, found, moved
from modelloop.monitor.records import ABSENT, Alert, Signal, Window
from modelloop.register.records import Signature
from served import T0

NAMES = ("low", "middle", "high")
SHAPE = profile({}, np.array([0.0] * 50 + [1.0] * 48 + [2.0] * 2))["columns"]["score"]


def test_the_worst_class_is_named_with_what_it_is_taken_for() -> None:
    told, detail = found(NAMES, [0, 0, 1, 1, 1, 2], [0, 0, 2, 2, 1, 2])
    assert told == "least often found: 'middle', in 1 of 3 rows; 2 were taken for 'high'"
    assert detail == {
        "low": {"rows": 2, "found": 2},
        "middle": {"rows": 3, "found": 1},
        "high": {"rows": 1, "found": 1},
    }
    assert found(NAMES, [], []) == ("", {})
    assert found(NAMES, [1], [1])[0] == "least often found: 'middle', in 1 of 1 rows"
    assert found(NAMES, [7], [0])[0].startswith("least often found: '7'")


def test_the_class_whose_share_moved_most_is_named() -> None:
    told, detail = moved(NAMES, SHAPE, [0] * 50 + [2] * 50)
    assert told in (
        "'middle' is answered to 0.0% of the rows, at registration to 48.0%",
        "'high' is answered to 50.0% of the rows, at registration to 2.0%",
    )
    assert detail["high"] == {"at registration": 0.02, "now": 0.5}
    assert moved(NAMES, {}, []) == ("", {})


def test_a_class_is_absent_only_where_rows_of_it_were_to_be_expected() -> None:
    assert absent(NAMES, SHAPE, [0] * 100) == ["middle"]
    assert absent(NAMES, SHAPE, [0] * 5) == []
    assert absent(NAMES, SHAPE, [0] * 500) == ["middle", "high"]
    assert absent(NAMES, SHAPE, [0, 1, 2] * 50) == []


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=40))
def test_counts_are_those_of_the_rows(rows: list[tuple[int, int]]) -> None:
    truth, answered = [one for one, _ in rows], [other for _, other in rows]
    detail = found(NAMES, truth, answered)[1]
    assert sum(one["rows"] for one in detail.values()) == len(rows)
    assert sum(one["found"] for one in detail.values()) == sum(one == other for one, other in rows)
    shares = moved(NAMES, SHAPE, answered)[1]
    assert not answered or abs(sum(one["now"] for one in shares.values()) - 1) < 1e-9


def test_a_window_that_lacks_whole_classes_resolves_nothing() -> None:
    window = Window("kind", T0, T0 + timedelta(days=7))
    signal = Signal("s", "q", "quality", window, "m:1", Verdict.PASS, 1.0, 0.0, 1.0, 0.9, 50, "", {}, T0)
    firing = Alert("a", "q", "kind", "alert", "s", T0, T0, None, "")
    assert rules.step(firing, signal) is rules.Step.RESOLVE
    assert rules.step(firing, replace(signal, detail={ABSENT: ["low"]})) is rules.Step.KEEP
    assert rules.step(None, replace(signal, detail={ABSENT: ["low"]}, verdict=Verdict.FAIL)) is rules.Step.RAISE


def test_probabilities_are_read_by_the_name_that_the_version_gives_them() -> None:
    row = Prediction("p", 0, "kind", T0, T0, "champion", "m:1", 2.0, 0.1)
    signature = Signature((), "scores", (), labels=NAMES)
    assert _answer(row, None) == (2.0,)
    assert _answer(row, signature) == ()
    assert _answer(replace(row, answer={"scores": [0.1, 0.2, 0.7], "embedding": [1.0] * 9}), signature) == [
        0.1,
        0.2,
        0.7,
    ]
    assert _answer(replace(row, answer={"probabilities": [0.1, 0.2, 0.7]}), signature) == ()
    assert _answer(replace(row, answer={"scores": [0.1, None, 0.7]}), signature) == ()
