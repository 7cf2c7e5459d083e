"""One execution of a pipeline: each call of a step comes from the journal, the cache, or is made and recorded.

The order of writing is what makes a crash harmless: first the result's bytes (content-addressed), then one
transaction with the call and the kept result. The journal of a run is keyed by (key, how many calls with that key
came before), so a run that is executed again finds its finished calls whatever branches it takes.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..core.clock import Clock
from ..core.errors import BlobMissing, StepFailed
from ..store.blobs import Blobs
from .attempts import is_retried, pause_before, told
from .elsewhere import Executor, Nowhere
from .failure import describe
from .journal import Call, Finished, Journal, Kept
from .keys import Keys
from .making import Made, Maker
from .metrics import Logged, MetricBuffer
from .records import MetricPoint, RunError, StepState
from .step import Step, current
from .why import counterpart, explain


@dataclass(frozen=True, slots=True)
class Place:
    """Where and with what a run is carried out."""

    blobs: Blobs
    clock: Clock
    executor: Executor = Nowhere()  # noqa: RUF009 - it has no state
    processes: int = 1
    """How many of them a `map` may use; with one it stays in the run's own process."""
    sleep: Callable[[float], None] = time.sleep


class RunSession:
    """What steps find as the present run. Used from one thread; `log` and `artifact` from any."""

    def __init__(self, journal: Journal, place: Place) -> None:
        self.journal, self.place = journal, place
        project = Path(journal.run.project_dir)
        self.run_id = journal.run.id
        self.maker = Maker((self.run_id, project), place, self._log, self.artifact)
        self.keys = Keys(project, self.maker.remembered, journal.run.seed)
        self.buffer = MetricBuffer(journal.metrics)
        self._before: dict[str, Sequence[Mapping[str, Any]]] = {}
        self._asked: Counter[str] = Counter()
        self._last_failed: RunError | None = None

    @contextmanager
    def open(self) -> Iterator[None]:
        """Be the present run; at the end let the other processes go and write the last metrics."""
        token = current.set(self)
        try:
            yield
        finally:
            current.reset(token)
            self.place.executor.close()
            self.buffer.flush()

    def call(self, step: Step[Any, Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Call the step once."""
        return self._answer(self.keys.call(step, tuple(args), kwargs))

    def map(
        self, step: Step[Any, Any], items: Sequence[Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> list[Any]:
        """Call the step once per item, in other processes where more than one is to be carried out."""
        calls = [self.keys.call(step, (item, *args), kwargs) for item in items]
        found = {place: self._recall(call) for place, call in enumerate(calls)}
        results = {place: kept[0] for place, kept in found.items() if kept is not None}
        missing = [place for place in range(len(calls)) if place not in results]
        # of equal items one is carried out, the others then find its result
        elsewhere = [place for place in missing if not (step.cache and calls[place].nth)]
        if self._spreads(step, len(elsewhere)) and self.maker.can_send([calls[place] for place in elsewhere]):
            results |= self._spread({place: calls[place] for place in elsewhere})
        return [results[place] if place in results else self._answer(call) for place, call in enumerate(calls)]

    def log(self, name: str, value: float, step: int | None) -> None:
        """Record a metric of the pipeline itself."""
        self._log(None, (name, value, step))

    def artifact(self, name: str, data: bytes) -> None:
        """Keep bytes with the run."""
        self.journal.artifact(name, self.place.blobs.put(data))

    def ask(self, name: str, question: str, choices: Sequence[str]) -> str:
        """Return a person's answer; without one the run waits, and its process ends."""
        nth = self._asked[name]
        self._asked[name] += 1
        self.buffer.flush()
        return self.journal.answer(name, nth, question, choices)

    def blame(self, error: BaseException) -> RunError:
        """Return what is recorded of the error that ended the run, with the step that it came from."""
        told_of, last = describe(error), self._last_failed
        is_same = last is not None and (last.kind, last.message) == (told_of.kind, told_of.message)
        return replace(told_of, step=last.step) if last is not None and is_same else told_of

    def _answer(self, call: Call) -> Any:
        found = self._recall(call)
        return self._carry_out(call) if found is None else found[0]

    def _recall(self, call: Call) -> tuple[Any] | None:
        """Return the value of a call that finished before in this run, or whose result is kept."""
        if (kept := self.journal.find(call.key.digest, call.nth)) is not None:
            return self._load_if_there(kept)
        if not call.step.cache or (kept := self.journal.cached(call.key.digest)) is None:
            return None
        began = time.perf_counter()
        found = self._load_if_there(kept)
        if found is not None:
            points = [self._logged(call.number, point) for point in kept.metrics]
            seconds, parts = time.perf_counter() - began, self.keys.untold(call)
            self.journal.record(Finished(call, StepState.CACHED, kept.origin, seconds, kept, None, points, parts))
        return found

    def _load_if_there(self, kept: Kept) -> tuple[Any] | None:
        try:
            return (self.maker.load(kept),)
        except (BlobMissing, StepFailed):  # the bytes were cleared away, or a class changed: it is carried out again
            return None

    def _carry_out(self, call: Call) -> Any:
        """Make the call, again after a pause where it may be; return the value or raise what the last attempt did."""
        check = self.keys.shapes.of(call.step.function).check_result
        tried, last = self._tried(call), None
        while True:
            tried += 1
            made = self.maker.make(call, check)
            if self._take(call, made, tried, last):
                return made.value
            assert made.error is not None
            if not is_retried(call.step.care, made.error, tried):
                raise made.raised()
            last = made.error
            self._rest([(call, tried + 1)])

    def _spreads(self, step: Step[Any, Any], calls: int) -> bool:
        wanted = calls > 1 and (self.place.processes > 1 or step.care.elsewhere)
        return wanted and self.place.executor.usable

    def _spread(self, calls: Mapping[int, Call]) -> dict[int, Any]:
        """Carry out calls in other processes, recording each as it finishes; raise the first error by order."""
        values: dict[int, Any] = {}
        errors: dict[int, Made] = {}
        tried = {place: self._tried(call) for place, call in calls.items()}
        last: dict[int, RunError] = {}
        waiting = list(calls)
        while waiting:
            again = []
            step = calls[waiting[0]].step
            check = self.keys.shapes.of(step.function).check_result
            for place, made in self.maker.make_all(calls, waiting, check, stop_at_error=not step.care.retries):
                tried[place] += 1
                if self._take(calls[place], made, tried[place], last.get(place)):
                    values[place] = made.value
                elif made.error is not None and is_retried(step.care, made.error, tried[place]):
                    again.append(place)
                    last[place] = made.error
                else:
                    errors[place] = made
            waiting = [] if errors else again
            self._rest([(calls[place], tried[place] + 1) for place in waiting])
        if errors:
            raise errors[min(errors)].raised()
        return values

    def _rest(self, failed: Sequence[tuple[Call, int]]) -> None:
        """Wait before further attempts, without what the failed ones logged."""
        for call, _ in failed:
            self.journal.forget_metrics(call.number)
        pauses = [pause_before(call.step.care, attempt, f"{call.key.digest}:{call.nth}") for call, attempt in failed]
        if pauses:
            self.place.sleep(max(pauses))

    def _tried(self, call: Call) -> int:
        """Return how often the call was tried before a crash; one attempt is always left."""
        if not call.step.care.retries:
            return 0
        return min(self.journal.tried(call.key.digest, call.nth), call.step.care.retries)

    def _take(self, call: Call, made: Made, tried: int, last: RunError | None) -> bool:
        """Record how an attempt went; say whether it came to a result."""
        for name, digest in made.artifacts:
            self.journal.artifact(name, digest)
        for point in made.points_to_log:
            self._log(call.number, point)
        finished = Finished(
            call,
            StepState.DONE if made.kept is not None else StepState.FAILED,
            self._why(call, tried) + told(call.step.care, tried, last),
            made.seconds,
            made.kept,
            made.error,
            self.buffer.take(),
            self.keys.untold(call),
            tried,
            made.usage,
            made.where,
        )
        if made.error is not None:
            self._last_failed = made.error
        self.journal.record(finished)
        return made.kept is not None

    def _why(self, call: Call, tried: int) -> str:
        if not call.step.cache:
            return "not kept between runs"
        if call.name not in self._before:
            self._before[call.name] = self.journal.before(call.name)
        return explain(call.key, counterpart(self._before[call.name], call.place)) if tried else ""

    def _log(self, call: int | None, point: tuple[str, float, int | None]) -> None:
        self.buffer.add(self._logged(call, point))

    def _logged(self, call: int | None, point: tuple[str, float, int | None]) -> Logged:
        name, value, step = point
        return Logged(MetricPoint(name, value, step, self.place.clock.now()), call)
