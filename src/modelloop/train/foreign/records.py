"""What goes into the child process, and what comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...prepare.records import InputColumn

TOLERANCE = 1e-5
"""Difference that is still the same answer, relative to answers larger than 1: graphs compute in single precision."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor of a signature: name (empty: the model's only one), type as the protocol names it, shape."""

    name: str
    datatype: str
    shape: tuple[int, ...]


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
    tensors: tuple[Tensor, ...] = ()
    """What its signature asks for, where that are no columns."""


@dataclass(frozen=True, slots=True)
class Converted:
    """What came out. The graph itself is a file beside it; `refusal` says why there is none."""

    refusal: str = ""
    hint: str = ""
    inputs: tuple[InputColumn, ...] = ()
    columns: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """The sample that was asked: the input example, or rows drawn from the signature."""
    expected: tuple[float | tuple[float, ...], ...] = ()
    """What the model itself answers to the sample: its headline."""
    output: str = "score"
    """Name of the headline."""
    outputs: Mapping[str, tuple[str, tuple[int, ...]]] = field(default_factory=dict)
    """All outputs: datatype, and shape of one row."""
    labels: tuple[str, ...] = ()
    """Names of the classes, where the headline is a row of probabilities."""
    words: tuple[str, ...] = ()
    """Words that were answered, where the headline is the place of one."""
    tensors: tuple[Tensor, ...] = ()
    """What it is asked with, where that are no columns."""
    numbered: bool = False
    """Its labels are whole numbers."""
    kind: str = "onnx"
    """How it is served: onnx, or in a process of its own by the library that it needs (`Served.kind`)."""
    platform: str = "onnx_onnxv1"
    reason: str = ""
    """Why it was not served as ONNX."""
    largest: float = 0.0
    drawn: bool = False
    """The sample was drawn, not given."""
    note: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
