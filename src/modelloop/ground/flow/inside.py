"""The inside of a step: seeded, with steps called as the plain functions they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ..core.errors import PipelineInvalid
from .step import Step, current
from .values import seed_libraries

Point = tuple[str, float, int | None]


class InsideStep:
    """The session that code within a step finds: what it logs belongs to the step; steps it calls are part of it."""

    def __init__(self, log: Callable[[Point], None], artifact: Callable[[str, bytes], None], run_id: str = "") -> None:
        self._log, self._artifact, self.run_id = log, artifact, run_id
        self.points: list[Point] = []

    @contextmanager
    def open(self, seed: int | None) -> Iterator[None]:
        """Be the present session, seeded; at the end the generators are as they were before."""
        restore = seed_libraries(seed) if seed is not None else None
        token = current.set(self)
        try:
            yield
        finally:
            current.reset(token)
            if restore is not None:
                restore()

    def call(self, step: Step[Any, Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Call it as a function: its code is part of the outer step's key."""
        return step.function(*args, **kwargs)

    def map(
        self, step: Step[Any, Any], items: Sequence[Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> list[Any]:
        """Call it once per item."""
        return [step.function(item, *args, **kwargs) for item in items]

    def log(self, name: str, value: float, step: int | None) -> None:
        """Record a metric with the step."""
        self.points.append((name, value, step))
        self._log((name, value, step))

    def artifact(self, name: str, data: bytes) -> None:
        """Keep bytes with the run."""
        self._artifact(name, data)

    def ask(self, name: str, question: str, choices: Sequence[str]) -> str:  # noqa: ARG002 - nobody is asked here
        """Refuse: a run waits between steps, not in the middle of one."""
        raise PipelineInvalid(
            f"ask({name!r}) was called within a step, and a step cannot wait for a person.",
            hint="Ask in the pipeline, and give the answer to the step.",
        )
