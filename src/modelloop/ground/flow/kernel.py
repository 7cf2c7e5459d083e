"""What cells of a notebook find as the present session: what they hand back goes into a drawer.

The drawer is a folder; values are in it as codec text, bytes under their hashes. Nothing is pickled.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.errors import PipelineInvalid
from ..core.hashing import hash_bytes
from .codecs import Encoder, Remembered, to_text
from .step import Step

GIVEN, POINTS, ARTIFACTS, BLOBS = "given.jsonl", "points.jsonl", "artifacts.jsonl", "blobs"


class NotebookSession:
    """The session that cells of a notebook find."""

    def __init__(self, drawer: Path) -> None:
        self._drawer = drawer
        (drawer / BLOBS).mkdir(exist_ok=True)

    def call(self, step: Step[Any, Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Call it as a function: it is part of the notebook."""
        return step.function(*args, **kwargs)

    def map(
        self, step: Step[Any, Any], items: Sequence[Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> list[Any]:
        """Call it once per item."""
        return [step.function(item, *args, **kwargs) for item in items]

    def ask(self, name: str, question: str, choices: Sequence[str]) -> str:  # noqa: ARG002 - the protocol's
        """Refuse: a notebook cannot wait for a person."""
        raise PipelineInvalid(f"ask({name!r}) was called in a notebook.", hint="Ask in the pipeline, and pass it on.")

    def log(self, name: str, value: float, step: int | None) -> None:
        """Record a metric."""
        self._append(POINTS, [name, value, step])

    def artifact(self, name: str, data: bytes) -> None:
        """Keep bytes."""
        self._append(ARTIFACTS, [name, self._put(data)])

    def hand_back(self, name: str, value: Any) -> None:
        """Keep a value for whoever called the notebook."""
        node = Encoder(self._put, Remembered(), stores=True, types=set()).encode(value, name)
        self._append(GIVEN, [name, to_text(node).decode()])

    def _put(self, data: bytes) -> str:
        digest = hash_bytes(data)
        (self._drawer / BLOBS / digest).write_bytes(data)
        return digest

    def _append(self, file: str, entry: list[Any]) -> None:
        with (self._drawer / file).open("a", encoding="utf-8") as out:
            out.write(json.dumps(entry) + "\n")
