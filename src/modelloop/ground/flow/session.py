"""One execution of a pipeline: each call of a step comes from the journal, from the cache, or is carried out and recorded.

The order of writing is what makes a crash harmless: first the result's bytes (content-addressed), then one transaction with
the call and the kept result. The journal of a run is keyed by (key, how many calls with that key came before), so a run that
is executed again finds its finished calls whatever branches it takes.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ..core.clock import Clock
from ..core.errors import BlobMissing, StepFailed, ValueNotStorable
from ..core.hashing import hash_bytes, hash_json
from ..store.blobs import Blobs
from . import environment
from .codecs import Decoder, Encoder, Remembered, from_text, to_text
from .failure import describe, raised_elsewhere
from .fanout import Answer, Fanout, Task
from .fingerprint import Fingerprints
from .metrics import Logged, MetricBuffer
from .project import bind, importable
from .records import MetricPoint, RunError, StepKey, StepState
from .sources import Sources
from .step import Pipeline, Step, current
from .values import seed_libraries
from .why import explain

_INLINE_TEXT = 4000
"""A result whose tree is shorter is kept in the facts; a longer one in a blob."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A result as facts hold it, and where it came from."""

    digest: str
    text: str | None
    """None: in the blob `digest`."""
    origin: str
    metrics: Sequence[tuple[str, float, int | None]] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a step that is about to be made."""

    step: Step[Any, Any]
    arguments: Mapping[str, Any]
    number: int
    key: StepKey
    nth: int

    @property
    def name(self) -> str:
        """Return how people know the step."""
        return self.step.__qualname__


@dataclass(frozen=True, slots=True)
class Finished:
    """A call with its end, to be recorded in one transaction."""

    call: Call
    state: StepState
    reason: str
    seconds: float
    kept: Kept | None = None
    error: RunError | None = None
    metrics: Sequence[Logged] = field(default=())
    waiting: Sequence[Logged] = field(default=())
    """Those of `metrics`, and of the pipeline itself, that are not written yet."""


class Journal(Protocol):
    """Where calls are recorded: the facts of one run. Each method is one transaction."""

    def find(self, key: str, nth: int) -> Kept | None:
        """Return the finished call of this run, from before a crash."""
        ...

    def cached(self, key: str) -> Kept | None:
        """Return a kept result of any run."""
        ...

    def before(self, name: str) -> dict[str, Any] | None:
        """Return the key parts of the newest call of a step of this name, of any run."""
        ...

    def record(self, finished: Finished) -> None:
        """Record the end of a call; raises StaleState or RunCancelled if the run is no longer ours."""
        ...

    def metrics(self, logged: Sequence[Logged]) -> None:
        """Append metrics."""
        ...

    def artifact(self, name: str, digest: str) -> None:
        """Name a blob."""
        ...


class RunSession:
    """What steps find as the present run. Used from one thread; `log` and `artifact` from any."""

    def __init__(self, *, journal: Journal, blobs: Blobs, clock: Clock, project: Path, seed: int, processes: int) -> None:
        self.journal, self.blobs, self.clock, self.seed = journal, blobs, clock, seed
        self.buffer = MetricBuffer(journal.metrics)
        self.remembered = Remembered()
        self.decoder = Decoder(blobs.get, self.remembered, importable(project))
        self.fingerprints = Fingerprints(Sources(project), lambda value: self._hashed(value)[0])
        self._fanout = Fanout(project, blobs.url, limit=processes)
        self._environment = environment.digest()
        self._numbers = 0
        self._met: Counter[str] = Counter()
        self._before: dict[str, dict[str, Any] | None] = {}

    @contextmanager
    def open(self) -> Iterator[None]:
        """Be the present run; at the end write the last metrics and end the helpers."""
        token = current.set(self)
        try:
            yield
        finally:
            current.reset(token)
            self._fanout.close()
        self.buffer.flush()

    def call(self, step: Step[Any, Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Call the step once."""
        call = self._prepare(step, bind(step.function, tuple(args), kwargs))
        found, value = self._recall(call)
        return value if found else self._carry_out(call)

    def map(
        self, step: Step[Any, Any], items: Sequence[Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> list[Any]:
        """Call the step once per item, in other processes where there is more than one to carry out."""
        calls = [self._prepare(step, bind(step.function, (item, *args), kwargs)) for item in items]
        recalled = [self._recall(call) for call in calls]
        results = [value for _, value in recalled]
        missing = [place for place, (found, _) in enumerate(recalled) if not found]
        # equal items share one key: the first is carried out, the others then find its result
        first = {calls[place].key.digest: place for place in reversed(missing)} if step.cache else {}
        alone = [place for place in missing if not step.cache or first[calls[place].key.digest] == place]
        tasks = self._tasks(step, [calls[place] for place in alone]) if len(alone) > 1 else None
        if tasks is None:
            results = self._in_order(calls, missing, results)
            return results
        for index, answer in self._fanout.run(tasks):
            results[alone[index]] = self._take(calls[alone[index]], answer)
        return self._in_order(calls, [place for place in missing if place not in set(alone)], results)

    def log(self, name: str, value: float, step: int | None, *, call: int | None = None) -> None:
        """Record a metric."""
        self.buffer.add(Logged(MetricPoint(name, value, step, self.clock.now()), call))

    def artifact(self, name: str, data: bytes) -> None:
        """Keep bytes with the run."""
        self.journal.artifact(name, self.blobs.put(data))

    def store(self, value: Any, what: str) -> tuple[Kept, Any]:
        """Store a result; return it as kept, and as everybody who reads it later will find it."""
        try:
            node = Encoder(self.blobs.put, self.remembered, stores=True, types=set()).encode(value)
        except ValueNotStorable as error:
            raise ValueNotStorable(f"{what} returned what cannot be kept. {error.message}", hint=error.hint) from error
        text = to_text(node)
        digest = hash_bytes(text)
        if len(text) > _INLINE_TEXT:
            self.blobs.put(text)
        kept = Kept(digest, text.decode() if len(text) <= _INLINE_TEXT else None, "")
        return kept, self.decoder.decode(node)

    def load(self, kept: Kept) -> Any:
        """Return the value of a kept result."""
        return self.decoder.decode(from_text(self.blobs.get(kept.digest) if kept.text is None else kept.text))

    def _prepare(self, step: Step[Any, Any], arguments: Mapping[str, Any]) -> Call:
        code = dict(self.fingerprints.of(step))
        digests = {}
        for name, value in arguments.items():
            digests[name], types = self._argument(value)
            for found in types:
                code.update(self.fingerprints.of(found))
        seed = self.seed if step.seeded else None
        parts = StepKey("", code, digests, seed, self._environment)
        digest = hash_json(parts.as_json())
        key = StepKey(digest, code, digests, seed, self._environment)
        number, nth = self._numbers, self._met[digest]
        self._numbers += 1
        self._met[digest] += 1
        return Call(step, arguments, number, key, nth)

    def _argument(self, value: Any) -> tuple[str, set[type]]:
        """Return the digest of an argument; a function or class counts by its code."""
        plain = value.function if isinstance(value, Step | Pipeline) else value
        if not callable(plain) or hasattr(plain, "to_bytes"):
            return self._hashed(plain)
        name = f"{getattr(plain, '__module__', '')}:{getattr(plain, '__qualname__', type(plain).__qualname__)}"
        return hash_json([name, dict(self.fingerprints.of(plain))]), set()

    def _hashed(self, value: Any) -> tuple[str, set[type]]:
        encoder = Encoder(hash_bytes, self.remembered, stores=False, types=set())
        node = encoder.encode(value)
        if isinstance(node, dict) and "blob" in node:
            self.remembered.add(value, node, stored=False)
        return hash_bytes(to_text(node)), encoder.types

    def _recall(self, call: Call) -> tuple[bool, Any]:
        """Return (True, value) if the call finished before in this run, or its result is kept."""
        kept = self.journal.find(call.key.digest, call.nth)
        is_ours = kept is not None
        if kept is None and call.step.cache:
            kept = self.journal.cached(call.key.digest)
        if kept is None:
            return False, None
        began = time.perf_counter()
        try:
            value = self.load(kept)
        except (BlobMissing, StepFailed):  # the bytes were cleared away, or a class changed: carry it out again
            return False, None
        if not is_ours:
            at = self.clock.now()
            points = [Logged(MetricPoint(name, number, step, at), call.number) for name, number, step in kept.metrics]
            seconds = time.perf_counter() - began
            self._record(Finished(call, StepState.CACHED, kept.origin, seconds, kept, None, points, points))
        return True, value

    def _in_order(self, calls: Sequence[Call], places: Sequence[int], results: list[Any]) -> list[Any]:
        for place in places:
            found, value = self._recall(calls[place])
            results[place] = value if found else self._carry_out(calls[place])
        return results

    def _carry_out(self, call: Call) -> Any:
        began = time.perf_counter()
        inside = InStep(self, call.number)
        try:
            with inside.open(seed_of(call)):
                value = call.step.function(**_positional(call))
        except Exception as error:  # recorded as the user's, and raised on
            self._failed(call, describe(error, step=call.name), time.perf_counter() - began)
            raise
        return self._finish(call, value, began, inside)
