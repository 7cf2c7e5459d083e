"""The far side of the seam in `elsewhere`: makes the calls that a process was asked for, and says how each went.

What comes in and goes out is JSON-ready; values are codec text, and what is large in them is in the blobs.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ..core.errors import StepFailed, ValueNotStorable
from ..store.blobs import Blobs
from .codecs import Decoder, Encoder, Remembered, from_text, to_text
from .elsewhere import Answer, Task
from .failure import attempt, describe
from .inside import InsideStep
from .project import importable, load_function
from .records import RunError, Usage
from .step import Step

_BLOBS_HELD = 8


class Caller:
    """Makes one call after the other, in this process, with the code in a project folder."""

    def __init__(self, project: Path, blobs: Blobs) -> None:
        self._project, self._blobs = project, blobs
        self._held: dict[str, bytes] = {}
        self._decoder = Decoder(self._get, Remembered(), importable(project))

    def answer(self, asked: Mapping[str, Any], within: AbstractContextManager[object]) -> dict[str, Any]:
        """Make one call within a context (that limits and measures), and return how it went."""
        artifacts: list[tuple[str, str]] = []

        def keep(name: str, data: bytes) -> None:
            artifacts.append((name, self._blobs.put(data)))

        inside = InsideStep(lambda _: None, keep, str(asked.get("run", "")))
        began = time.perf_counter()
        text, raised = attempt(lambda: self._carry_out(asked, inside, within))
        seconds = time.perf_counter() - began
        sys.stdout.flush()
        error = asdict(_told(raised, asked)) if raised is not None else None
        return {"text": text or "", "seconds": seconds, "points": inside.points, "artifacts": artifacts, "error": error}

    def _carry_out(self, asked: Mapping[str, Any], inside: InsideStep, within: AbstractContextManager[object]) -> str:
        function = self._function(asked["step"])
        with within:
            own = self._decoder.decode(from_text(asked["own"]))
            args, kwargs = self._decoder.decode(from_text(asked["shared"]))
            with inside.open(asked["seed"]):
                raw = function(*own, *args, **kwargs)
            return self._encoded(raw, asked["step"])

    def _encoded(self, raw: Any, reference: str) -> str:
        try:
            node = Encoder(self._blobs.put, Remembered(), stores=True, types=set()).encode(raw)
            return to_text(node).decode()
        except ValueNotStorable as error:
            message = f"Step {reference.partition(':')[2]} returned what cannot be kept. {error.message}"
            raise ValueNotStorable(message, hint=error.hint, detail=error.detail) from error

    def _function(self, reference: str) -> Callable[..., Any]:
        module, _, qualname = reference.partition(":")
        first, *rest = qualname.split(".")
        found: Any = load_function(self._project, f"{module}:{first}")
        for part in rest:
            found = getattr(found, part, None)
        if not isinstance(found, Step):
            raise StepFailed(f"{reference} is not a step any more.")
        return found.function

    def _get(self, digest: str) -> bytes:
        """Read a blob; hold the last few, which are what all calls of a `map` share."""
        if digest not in self._held:
            while len(self._held) >= _BLOBS_HELD:
                self._held.pop(next(iter(self._held)))
            self._held[digest] = self._blobs.get(digest)
        return self._held[digest]


def asked_of(task: Task) -> dict[str, Any]:
    """Return a task as a `Caller` is asked for it, JSON-ready."""
    asked = {"step": task.step, "seed": task.seed, "own": task.own, "shared": task.shared, "run": task.run}
    return {**asked, "memory": task.resources.memory, "gpus": task.resources.gpus}


def answer_of(told: Mapping[str, Any]) -> Answer:
    """Return what a `Caller` answered, read back from JSON."""
    return Answer(
        text=told["text"],
        seconds=told["seconds"],
        points=[(name, value, step) for name, value, step in told["points"]],
        artifacts=[(name, digest) for name, digest in told["artifacts"]],
        error=RunError(**told["error"]) if told["error"] else None,
        usage=Usage(**told["usage"]),
        place=told["place"],
    )


def _told(raised: BaseException, asked: Mapping[str, Any]) -> RunError:
    """Return what is recorded of an error; one for want of memory says how much there was."""
    told = describe(raised, step=asked["step"].partition(":")[2])
    if not isinstance(raised, MemoryError) or not asked["memory"]:
        return told
    limit = f"The step asks for {asked['memory'] / 1e6:,.0f} MB of memory and gets no more than that."
    return replace(told, kind="MemoryError", message=f"{told.message.rstrip('.')}. {limit}")
