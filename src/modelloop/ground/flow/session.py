"""One execution of a pipeline: each call of a step comes from the journal, the cache, or is made and recorded.

The order of writing is what makes a crash harmless: first the result's bytes (content-addressed), then one
transaction with the call and the kept result. The journal of a run is keyed by (key, how many calls with that key
came before), so a run that is executed again finds its finished calls whatever branches it takes.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

from ..core.clock import Clock
from ..core.errors import BlobMissing, StepFailed, ValueNotStorable
from ..core.hashing import hash_bytes, hash_json
from ..store.blobs import Blobs
from . import environment
from .codecs import Decoder, Encoder, Remembered, from_text, to_text
from .failure import describe, raised_elsewhere
from .fanout import Answer, Fanout, Task, reference_of
from .fingerprint import Fingerprints
from .inside import InsideStep
from .journal import Call, Finished, Journal, Kept
from .metrics import Logged, MetricBuffer
from .project import bind, importable
from .records import MetricPoint, RunError, StepKey, StepState
from .sources import Sources
from .step import Pipeline, Step, current
from .values import Node
from .why import explain

_CODE = (FunctionType, BuiltinFunctionType, MethodType, partial, type)

INLINE_TEXT = 4000
"""A result whose tree is shorter is kept in the facts; a longer one in a blob."""


class RunSession:
    """What steps find as the present run. Used from one thread; `log` and `artifact` from any."""

    def __init__(
        self, *, journal: Journal, blobs: Blobs, clock: Clock, project: Path, seed: int, processes: int
    ) -> None:
        self.journal, self.blobs, self.clock, self.seed = journal, blobs, clock, seed
        self.buffer = MetricBuffer(journal.metrics)
        self.remembered = Remembered()
        self.decoder = Decoder(blobs.get, self.remembered, importable(project))
        self.fingerprints = Fingerprints(Sources(project), lambda value: self._hashed(value)[0])
        self._fanout = Fanout(project, blobs.url, limit=processes)
        self._environment = environment.digest()
        self._numbers = 0
        self._met: Counter[str] = Counter()
        self._before: dict[str, Mapping[str, Any] | None] = {}
        self._last_failed: RunError | None = None

    @contextmanager
    def open(self) -> Iterator[None]:
        """Be the present run; at the end let the helping processes go and write the last metrics."""
        token = current.set(self)
        try:
            yield
        finally:
            current.reset(token)
            self._fanout.close()
            self.buffer.flush()

    def call(self, step: Step[Any, Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Call the step once."""
        return self._answer(self._prepare(step, tuple(args), kwargs))

    def map(
        self, step: Step[Any, Any], items: Sequence[Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> list[Any]:
        """Call the step once per item, in other processes where more than one is to be carried out."""
        calls = [self._prepare(step, (item, *args), kwargs) for item in items]
        found = {place: self._recall(call) for place, call in enumerate(calls)}
        results = {place: kept[0] for place, kept in found.items() if kept is not None}
        missing = [call for place, call in enumerate(calls) if place not in results]
        # of equal items one is carried out, the others then find its result
        elsewhere = [call for call in missing if not (step.cache and call.nth)]
        tasks = self._tasks(elsewhere, args, kwargs) if len(elsewhere) > 1 else None
        if tasks is not None:
            first = calls[0].number
            results |= {call.number - first: value for call, value in self._fan_out(elsewhere, tasks)}
        return [results[place] if place in results else self._answer(call) for place, call in enumerate(calls)]

    def log(self, name: str, value: float, step: int | None) -> None:
        """Record a metric of the pipeline itself."""
        self._log(None, (name, value, step))

    def artifact(self, name: str, data: bytes) -> None:
        """Keep bytes with the run."""
        self.journal.artifact(name, self.blobs.put(data))

    def give(self, value: Any, digest: str) -> Any:
        """Remember the content hash of an input, so that it need not be read to be hashed; return it."""
        self.remembered.add(value, {"$": "input", "digest": digest}, stored=False)
        return value

    def store(self, value: Any, what: str) -> tuple[Kept, Node]:
        """Store a result; return it as kept, and its tree."""
        try:
            node = Encoder(self.blobs.put, self.remembered, stores=True, types=set()).encode(value)
            text = to_text(node)
        except ValueNotStorable as error:
            raise ValueNotStorable(
                f"{what} returned what cannot be kept. {error.message}", hint=error.hint, detail=error.detail
            ) from error
        digest = hash_bytes(text)
        if len(text) > INLINE_TEXT:
            self.blobs.put(text)
        return Kept(digest, None if len(text) > INLINE_TEXT else text.decode()), node

    def load(self, kept: Kept) -> Any:
        """Return the value of a kept result."""
        return self.decoder.decode(from_text(self.blobs.get(kept.digest) if kept.text is None else kept.text))

    def blame(self, error: BaseException) -> RunError:
        """Return what is recorded of the error that ended the run, with the step that it came from."""
        told, last = describe(error), self._last_failed
        is_same = last is not None and (last.kind, last.message) == (told.kind, told.message)
        return replace(told, step=last.step) if last is not None and is_same else told

    def _prepare(self, step: Step[Any, Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Call:
        bound = bind(step.function, tuple(args), kwargs)
        code = self.fingerprints.of(step)
        arguments = {}
        for name, value in bound.items():
            arguments[name], types = self._argument(value)
            for met in types:
                code = {**code, **self.fingerprints.of(met)}
        seed = self.seed if step.seeded else None
        draft = StepKey("", code, arguments, seed, self._environment)
        digest = hash_json(draft.as_json())
        number, nth = self._numbers, self._met[digest]
        self._numbers += 1
        self._met[digest] += 1
        return Call(step, args, kwargs, number, StepKey(digest, code, arguments, seed, self._environment), nth)

    def _argument(self, value: Any) -> tuple[str, set[type]]:
        """Return the digest of an argument, and the classes within it; a function or class counts by its code."""
        plain = value.function if isinstance(value, Step | Pipeline) else value
        if not isinstance(plain, _CODE):
            return self._hashed(plain)
        name = f"{getattr(plain, '__module__', '')}:{getattr(plain, '__qualname__', '')}"
        return hash_json([name, dict(self.fingerprints.of(plain))]), set()

    def _hashed(self, value: Any) -> tuple[str, set[type]]:
        encoder = Encoder(hash_bytes, self.remembered, stores=False, types=set())
        node = encoder.encode(value)
        self.remembered.add(value, node, stored=False)
        return hash_bytes(to_text(node)), encoder.types

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
            seconds = time.perf_counter() - began
            self.journal.record(Finished(call, StepState.CACHED, kept.origin, seconds, kept, waiting=points))
        return found

    def _load_if_there(self, kept: Kept) -> tuple[Any] | None:
        try:
            return (self.load(kept),)
        except (BlobMissing, StepFailed):  # the bytes were cleared away, or a class changed: it is carried out again
            return None

    def _carry_out(self, call: Call) -> Any:
        inside = InsideStep(lambda point: self._log(call.number, point), self.artifact)
        began = time.perf_counter()
        try:
            with inside.open(seed_of(call)):
                raw = call.step.function(*call.args, **call.kwargs)
            kept, node = self.store(raw, f"Step {call.name}")
        except Exception as error:
            self._failed(call, describe(error, step=call.name), time.perf_counter() - began)
            raise
        kept = Kept(kept.digest, kept.text, metrics=inside.points)
        self._done(call, kept, time.perf_counter() - began)
        return self.decoder.decode(node)  # what a later run finds, to the last detail

    def _done(self, call: Call, kept: Kept, seconds: float) -> None:
        waiting = self.buffer.take()
        self.journal.record(Finished(call, StepState.DONE, self._why(call), seconds, kept, waiting=waiting))

    def _failed(self, call: Call, error: RunError, seconds: float) -> None:
        waiting = self.buffer.take()
        reason = self._why(call)
        self._last_failed = error
        self.journal.record(Finished(call, StepState.FAILED, reason, seconds, error=error, waiting=waiting))

    def _why(self, call: Call) -> str:
        if call.name not in self._before:
            self._before[call.name] = self.journal.before(call.name)
        before, self._before[call.name] = self._before[call.name], call.key.as_json()
        if not call.step.cache:
            return "not kept between runs"
        return explain(call.key, before)

    def _tasks(self, calls: Sequence[Call], args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Task] | None:
        """Return what other processes are asked to do, or None where only this one can do it."""
        reference = reference_of(calls[0].step)
        if reference is None or not self._fanout.usable:
            return None
        try:
            shared = self._sent((list(args), dict(kwargs)))
            return [Task(reference, seed_of(call), self._sent(call.args[0]), shared) for call in calls]
        except ValueNotStorable:
            return None

    def _sent(self, value: Any) -> str:
        node = Encoder(self.blobs.put, self.remembered, stores=True, types=set()).encode(value)
        return to_text(node).decode()

    def _fan_out(self, calls: Sequence[Call], tasks: Sequence[Task]) -> list[tuple[Call, Any]]:
        """Carry out calls in other processes, recording each as it finishes; raise the first error by order."""
        values, errors = [], []
        for place, answer in self._fanout.run(tasks):
            if answer.error is not None:
                self._failed(calls[place], answer.error, answer.seconds)
                errors.append((place, answer.error))
            else:
                values.append((calls[place], self._take(calls[place], answer)))
        if errors:
            raise raised_elsewhere(min(errors, key=lambda found: found[0])[1])
        return values

    def _take(self, call: Call, answer: Answer) -> Any:
        for name, digest in answer.artifacts:
            self.journal.artifact(name, digest)
        for point in answer.points:
            self._log(call.number, point)
        inline = answer.text if len(answer.text) <= INLINE_TEXT else None
        if inline is None:
            self.blobs.put(answer.text.encode())
        kept = Kept(hash_bytes(answer.text.encode()), inline, metrics=answer.points)
        self._done(call, kept, answer.seconds)
        return self.decoder.decode(from_text(answer.text))

    def _log(self, call: int | None, point: tuple[str, float, int | None]) -> None:
        self.buffer.add(self._logged(call, point))

    def _logged(self, call: int | None, point: tuple[str, float, int | None]) -> Logged:
        name, value, step = point
        return Logged(MetricPoint(name, value, step, self.clock.now()), call)


def seed_of(call: Call) -> int | None:
    """Return the seed of one call: from the run's seed, the key, how often the key was met; None if it uses none."""
    if call.key.seed is None:
        return None
    return int.from_bytes(hashlib.sha256(f"{call.key.seed}:{call.key.digest}:{call.nth}".encode()).digest()[:8], "big")
