"""Calls made for real: here, in the run's own process, or elsewhere, by its executor."""

from __future__ import annotations

import hashlib
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from ..core.errors import (
    PipelineInvalid,
    RunCancelled,
    StaleState,
    StepTimeout,
    StoreUnavailable,
    ValueNotStorable,
    WorkerDied,
)
from ..core.hashing import hash_bytes
from ..store.blobs import Blobs
from .codecs import Decoder, Encoder, Remembered, from_text, to_text
from .elsewhere import Answer, Executor, Resources, Task, reference_of
from .failure import attempt, describe, raised_elsewhere
from .inside import InsideStep, Point
from .journal import Call, Kept
from .project import importable
from .records import RunError, Usage
from .step import Care, Step
from .values import Node

INLINE_TEXT = 4000
"""A result whose tree is shorter is kept in the facts; a longer one in a blob."""
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024
_PASSING = (StoreUnavailable, StaleState, RunCancelled)
_NAMED = {"StepTimeout": StepTimeout, "WorkerDied": WorkerDied}

Check = Callable[[Any, str], None]
"""Raises StepFailed for a result that is not what the step says it returns."""


class Tools(Protocol):
    """What calls are made with."""

    @property
    def blobs(self) -> Blobs:
        """Where results go."""
        ...

    @property
    def executor(self) -> Executor:
        """Who makes calls in other processes."""
        ...


@dataclass(frozen=True, slots=True)
class Made:
    """How one attempt went: a result, or an error."""

    seconds: float
    value: Any = None
    kept: Kept | None = None
    error: RunError | None = None
    cause: BaseException | None = None
    points_to_log: Sequence[Point] = ()
    artifacts: Sequence[tuple[str, str]] = ()
    usage: Usage = field(default_factory=Usage)
    where: str = ""

    def raised(self) -> BaseException:
        """Return what the pipeline is to see of the error."""
        assert self.error is not None
        if self.cause is not None:
            return self.cause
        if self.error.kind in _NAMED:
            return _NAMED[self.error.kind](self.error.message)
        return raised_elsewhere(self.error)


