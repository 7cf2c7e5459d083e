"""A process of a crew: `python -m modelloop.train.parallel.member PIPE LIFELINE PARENT HOLDERS FOLDER`.

It loads the objective once, then carries out trials as it is asked, in JSON over a pipe.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import nullcontext
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ...ground.flow.bound import bind_to, second_holder
from ...ground.flow.failure import attempt
from .events import Failed, Finished, Stopped
from .own import carry_out, said_of
from .shelf import Opened
from .target import load, read_job, settle
from .trying import Trying


class _Voice:
    """What a process says to its crew, and hears from it."""

    def __init__(self, pipe: Connection, *, waits: bool) -> None:
        self._pipe, self._waits = pipe, waits

    def say(self, **message: Any) -> None:
        self._pipe.send_bytes(json.dumps(message).encode())

    def hear(self) -> dict[str, Any]:
        try:
            heard: dict[str, Any] = json.loads(self._pipe.recv_bytes())
        except (EOFError, OSError):  # nobody is there any more
            os._exit(0)
        return heard

    def tell(self, number: int, step: int, value: float) -> bool:
        """Report; return whether the trial should stop."""
        self.say(reported=[number, step, value])
        while self._waits or self._pipe.poll(0):
            heard = self.hear()
            if heard.get("answers") == number:
                return bool(heard["stop"])
        return False


def main(words: list[str]) -> None:
    """Serve until the crew closes the pipe."""
    pipe_fd, lifeline, parent, holders, folder = words
    bind_to(int(parent), int(lifeline))
    with second_holder(int(lifeline)) if holders == "2" else nullcontext():
        _serve(int(pipe_fd), Path(folder))


def _serve(pipe_fd: int, folder: Path) -> None:
    job = read_job(folder)
    settle(job["environment"])
    voice = _Voice(Connection(pipe_fd), waits=job["waits"])
    objective, raised = attempt(lambda: load(job["target"], folder))
    if objective is None:
        assert raised is not None
        voice.say(unloadable=said_of(raised))
        return
    data = Opened(job["data"], folder)
    voice.say(ready=True)
    while True:
        asked = voice.hear()
        if "trial" in asked:
            tell = partial(voice.tell, asked["trial"])
            trying = Trying(asked["trial"], asked["params"], asked["seed"], data, tell)
            voice.say(over=told_of(carry_out(objective, trying)))
            sys.stdout.flush()
            sys.stderr.flush()


def told_of(event: Finished | Failed | Stopped) -> dict[str, Any]:
    """Return the end of a trial, JSON-ready."""
    told: dict[str, Any] = {"kind": type(event).__name__, "number": event.number}
    told |= {"seconds": event.seconds, "cpu_seconds": event.cpu_seconds}
    if isinstance(event, Failed):
        return {**told, "error": event.error}
    if isinstance(event, Stopped):
        told["step"] = event.step
    return {**told, "value": event.value, "several": isinstance(event.value, tuple)}


def event_of(told: dict[str, Any]) -> Finished | Failed | Stopped:
    """Return what `told_of` told."""
    kind = told.pop("kind")
    if kind == "Failed":
        return Failed(**told)
    if told.pop("several"):
        told["value"] = tuple(told["value"])
    return Finished(**told) if kind == "Finished" else Stopped(**told)


if __name__ == "__main__":
    main(sys.argv[1:])
