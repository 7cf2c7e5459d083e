"""Lanes: each caller gets the answers to its own rows, whatever was put together, and an error of one is its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelloop.deploy.gateway.edge import ArmError
from modelloop.deploy.gateway.lanes import LINGER, Busy, ThreadLane
from modelloop.ground.core.errors import InvalidInput, ModelloopError
from modelloop.testing.lanes import LaneSuite
from modelloop.train.outside.records import Gone

WAIT = 10.0


@dataclass
class Doubles:
    """Answers twice the number, and the word; refuses values below zero, fails at 666; notes what it was asked."""

    gate: threading.Event = field(default_factory=threading.Event)
    batches: list[int] = field(default_factory=list)
    closed: bool = False

    def outputs(self, columns: Any) -> Any:
        assert self.gate.wait(WAIT)
        x = columns["x"]
        self.batches.append(len(x))
        if (x < 0).any():
            raise InvalidInput(f"{x.min()} is below zero")
        if (x == 666).any():
            raise KeyError("the beast")
        made = np.array([f"w{int(value)}" for value in x], dtype=object)
        return {"score": x * 2.0, "word": made, "row": np.stack([x, x + 1], axis=1)}

    def score(self, columns: Any) -> Any:
        return self.outputs(columns)["score"]

    def close(self) -> None:
        self.closed = True


class Collected:
    """What callers were told."""

    def __init__(self) -> None:
        self.answers: dict[int, list[Any]] = {}
        self.changed = threading.Condition()

    def taker(self, number: int) -> Callable[[Any], None]:
        def done(answer: Any) -> None:
            with self.changed:
                self.answers.setdefault(number, []).append(answer)
                self.changed.notify_all()

        return done

    def wait(self, count: int) -> dict[int, Any]:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.answers) >= count, WAIT), self.answers
        assert all(len(told) == 1 for told in self.answers.values()), "each caller is told once"
        return {number: told[0] for number, told in self.answers.items()}


@contextmanager
def lane(scorer: Any, **more: Any) -> Iterator[ThreadLane]:
    made = ThreadLane(scorer, name="m:1", **more)
    try:
        yield made
    finally:
        made.close()


def column(*values: float) -> dict[str, Any]:
    return {"x": np.array(values, dtype=np.float64)}


class TestThreadLane(LaneSuite):
    @pytest.fixture
    def opened(self) -> Iterator[ThreadLane]:
        class Suite:
            def outputs(self, columns: Any) -> Any:
                x = columns["x"]
                if (x < 0).any():
                    raise ValueError("below zero")
                return {"score": x * 2.0}

            def score(self, columns: Any) -> Any:
                return columns["x"] * 2.0

        with lane(Suite()) as made:
            yield made


@settings(max_examples=60, deadline=None)
@given(
    requests=st.lists(
        st.lists(st.sampled_from([1.0, 2.0, 3.0, 50.0, 1e9, -1.0, 666.0]), max_size=5), min_size=1, max_size=25
    ),
    batch_rows=st.integers(1, 12),
)
def test_each_caller_gets_its_own(requests: list[list[float]], batch_rows: int) -> None:
    scorer, told = Doubles(), Collected()
    with lane(scorer, batch_rows=batch_rows) as made:
        for number, values in enumerate(requests):
            made.submit(column(*values), len(values), told.taker(number))
        scorer.gate.set()
        found = told.wait(len(requests))
    for number, values in enumerate(requests):
        answer = found[number]
        if -1.0 in values:
            assert isinstance(answer, InvalidInput)
        elif 666.0 in values:
            assert isinstance(answer, ArmError)
            assert "the beast" in str(answer)
        else:
            assert answer["score"].tolist() == [value * 2 for value in values]
            assert answer["word"].tolist() == [f"w{int(value)}" for value in values]
            assert answer["row"].tolist() == [[value, value + 1] for value in values]
            assert all(array.flags.c_contiguous for array in answer.values())
    largest = max(batch_rows, *map(len, requests))
    assert all(size <= largest for size in scorer.batches)


def test_callers_of_many_threads_are_not_mixed_up() -> None:
    scorer, told = Doubles(), Collected()
    scorer.gate.set()
    with lane(scorer, most_waiting=10_000) as made:

        def ask(start: int) -> None:
            for number in range(start, start + 200):
                made.submit(column(number, number + 0.5), 2, told.taker(number))

        threads = [threading.Thread(target=ask, args=(start,)) for start in range(1000, 2600, 200)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = told.wait(1600)
    assert all(answer["score"].tolist() == [2.0 * number, 2.0 * number + 1] for number, answer in found.items())
    assert made.counts.answered == 1600
    assert made.counts.batches < 1600, "what waited was put together"


def test_what_waits_goes_together_and_nothing_is_waited_for() -> None:
    scorer, told = Doubles(), Collected()
    with lane(scorer, batch_rows=4) as made:
        for number in range(10):
            made.submit(column(number), 1, told.taker(number))
        scorer.gate.set()
        told.wait(10)
    assert scorer.batches[0] == 1 or sum(scorer.batches) == 10
    assert max(scorer.batches) == 4
    assert sum(scorer.batches) == 10


def test_rows_of_other_types_are_not_put_together() -> None:
    class Kinds(Doubles):
        def outputs(self, columns: Any) -> Any:
            assert self.gate.wait(WAIT)
            x = columns["x"]
            self.batches.append(len(x))
            return {"score": x.reshape(len(x), -1).sum(axis=1), "kind": np.full(len(x), ord(x.dtype.char))}

    scorer, told = Kinds(), Collected()
    given = [np.array([1.0]), np.array([2**53 + 1]), np.array([2.0]), np.ones((1, 3)), np.ones((1, 4))]
    with lane(scorer) as made:
        for number, values in enumerate(given):
            made.submit({"x": values}, 1, told.taker(number))
        scorer.gate.set()
        found = told.wait(len(given))
    assert found[1]["score"].tolist() == [2**53 + 1]
    assert [chr(found[number]["kind"][0]) for number in range(5)] == ["d", "l", "d", "d", "d"]
    assert scorer.batches == [1] * 5


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        ({}, "no outputs"),
        ({"score": np.ones(3)}, r"score \(3,\)"),
        ({"score": np.float64(1)}, "score"),
        ({"score": [1.0, 2.0]}, "score list"),
    ],
)
def test_wrong_shapes_are_the_versions_fault(outputs: Any, said: str) -> None:
    class Wrong(Doubles):
        def outputs(self, columns: Any) -> Any:
            assert columns
            return outputs

    told = Collected()
    with lane(Wrong()) as made:
        made.submit(column(1, 2), 2, told.taker(0))
        answer = told.wait(1)[0]
    assert isinstance(answer, ArmError)
    with pytest.raises(ArmError, match=said):
        raise answer


def test_a_full_lane_says_so_at_once() -> None:
    scorer, told = Doubles(), Collected()
    with lane(scorer, most_waiting=3, batch_rows=1) as made:
        made.submit(column(0), 1, told.taker(0))
        deadline = time.monotonic() + WAIT
        while made.counts.waiting and time.monotonic() < deadline:
            time.sleep(0.001)
        for number in range(1, 6):
            made.submit(column(number), 1, told.taker(number))
        refused = told.wait(2)
        assert all(isinstance(answer, Busy) and answer.status == 503 for answer in refused.values())
        assert set(refused) == {4, 5}
        assert made.counts.refused == 2
        scorer.gate.set()
        assert sum(isinstance(answer, dict) for answer in told.wait(6).values()) == 4


def test_a_call_that_hangs_takes_the_version_out_until_it_returns() -> None:
    scorer, told = Doubles(), Collected()
    with lane(scorer, timeout=0.2, batch_rows=1) as made:
        made.submit(column(0), 1, told.taker(0))
        made.submit(column(1), 1, told.taker(1))
        found = told.wait(2)
        assert all("longer than 0.2 seconds" in str(answer) or "within 0.2" in str(answer) for answer in found.values())
        deadline = time.monotonic() + WAIT
        while not made.trouble and time.monotonic() < deadline:
            time.sleep(0.01)
        began = time.monotonic()
        made.submit(column(2), 1, told.taker(2))
        assert isinstance(told.wait(3)[2], ArmError)
        assert time.monotonic() - began < 0.1, "nobody waits for what hangs"
        assert "hangs" in made.trouble
        scorer.gate.set()
        deadline = time.monotonic() + WAIT
        while made.trouble and time.monotonic() < deadline:
            time.sleep(0.01)
        made.submit(column(3), 1, told.taker(3))
        assert told.wait(4)[3]["score"].tolist() == [6.0]
    assert made.counts.timed_out >= 2


def test_the_end_of_a_process_fails_the_batch_once() -> None:
    class Dies(Doubles):
        def outputs(self, columns: Any) -> Any:
            assert self.gate.wait(WAIT)
            self.batches.append(len(columns["x"]))
            raise Gone("Its process was ended")

    scorer, told = Dies(), Collected()
    with lane(scorer) as made:
        for number in range(5):
            made.submit(column(number), 1, told.taker(number))
        scorer.gate.set()
        found = told.wait(5)
    assert all(isinstance(answer, ArmError) and answer.status == 503 for answer in found.values())
    assert sum(scorer.batches) == 5, "nobody is asked again"


def test_a_caller_that_fails_takes_nobody_along() -> None:
    scorer, told = Doubles(), Collected()

    def broken(_: Any) -> None:
        raise RuntimeError("the loop is closed")

    with lane(scorer) as made:
        made.submit(column(1), 1, broken)
        made.submit(column(2), 1, told.taker(2))
        scorer.gate.set()
        assert told.wait(1)[2]["score"].tolist() == [4.0]


def test_a_closed_lane_answers_what_waits_and_ends_what_it_started() -> None:
    scorer, told = Doubles(), Collected()
    scorer.gate.set()
    made = ThreadLane(scorer, name="m:1")
    made.submit(column(1), 1, told.taker(1))
    made.close()
    made.submit(column(2), 1, told.taker(2))  # chose its version before the swap
    assert {number: answer["score"].tolist() for number, answer in told.wait(2).items()} == {1: [2.0], 2: [4.0]}
    deadline = time.monotonic() + LINGER + WAIT
    while not scorer.closed and time.monotonic() < deadline:
        time.sleep(0.02)
    assert scorer.closed
    made.submit(column(3), 1, told.taker(3))
    late = told.wait(3)[3]
    assert isinstance(late, ModelloopError)
    assert "taken out of service" in str(late)