class Maker:
    """Makes calls, stores their results, reads kept ones."""

    def __init__(
        self,
        place: tuple[str, Path],
        tools: Tools,
        log: Callable[[int, Point], None],
        artifact: Callable[[str, bytes], None],
    ) -> None:
        self._run, project = place
        self.tools, self._log, self._artifact = tools, log, artifact
        self.remembered = Remembered()
        self.decoder = Decoder(tools.blobs.get, self.remembered, importable(project))

    def make(self, call: Call, check: Check) -> Made:
        """Make one attempt; user errors are returned, not raised."""
        if not call.step.care.elsewhere:
            return self._make_here(call, check)
        if not self.tools.executor.usable or reference_of(call.step) is None:
            raise _stuck(call.step)
        try:
            task = self._task(call, [list(call.args), ([], dict(call.kwargs))])
        except ValueNotStorable as error:
            raise PipelineInvalid(f"Step {call.name} runs in a process of its own. {error}") from error
        ((_, answer),) = list(self.tools.executor.run([task]))
        return self._made(call, answer, check)

    def can_send(self, calls: Sequence[Call]) -> bool:
        """Say whether another process could make these calls of one step: it finds the step, the values travel."""
        if reference_of(calls[0].step) is None:
            return False
        try:
            for call in calls:
                self._sent([list(call.args), dict(call.kwargs)])
        except ValueNotStorable:
            return False
        return True

    def make_all(
        self, calls: Mapping[int, Call], places: Sequence[int], check: Check, *, stop_at_error: bool
    ) -> Iterator[tuple[int, Made]]:
        """Make calls of one step in other processes; yield (place, how it went) as they come."""
        first = calls[places[0]]
        shared = self._sent((list(first.args[1:]), dict(first.kwargs)))
        tasks = [self._task(calls[place], [[calls[place].args[0]]], shared) for place in places]
        for number, answer in self.tools.executor.run(tasks, stop_at_error=stop_at_error):
            yield places[number], self._made(calls[places[number]], answer, check)

    def give(self, value: Any, digest: str) -> Any:
        """Remember the content hash of an input, so that it need not be read to be hashed; return it."""
        self.remembered.add(value, {"$": "input", "digest": digest}, stored=False)
        return value

    def store(self, value: Any, what: str) -> tuple[Kept, Node]:
        """Store a result; return it as kept, and its tree."""
        try:
            node = Encoder(self.tools.blobs.put, self.remembered, stores=True, types=set()).encode(value)
            text = to_text(node)
        except ValueNotStorable as error:
            raise ValueNotStorable(
                f"{what} returned what cannot be kept. {error.message}", hint=error.hint, detail=error.detail
            ) from error
        return self._kept(text), node

    def load(self, kept: Kept) -> Any:
        """Return the value of a kept result."""
        return self.decoder.decode(from_text(self.tools.blobs.get(kept.digest) if kept.text is None else kept.text))

    def _make_here(self, call: Call, check: Check) -> Made:
        inside = InsideStep(lambda point: self._log(call.number, point), self._artifact, self._run)

        def carry_out() -> tuple[Kept, Node]:
            with inside.open(seed_of(call)):
                raw = call.step.function(*call.args, **call.kwargs)
            check(raw, f"Step {call.name}")
            return self.store(raw, f"Step {call.name}")

        began, cpu = time.perf_counter(), time.process_time()
        result, error = attempt(carry_out, passing=_PASSING)
        seconds = time.perf_counter() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT
        usage = Usage(time.process_time() - cpu, peak, seconds)
        if error is not None or result is None:
            assert error is not None
            return Made(seconds, error=describe(error, step=call.name), cause=error, usage=usage)
        kept, node = result
        value = self.decoder.decode(node)  # what a later run finds, to the last detail
        return Made(seconds, value, replace(kept, metrics=inside.points), usage=usage)

    def _made(self, call: Call, answer: Answer, check: Check) -> Made:
        """Read what another process answered."""
        about = {"artifacts": answer.artifacts, "usage": answer.usage, "where": answer.place}
        if answer.error is not None:
            error = replace(answer.error, step=call.name)
            return Made(answer.seconds, error=error, points_to_log=answer.points, **about)  # type: ignore[arg-type]
        kept = replace(self._kept(answer.text.encode()), metrics=answer.points)
        value = self.decoder.decode(from_text(answer.text))
        _, wrong = attempt(lambda: check(value, f"Step {call.name}"))
        if wrong is not None:
            return Made(answer.seconds, error=describe(wrong, step=call.name), cause=wrong, **about)  # type: ignore[arg-type]
        return Made(answer.seconds, value, kept, points_to_log=answer.points, **about)  # type: ignore[arg-type]

    def _task(self, call: Call, own: list[Any], shared: str | None = None) -> Task:
        care, reference = call.step.care, reference_of(call.step)
        assert reference is not None
        return Task(
            reference,
            seed_of(call),
            self._sent(own[0]),
            self._sent(own[1]) if shared is None else shared,
            resources_of(care),
            care.timeout,
            self._run,
        )

    def _sent(self, value: Any) -> str:
        node = Encoder(self.tools.blobs.put, self.remembered, stores=True, types=set()).encode(value)
        return to_text(node).decode()

    def _kept(self, text: bytes) -> Kept:
        digest = hash_bytes(text)
        if len(text) > INLINE_TEXT:
            self.tools.blobs.put(text)
        return Kept(digest, None if len(text) > INLINE_TEXT else text.decode())


def check_places(steps: Sequence[Step[Any, Any]], executor: Executor) -> None:
    """Raise PipelineInvalid for a step that asks for what no place of this run has, before anything runs."""
    for step in steps:
        if not step.care.elsewhere:
            continue
        if not executor.usable or reference_of(step) is None:
            raise _stuck(step)
        executor.check(resources_of(step.care))


def resources_of(care: Care) -> Resources:
    """Return what each call is given."""
    return Resources(care.cpus, care.memory, care.gpus)


def seed_of(call: Call) -> int | None:
    """Return the seed of one call: from the run's seed, the key, how often the key was met; None if it uses none."""
    if call.key.seed is None:
        return None
    return int.from_bytes(hashlib.sha256(f"{call.key.seed}:{call.key.digest}:{call.nth}".encode()).digest()[:8], "big")


def _stuck(step: Step[Any, Any]) -> PipelineInvalid:
    return PipelineInvalid(
        f"Step {step.__qualname__} asks for a time limit or for resources, and this run cannot start a process for it.",
        hint="Define it at the top of a module of the project, and keep blobs in a folder or an object store.",
    )
