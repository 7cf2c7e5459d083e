"""What is said of a model that answers in a process of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...ground.core.errors import ModelloopError
from ...prepare.records import InputColumn

MEMORY = 2 << 30


class Gone(ModelloopError):
    """The process in which a model answers has ended, hangs, or is being started anew."""

    status = 503


@dataclass(frozen=True, slots=True)
class Served:
    """How a model is answered with outside: what `runtime.json` of its package holds, and what its process is told."""

    kind: str
    """lightgbm, xgboost, skops, torch: a format that holds no code. python: reading it can run anything."""
    flavor: str
    """Which of `train.adapters.foreign` reads it."""
    data: str
    """Path of its file or folder, from the folder's root."""
    settings: Mapping[str, str]
    inputs: tuple[InputColumn, ...]
    output: str
    """Name of the headline."""
    outputs: Mapping[str, tuple[str, tuple[int, ...]]]
    """All outputs: datatype, and shape of one row. The headline is one of them."""
    words: tuple[str, ...] = ()
    """Words it answers: the headline is the place of the word in this list (-1: another one)."""
    pickle: bool = False
    allowed_by: str = ""
    """Who allowed its pickle to be read."""
    files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Path -> hashes of its pieces, in order."""
    platform: str = "python"
    interpreter: str = ""
    """Another Python, in which Modelloop and the model's libraries are installed. Empty: the one that asks."""
    memory: int = MEMORY
    """Bytes: a process that takes more is ended."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a model's process may take."""

    answer_seconds: float = 10.0
    """After which a call counts as hanging; the process is ended."""
    start_seconds: float = 120.0
    memory: int = 0
    """Bytes at which it is ended. 0: as its package says."""
    growth: int = 512 << 20
    """Bytes by which it may grow after it has begun to answer; then another process takes its place, unnoticed."""
    threads: int = 1
    beat_seconds: float = 1.0
    """How often it is looked at."""
