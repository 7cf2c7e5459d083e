"""What a node of a cluster does for a crew: it keeps one process of its own, and passes on what is said.

User code runs in that process, as on the crew's own machine: limits, deaths and stops mean the same everywhere.
"""

from __future__ import annotations

import functools
import json
import queue
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...ground.core.errors import ModelloopError
from .events import Event, Reported
from .member import told_of
from .processes import FolderCrew

_LOOK = 0.02
_LEAVE = 3.0


class Relay:
    """One process on a node. `say` and `hear` may be called from different threads; JSON-ready both ways."""

    def __init__(self, folder: Path, *, waits: bool, time_limit: float | None, threads: int = 1) -> None:
        self._inbox: queue.Queue[dict[str, Any]] = queue.Queue()
        self._outbox: queue.Queue[dict[str, Any]] = queue.Queue()
        heard = self._ask if waits else None
        self._made = functools.partial(
            FolderCrew, folder, size=1, heard=heard, time_limit=time_limit, threads=threads, holders=2
        )
        # a process ends with the thread that started it: this one lasts
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def say(self, message: Mapping[str, Any]) -> None:
        """Pass a message on: a trial, an answer, a stop, or the end."""
        self._inbox.put(dict(message))

    def hear(self, timeout: float) -> dict[str, Any] | None:
        """Return what happened next, None where nothing did."""
        try:
            return self._outbox.get(timeout=timeout)
        except queue.Empty:
            return None

    def end(self) -> None:
        """End the process; return when it has."""
        self._inbox.put({"end": True})
        self._thread.join(_LEAVE)

    def _work(self) -> None:
        crew = self._made()
        try:
            self._serve(crew)
        except ModelloopError as error:
            self._outbox.put({"broken": str(error)})
        finally:
            crew.close()

    def _serve(self, crew: FolderCrew) -> None:
        """Do what is asked until the end is."""
        busy = False
        while True:
            message = self._next_message(wait=not busy) or {}
            if "end" in message:
                return
            busy = self._take(crew, message) or busy
            event = crew.next(_LOOK) if busy else None
            busy = busy and (event is None or isinstance(event, Reported))
            self._pass_on(event)

    def _next_message(self, *, wait: bool) -> dict[str, Any] | None:
        try:
            return self._inbox.get(block=wait)
        except queue.Empty:
            return None

    def _take(self, crew: FolderCrew, message: dict[str, Any]) -> bool:
        """Do what a message asks; return whether a trial is under way for it."""
        if "trial" in message:
            crew.start(message["trial"], message["params"], message["seed"])
            return True
        if "stop" in message:
            crew.stop(message["stop"])
        return False

    def _pass_on(self, event: Event | None) -> None:
        if isinstance(event, Reported):
            self._outbox.put({"reported": [event.number, event.step, event.value]})
        elif event is not None:
            self._outbox.put({"over": told_of(event)})

    def _ask(self, report: Reported) -> bool:
        """Pass a report on and wait for its answer."""
        self._pass_on(report)
        while True:
            message = self._inbox.get()
            if "answers" in message:
                return bool(message["stop"])
            if "end" in message:
                self._inbox.put(message)
                return True


def moved(job_text: str, before: str, after: str) -> str:
    """Return a job whose paths lie in another folder."""
    return json.dumps(_moved(json.loads(job_text), before, after))


def _moved(value: Any, before: str, after: str) -> Any:
    if isinstance(value, str):
        inside = value == before or value.startswith(f"{before}/")
        return after + value[len(before) :] if inside else value
    if isinstance(value, list):
        return [_moved(one, before, after) for one in value]
    if isinstance(value, dict):
        return {name: _moved(one, before, after) for name, one in value.items()}
    return value
