"""What a run learns by itself: output, seeds, code, packages, and every few seconds what the machine does."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from ..ground.flow.failure import attempt
from . import origin, seeds
from .output import Output
from .problems import Problems
from .system import System

KINDS = ("output", "system", "code", "seeds")
EVERY = 10.0
FIRST = 1.0
_PATIENCE = 30.0


class Ears(Protocol):
    """What hears of it."""

    def hear_text(self, text: str) -> None:
        """Take a piece of output."""
        ...

    def hear_numbers(self, numbers: dict[str, float]) -> None:
        """Take what the machine does."""
        ...

    def hear_tags(self, tags: dict[str, str]) -> None:
        """Take what the run is told by."""
        ...

    def hear_file(self, path: str, data: bytes) -> None:
        """Take a file."""
        ...


class Watch:
    """Looks and listens from `start` to `stop`. What takes long is done in a thread of its own."""

    def __init__(self, ears: Ears, kinds: frozenset[str], problems: Problems, *, every: float = EVERY) -> None:
        self._ears, self._kinds, self._problems, self._every = ears, kinds, problems, every
        self._stop = threading.Event()
        self._output: Output | None = None
        self._seeds: seeds.Seeds | None = None
        self._heard: dict[str, list[str]] = {}
        self._thread = threading.Thread(target=self._work, name="modelloop-watch", daemon=True)

    def start(self) -> None:
        """Begin: what is there at this moment is taken at once."""
        if "seeds" in self._kinds:
            given = seeds.at_start()
            states = json.dumps({"given": given, "states": seeds.states()})
            self._ears.hear_file("code/seeds.json", states.encode())
            for where, seed in given.items():
                self._hear_seed(where, seed)
            self._seeds = seeds.Seeds(self._hear_seed)
        if "output" in self._kinds:
            self._output = Output(self._ears.hear_text)
        if self._kinds & {"system", "code"}:
            self._thread.start()

    def stop(self) -> None:
        """End: the last measures are taken, the streams and functions put back."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(_PATIENCE)
        if self._seeds is not None:
            self._seeds.stop()
        if self._output is not None:
            self._output.stop()

    def deaf(self) -> None:
        """Hear nothing any more, in a forked child."""
        if self._output is not None:
            self._output.deaf()
        if self._seeds is not None:
            self._seeds.stop()

    def _work(self) -> None:
        if "code" in self._kinds:
            self._attempt("the code's version", self._tell_code)
        if "system" not in self._kinds:
            return
        system, error = attempt(lambda: System(Path.cwd()))
        if system is None:
            self._problems.add(f"The machine cannot be measured: {error}")
            return
        pause = min(FIRST, self._every)
        while not self._stop.wait(pause):
            pause = self._every
            self._attempt("the machine", lambda: self._ears.hear_numbers(system.measure()))
            if self._seeds is not None:
                self._seeds.listen()
        self._attempt("the machine", lambda: self._ears.hear_numbers(system.measure()))

    def _tell_code(self) -> None:
        tags, diff = origin.code()
        self._ears.hear_tags(tags)
        if diff:
            self._ears.hear_file("code/uncommitted.diff", diff.encode(errors="replace"))
        self._ears.hear_file("code/packages.json", origin.packages())

    def _attempt(self, what: str, look: Callable[[], None]) -> None:
        _, error = attempt(look)
        if error is not None:
            self._problems.add(f"Could not look at {what}: {type(error).__name__}: {error}")

    def _hear_seed(self, where: str, seed: str) -> None:
        heard = self._heard.setdefault(where, [])
        if seed not in heard:
            heard.append(seed)
            self._ears.hear_tags({f"modelloop.seed.{where}": ", ".join(heard)})
