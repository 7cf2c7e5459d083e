"""The way in: what is logged is checked, made into what is kept, and put into the queue."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

from ..ground.flow.failure import attempt, describe
from ..train.tracking.records import INT64, MAX_PARAM_VALUE, MAX_TAG_VALUE
from .keeping import LONGEST_QUEUE, Item, Keeper, checked, now_ms, pairs
from .names import plain, wrong_name
from .problems import Problems
from .values import Piece, as_number, pieces

ERROR = "modelloop.error"


class Intake:
    """Takes what one run logs in this process. Raises nothing: what cannot be kept is a problem."""

    def __init__(
        self, keeper: Keeper, keep_file: Callable[[Piece], None], problems: Problems, steps: Mapping[str, int]
    ) -> None:
        self.names: dict[str, Iterator[int]] = {name: count(last + 1) for name, last in steps.items()}
        """The metrics whose names are good, and the step that comes next."""
        self.queue: deque[Item] = keeper.queue
        self._keeper, self._keep_file, self._problems = keeper, keep_file, problems
        self._params: dict[str, str] = {}

    def log(self, name: Any, value: Any, step: Any) -> None:
        """Take a value, a mapping of values, or a file by its path."""
        if isinstance(name, Mapping):
            for each, item in name.items():
                self._log_one(each, item, step)
        elif isinstance(name, os.PathLike) and value is None:
            self._log_one(Path(name).name, Path(name), step)
        elif name is not None:
            self._log_one(name, value, step)

    def _log_one(self, name: Any, value: Any, step: Any) -> None:
        number, error = attempt(lambda: as_number(value))
        if error is not None:
            self._problems.add(f"{str(name)[:80]!r} was not logged: {type(error).__name__}: {error}")
        elif number is not None:
            self._log_number(name, number, step)
        else:
            self._log_file(str(name), value, step)

    def _log_number(self, name: Any, number: float, step: Any) -> None:
        if not isinstance(name, str) or name not in self.names:
            if wrong := wrong_name(name, "metric"):
                self._problems.add(wrong)
                return
            self.names.setdefault(name, count())
        place = next(self.names[name]) if step is None else self._whole(name, step)
        self.queue.append((name, number, place, now_ms()))
        if len(self.queue) > LONGEST_QUEUE:
            self._keeper.relieve()

    def _whole(self, name: str, step: Any) -> int:
        """Return a step as a whole number; any other is counted instead, so that the value is kept."""
        found, error = attempt(step.__index__ if hasattr(step, "__index__") else lambda: int(step))
        if error is None and isinstance(found, int) and found == step and -INT64 <= found < INT64:
            return found
        self._problems.add(
            f"The step {str(step)[:40]!r} of {name!r} is no whole number; its values were counted instead."
        )
        return next(self.names[name])

    def _log_file(self, name: str, value: Any, step: int | None) -> None:
        found, error = attempt(lambda: pieces(name, value, step))
        if error is not None:
            self._problems.add(f"{name[:80]!r} was not logged: {type(error).__name__}: {error}")
            return
        if not found:
            kind = "nothing" if value is None else f"a {type(value).__name__}"
            self._problems.add(
                f"{name[:80]!r} is {kind}: not a number, table, figure, text, bytes or path, and was not logged."
            )
        for piece in checked(found or [], self._problems):
            self._keep(piece)

    def _keep(self, piece: Piece) -> None:
        if piece.make is not None:
            self.queue.append(piece)
            return
        try:
            self._keep_file(piece)  # now: what is logged is what it holds at this moment
        except OSError as error:
            self._problems.add(f"The file {piece.source} was not logged: {error.strerror or error}.")

    def params(self, params: Mapping[str, Any]) -> None:
        """Take params. One that is there already keeps its value."""
        new: dict[str, str] = {}
        for name, value in _flat(params):
            text = self._text("params", name, value, MAX_PARAM_VALUE)
            if text is None or self._params.get(name) == text:
                continue
            if name in self._params:
                self._problems.add(
                    f"The param {name!r} is {self._params[name][:80]!r} and stays so; {text[:80]!r} was not logged."
                )
                continue
            self._params[name] = new[name] = text
        if new:
            self.queue.append(pairs("p", new))

    def tags(self, tags: Mapping[str, Any]) -> None:
        """Take tags."""
        texts = {name: self._text("tags", name, value, MAX_TAG_VALUE) for name, value in tags.items()}
        kept = {name: text for name, text in texts.items() if text is not None}
        if kept:
            self.queue.append(pairs("t", kept))

    def _text(self, folder: str, name: Any, value: Any, most: int) -> str | None:
        """Return the text of a param or tag; what is too long for one is a file, and the text says so."""
        if wrong := wrong_name(name, folder.removesuffix("s")):
            self._problems.add(wrong)
            return None
        found, error = attempt(lambda: plain(str(value)))
        if found is None:
            self._problems.add(f"The value of {name!r} cannot be written as text: {error}")
            return None
        if len(found) <= most:
            return found
        path = f"{folder}/{name}.txt"
        for piece in checked([Piece(path, found.encode)], self._problems):
            self.queue.append(piece)
        note = f"... ({len(found)} letters: {path})"
        return found[: most - len(note)] + note

    def error(self, error: BaseException) -> None:
        """Take what the run failed of."""
        told = describe(error)
        self.tags({ERROR: f"{told.kind}: {told.message}"[: MAX_TAG_VALUE - 1]})
        self.queue.append(Piece("error.txt", told.traceback.encode))


def _flat(params: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Return params one by one; those within others by names with dots."""
    for name, value in params.items():
        if isinstance(value, Mapping) and value and isinstance(name, str):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield (f"{above}{name}" if above else name), value
