"""The executor that is always there: child processes on this machine."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path

from ...flow.caller import answer_of, asked_of
from ...flow.elsewhere import Answer, Resources, Task
from .. import machine
from ..crew import Crew, Kind, Member, remaining
from ..room import Lot, Room


@dataclass(frozen=True, slots=True)
class _Working:
    """A call that is being made."""

    place: int
    member: Member
    lot: Lot


class LocalExecutor:
    """Carries out calls in child processes, which import the user's module once and are used again.

    `processors`: how many the calls share. A process, all it has started included, ends with this one whatever
    happens to it: call from a thread that lasts.
    """

    def __init__(self, project: Path, blobs_url: str, *, processors: int) -> None:
        self._blobs_url, self._processors = blobs_url, processors
        self._threads = max(1, machine.processors() // processors)
        self._room = Room(processors, machine.memory(), machine.gpus(os.environ))
        self._crew = Crew(project, blobs_url)

    @property
    def usable(self) -> bool:
        """Say whether other processes can reach the blobs at all."""
        return not self._blobs_url.startswith("memory:")

    def check(self, resources: Resources) -> None:
        """Raise PipelineInvalid for what this machine does not have."""
        self._room.check(resources)

    def run(self, tasks: Sequence[Task], *, stop_at_error: bool = True) -> Iterator[tuple[int, Answer]]:
        """Yield (place, answer) as they come: see `flow.elsewhere.Executor`."""
        for resources in {task.resources for task in tasks}:
            self.check(resources)
        waiting = deque(enumerate(tasks))
        busy: list[_Working] = []
        try:
            while waiting or busy:
                self._hand_out(waiting, busy)
                yield from _minding(self._gather(busy), waiting, stop_at_error=stop_at_error)
        finally:
            for working in busy:  # only where whoever iterates gave up
                working.member.end()
                self._room.give(working.lot)

    def close(self) -> None:
        """Let the processes go."""
        self._crew.close()

    def _hand_out(self, waiting: deque[tuple[int, Task]], busy: list[_Working]) -> None:
        while waiting and (lot := self._room.take(waiting[0][1].resources)) is not None:
            place, task = waiting.popleft()
            threads = max(self._threads, int(task.resources.cpus))
            member = self._crew.take(Kind(threads, lot.devices))
            busy.append(_Working(place, member, lot))
            member.ask(asked_of(task), task.time_limit.total_seconds() if task.time_limit else None)

    def _gather(self, busy: list[_Working]) -> list[tuple[int, Answer]]:
        """Wait until something happens; return the calls that are over."""
        wait([sign for working in busy for sign in working.member.signs], _soonest(busy))
        over = []
        for working in list(busy):
            told = working.member.look()
            if told is None:
                continue
            busy.remove(working)
            self._room.give(working.lot)
            self._crew.give(working.member, keep=self._processors)
            over.append((working.place, answer_of(told)))
        return over


def _minding(
    over: list[tuple[int, Answer]], waiting: deque[tuple[int, Task]], *, stop_at_error: bool
) -> Iterator[tuple[int, Answer]]:
    """Yield answers; after an error nothing waits any more."""
    for place, answer in over:
        if answer.error is not None and stop_at_error:
            waiting.clear()
        yield place, answer


def _soonest(busy: Iterable[_Working]) -> float | None:
    left = [remaining(working.member.deadline) for working in busy]
    return min((seconds for seconds in left if seconds is not None), default=None)
