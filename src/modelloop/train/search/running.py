"""The search's loop: trials are claimed, carried out by a crew, and kept; what others do meanwhile is heard, too."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from ..parallel.crew import Crew, Event, Failed, Finished, Reported, Stopped
from ..records import Trial
from ..studies.records import TRIAL, Entry, Ledger, derived
from . import space as spaces
from .asked import FOLDS, Plan
from .choosing import Chooser
from .stopping import Seen

_LOOK_SECONDS = 0.5
"""How often one looks what other processes do, where nothing happens here."""
_REPEAT = 100_000_000
"""A repeat's number for the crew is its trial's plus this times which repeat it is."""
_LONGEST_ERROR, _LONGEST_CURVE = 2000, 2000
_SAME_FAILURES = 5
"""So many failures at the start with one message and nothing else: the objective is broken, not unlucky."""


@dataclass(frozen=True, slots=True)
class Task:
    """A trial or repeat that was claimed and is to be carried out."""

    number: int
    nth: int
    params: Mapping[str, Any]
    attrs: Mapping[str, Any]
    seed: int

    @property
    def key(self) -> int:
        """Return its number for the crew."""
        return self.number + self.nth * _REPEAT


class Source(Protocol):
    """Where tasks come from."""

    def next(self) -> Task | None:
        """Claim and return a task; None: there is none (any more, or now)."""
        ...

    def wants(self, entry: Entry) -> bool:
        """Say whether one that a dead process left is to be carried out."""
        ...

    def ended(self, entry: Entry) -> None:
        """Learn what became of one, carried out here or elsewhere."""
        ...


class Conductor:
    """Keeps a crew busy with tasks of a source until all are over, here and in other processes."""

    def __init__(
        self, plan: Plan, ledger: Ledger, chooser: Chooser | None, watch: Callable[[Trial], None] | None = None
    ) -> None:
        self._plan, self._ledger, self._watch = plan, ledger, watch
        self.chooser = chooser
        self._began = time.monotonic()
        self._here: dict[int, Task] = {}
        self._curves: dict[int, list[tuple[int, float]]] = {}
        self._mark = 0
        self._failures: Counter[str] = Counter()
        self.entries: list[Entry] = []
        self.left: list[Entry] = []
        """Taken over from processes that are gone, to be carried out first."""
        self.cause: BaseException | None = None
        """What the first trial raised that failed in this process."""
        self.ended = ""
        """Why the search ended before its last trial."""

    @property
    def out_of_time(self) -> bool:
        """Say whether the time limit of this call has passed."""
        limit = self._plan.time_limit
        return limit is not None and time.monotonic() - self._began > limit

    @property
    def is_broken(self) -> bool:
        """Say whether all that was carried out here failed alike."""
        return len(self._failures) == 1 and "" not in self._failures and self._failures.total() >= _SAME_FAILURES

    def hear(self, report: Reported) -> bool:
        """Answer a trial that reported: should it stop?"""
        if self.out_of_time:
            return True
        if report.number >= _REPEAT or self.chooser is None:
            return False
        if math.isfinite(report.value):
            self._curves.setdefault(report.number, []).append((report.step, report.value))
        return self.chooser.should_stop(report)

    def run(self, source: Source, crew: Crew) -> None:
        """Carry out all of the source's tasks; returns when they are over, or the time is up."""
        self.look(source)
        while not self.out_of_time:
            self._fill(source, crew)
            if self._here:
                wait = _LOOK_SECONDS if self._plan.time_limit or self._ledger.durable else None
                self._heard(crew.next(wait), source, crew)
            elif not self._wait_for_others(source):
                return
        self.ended = out_of_time(self._plan)

    def look(self, source: Source) -> None:
        """Hear what ended since one looked last, and take over what dead processes left."""
        self.left += self._ledger.abandoned()
        self.sync(source)

    def sync(self, source: Source) -> None:
        """Hear what ended since one looked last."""
        self._mark, found = self._ledger.ended_since(self._mark)
        for entry in found:
            known = replace(entry, trial=replace(entry.trial, params=self._read(entry)))
            self.entries.append(known)
            source.ended(known)
            if self._watch is not None and entry.nth == TRIAL:
                self._watch(known.trial)

    def _read(self, entry: Entry) -> dict[str, Any]:
        return spaces.read(self._plan.space, entry.trial.params)

    def _fill(self, source: Source, crew: Crew) -> None:
        while len(self._here) < crew.size:
            task = source.next()
            if task is None:
                return
            self._here[task.key] = task
            crew.start(task.key, dict(task.params), task.seed)

    def _wait_for_others(self, source: Source) -> bool:
        """Return whether others still work; having heard what they did meanwhile."""
        busy = self._ledger.elsewhere() > 0
        if busy:
            time.sleep(_LOOK_SECONDS / 5)
        before = len(self.entries)
        self.look(source)
        return busy or any(map(source.wants, self.left)) or len(self.entries) > before

    def take_left(self, source: Source) -> Entry | None:
        """Return the first of what dead processes left that the source wants."""
        found = next(filter(source.wants, self.left), None)
        if found is not None:
            self.left.remove(found)
        return found

    def _heard(self, event: Event | None, source: Source, crew: Crew) -> None:
        if event is None:
            return
        if isinstance(event, Reported):  # from a crew that was not made here; one's own ask `hear` as reports come
            if self.hear(event):
                crew.stop(event.number)
            return
        task = self._here.pop(event.number)
        if isinstance(event, Stopped) and self.out_of_time:
            return  # given back: it was time that ended it
        entry = self._entry(task, event)
        if entry.nth == TRIAL:
            self._failures[entry.trial.error.partition("\n")[0]] += 1
        self._ledger.finish(entry)
        self.sync(source)

    def _entry(self, task: Task, event: Finished | Failed | Stopped) -> Entry:
        state, error, values = "done", "", tuple[float, ...]()
        if isinstance(event, Failed):
            state, error = "failed", event.error
            self.cause = self.cause or event.cause
        elif isinstance(event, Stopped):
            state = "pruned"
        else:
            values, error = read_values(event.value, self._plan.metrics)
            state = "failed" if error else "done"
        attrs = dict(task.attrs)
        if task.nth == TRIAL and self.chooser is not None:
            attrs |= self.chooser.attrs(task.number)
        trial = Trial(
            number=task.number,
            params=dict(task.params),
            value=values[0] if values else None,
            seconds=event.seconds,
            state=state,
            cpu_seconds=event.cpu_seconds,
            error=_told(error),
            curve=_thinned(self._curves.pop(task.key, [])),
        )
        return Entry(trial, attrs, task.nth, values)


