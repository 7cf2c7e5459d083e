"""A ledger that lasts as long as the search: the same promises, for one process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .records import TRIAL, Declared, Entry, Head


class MemoryLedger:
    """Keeps trials in a list."""

    durable = False

    def __init__(self) -> None:
        self._ended: list[Entry] = []
        self._running: set[tuple[int, int]] = set()
        self._claimed = 0

    def open(self, declared: Declared) -> Declared:
        """Begin the study."""
        return declared

    def head(self) -> Head:
        """Return how far the study is."""
        return Head("", self._claimed, len(self._ended))

    def ended_since(self, mark: int) -> tuple[int, list[Entry]]:
        """Return all that ended after the mark, and the new mark."""
        return len(self._ended), self._ended[mark:]

    def claim(self, number: int, params: Mapping[str, Any], attrs: Mapping[str, Any]) -> bool:  # noqa: ARG002
        """Take the trial; nobody else could."""
        self._claimed = number + 1
        self._running.add((number, TRIAL))
        return True

    def claim_repeat(self, number: int, nth: int, params: Mapping[str, Any]) -> bool:  # noqa: ARG002
        """Take a repeat."""
        self._running.add((number, nth))
        return True

    def abandoned(self) -> list[Entry]:
        """Return nothing: who would abandon trials is gone with them."""
        return []

    def elsewhere(self) -> int:
        """Return nothing: there are no other processes."""
        return 0

    def finish(self, entry: Entry) -> bool:
        """Keep what became of a trial."""
        self._running.discard((entry.trial.number, entry.nth))
        self._ended.append(entry)
        return True

    def release(self) -> None:
        """Forget what is under way."""
        self._running.clear()
