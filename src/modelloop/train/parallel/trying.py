"""What an objective is given: the parameters of its trial, the shared data, and a way to report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ...ground.core.errors import InvalidInput


class Pruned(Exception):
    """Raised by `Trying.report`: the trial should stop. Let it pass; clean up with `finally`."""

    def __init__(self, step: int) -> None:
        super().__init__(f"The trial was stopped at step {step}.")
        self.step = step


class Trying(Mapping[str, Any]):
    """One trial, as its objective sees it: a mapping of the parameters, with all that comes beside them.

    `number` and `seed` are the trial's own; `data` is what the search was given as shared data, by name: arrays are
    read-only, since all processes see the same memory.
    """

    __slots__ = ("_params", "_tell", "data", "number", "seed", "step", "stopped")

    def __init__(
        self,
        number: int,
        params: Mapping[str, Any],
        seed: int,
        data: Mapping[str, Any],
        tell: Callable[[int, float], bool],
    ) -> None:
        self.number, self.seed, self.data = number, seed, data
        self._params, self._tell = dict(params), tell
        self.step = -1
        self.stopped = False

    def tell(self, step: int, value: float) -> bool:
        """Say how the trial does so far; return whether it should go no further."""
        self.step = step
        self.stopped = self._tell(step, float(value))
        return self.stopped

    def report(self, step: int, value: float) -> None:
        """Say how the trial does so far; raises Pruned where it should go no further."""
        if isinstance(step, bool) or not isinstance(step, int):
            raise InvalidInput(f"A report at step {step!r}.", hint="The step is a whole number: 0, 1, 2, ...")
        if self.tell(step, value):
            raise Pruned(step)

    def __getitem__(self, name: str) -> Any:
        return self._params[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._params)

    def __len__(self) -> int:
        return len(self._params)

    def __repr__(self) -> str:
        return f"Trying({self.number}, {self._params!r})"