class Trials:
    """The search's own trials: those that dead processes left first, then new ones while it is worth it."""

    def __init__(self, plan: Plan, ledger: Ledger, conductor: Conductor) -> None:
        assert conductor.chooser is not None
        self._plan, self._ledger, self._conductor, self._chooser = plan, ledger, conductor, conductor.chooser

    def next(self) -> Task | None:
        """Claim the next trial; None: the budget is used up, or a rule says that it is enough."""
        entry = self._conductor.take_left(self)
        if entry is not None:
            self._chooser.adopt(entry)
            return self._task(entry.trial.number, spaces.read(self._plan.space, entry.trial.params), entry.attrs)
        while not self._is_over():
            number = self._ledger.head().claimed
            if number >= self._chooser.budget:
                return None
            params, attrs = self._chooser.propose(number)
            if self._ledger.claim(number, params, attrs):
                return self._task(number, params, attrs)
            self._chooser.drop(number)
            self._conductor.sync(self)
        return None

    def wants(self, entry: Entry) -> bool:
        """Say whether it is a trial proper."""
        return entry.nth == TRIAL

    def ended(self, entry: Entry) -> None:
        """Learn from a trial."""
        if entry.nth == TRIAL:
            self._chooser.tell(entry)

    def _is_over(self) -> bool:
        conductor = self._conductor
        if conductor.is_broken:
            conductor.ended = f"Ended because {_SAME_FAILURES} trials failed alike, and none did not."
        if not conductor.ended and self._plan.rules:
            seen = what_was_seen(self._plan, conductor.entries)
            conductor.ended = next((reason for rule in self._plan.rules if (reason := rule.reason(seen))), "")
        return bool(conductor.ended)

    def _task(self, number: int, params: Mapping[str, Any], attrs: Mapping[str, Any]) -> Task:
        return Task(number, TRIAL, params, attrs, derived(self._plan.seed, "trial", number))


