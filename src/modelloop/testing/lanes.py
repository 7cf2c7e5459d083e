"""How any lane must behave. Subclass `LaneSuite` in a test file and give it an `opened` fixture.

`opened`: a lane whose version answers `{"score": 2 * x}` to the column `x` of floats, and raises what is not
InvalidInput for any x below zero.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from ..deploy.gateway.edge import ArmError
from ..deploy.gateway.lanes import Lane
from ..ground.core.later import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

PATIENCE = 30.0


class _Told:
    """What a caller is told, and how often."""

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self._told = threading.Event()

    def __call__(self, answer: Any) -> None:
        self.answers.append(answer)
        self._told.set()

    def wait(self) -> Any:
        assert self._told.wait(PATIENCE), "the lane said nothing"
        return self.answers[0]


class LaneSuite:
    """What `Lane` promises, whatever answers behind it."""

    def ask(self, lane: Lane, *values: float) -> _Told:
        """Ask for some rows."""
        told = _Told()
        lane.submit({"x": self.column(values)}, len(values), told)
        return told

    def column(self, values: tuple[float, ...]) -> npt.NDArray[Any]:
        """Return the values as the column that the version is asked with."""
        return np.array(values, dtype=np.float64)

    def test_many_callers_get_their_own(self, opened: Lane) -> None:
        """Once each, of one row or of several."""
        asked = {start: self.ask(opened, *range(start, start + 1 + start % 3)) for start in range(0, 300, 3)}
        for start, told in asked.items():
            assert told.wait()["score"].tolist() == [2.0 * value for value in range(start, start + 1 + start % 3)]
        assert all(len(told.answers) == 1 for told in asked.values())
        assert opened.counts.answered >= len(asked)
        assert opened.counts.rows >= len(asked)

    def test_an_error_of_one_is_its_own(self, opened: Lane) -> None:
        """Those who were put together with it are answered."""
        asked = [self.ask(opened, -1.0 if number % 5 == 0 else float(number)) for number in range(40)]
        for number, told in enumerate(asked):
            answer = told.wait()
            if number % 5 == 0:
                assert isinstance(answer, ArmError), answer
            else:
                assert answer["score"].tolist() == [2.0 * number]

    def test_nothing_asked_is_nothing_answered(self, opened: Lane) -> None:
        """No rows are an answer of no rows."""
        assert self.ask(opened).wait()["score"].shape == (0,)

    def test_it_is_well(self, opened: Lane) -> None:
        """It has nothing to complain of after it has answered."""
        self.ask(opened, 1.0).wait()
        assert opened.trouble == ""

    def test_it_is_closed_once_and_again(self, opened: Lane) -> None:
        """What waits is answered; closing twice is closing once."""
        told = self.ask(opened, 4.0)
        opened.close()
        opened.close()
        assert told.wait()["score"].tolist() == [8.0]
