"""What goes into the child process, and what comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...prepare.records import InputColumn

TOLERANCE = 1e-5
"""Difference that is still the same answer, relative to answers larger than 1: graphs compute in single precision."""


@dataclass(frozen=True, slots=True)
class Job:
    """A model to be converted."""

    flavor: str
    data: str
    """Path of its file or folder, from the folder's root."""
    settings: Mapping[str, str]
    inputs: tuple[InputColumn, ...] | None
    width: int | None
    example: str
    pickle: bool
    """Whether a person allowed its pickle to be read."""
    tolerance: float = TOLERANCE


@dataclass(frozen=True, slots=True)
class Converted:
    """What came out. The graph itself is a file beside it; `refusal` says why there is none."""

    refusal: str = ""
    hint: str = ""
    inputs: tuple[InputColumn, ...] = ()
    columns: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """The sample that was asked: the input example, or rows drawn from the signature."""
    expected: tuple[float, ...] = ()
    """What the model itself answers to the sample."""
    largest: float = 0.0
    drawn: bool = False
    """The sample was drawn, not given."""
    note: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