class Repeats:
    """The best few again: each repeat has one seed for all of them, so that luck is shared and differences count."""

    def __init__(
        self, plan: Plan, ledger: Ledger, conductor: Conductor, wanted: list[tuple[Trial, int]], nths: range
    ) -> None:
        self._plan, self._ledger, self._conductor = plan, ledger, conductor
        self._wanted, self._nths = wanted, nths

    def next(self) -> Task | None:
        """Claim the next repeat; None: all are claimed."""
        entry = self._conductor.take_left(self)
        if entry is not None:
            return self._task(entry.trial.number, entry.nth, spaces.read(self._plan.space, entry.trial.params))
        while self._wanted:
            trial, nth = self._wanted.pop(0)
            if self._ledger.claim_repeat(trial.number, nth, trial.params):
                return self._task(trial.number, nth, trial.params)
        return None

    def wants(self, entry: Entry) -> bool:
        """Say whether it is one of these repeats."""
        return entry.nth in self._nths

    def ended(self, entry: Entry) -> None:
        """Nothing is learned from a repeat until all are over."""

    def _task(self, number: int, nth: int, params: Mapping[str, Any]) -> Task:
        seed = nth - FOLDS if nth >= FOLDS else derived(self._plan.seed, "repeat", nth)
        return Task(number, nth, params, {}, seed)


def out_of_time(plan: Plan) -> str:
    """Say that a call ended at its time limit."""
    return f"Ended at the time limit of {plan.time_limit:g} s; the same call goes on from here."


def what_was_seen(plan: Plan, entries: list[Entry]) -> Seen:
    """Return what rules look at, by the trials' numbers: the order in which they ended is chance."""
    own = sorted((entry for entry in entries if entry.nth == TRIAL), key=lambda entry: entry.trial.number)
    sign = plan.signs[0]
    return Seen(
        values=tuple(sign * entry.values[0] for entry in own if entry.trial.state == "done"),
        seconds=tuple(entry.trial.seconds for entry in own),
        sign=sign,
    )


def read_values(returned: Any, metrics: tuple[str, ...]) -> tuple[tuple[float, ...], str]:
    """Return what an objective returned, one number a metric; or nothing, and what is wrong."""
    if isinstance(returned, Mapping):
        missing = [name for name in metrics if name not in returned]
        if missing:
            return (), f"The objective returned no {', '.join(missing)}; it returned {', '.join(map(str, returned))}."
        found = tuple(float(returned[name]) for name in metrics)
    elif isinstance(returned, tuple | list):
        found = tuple(float(value) for value in returned)
    else:
        found = (float(returned),)
    if len(found) != len(metrics):
        return (), f"The objective returned {len(found)} numbers for {', '.join(metrics)}."
    odd = [f"{name} {value}" for name, value in zip(metrics, found, strict=True) if not math.isfinite(value)]
    return ((), f"The objective returned {', '.join(odd)}: no finite number.") if odd else (found, "")


def _told(error: str) -> str:
    """Return an error as text that every database takes."""
    return error.replace("\0", "").encode("utf-8", "replace").decode()[:_LONGEST_ERROR]


def _thinned(curve: list[tuple[int, float]]) -> tuple[tuple[int, float], ...]:
    once = list(dict(curve).items())
    every = -(-len(once) // _LONGEST_CURVE) if once else 1
    return (*once[:-1:every], once[-1]) if once else ()
