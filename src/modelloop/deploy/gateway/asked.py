"""What every face of the gateway turns a request into, and what it gets back: free of HTTP, gRPC and JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ...register.records import Signature

if TYPE_CHECKING:
    import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Tensor:
    """One input as it was sent."""

    name: str
    datatype: str
    """As the protocol says it: FP32, BYTES, ..."""
    shape: tuple[int, ...]
    values: list[Any] | npt.NDArray[Any]
    """Flat, in row-major order. An array where it came as raw bytes; BYTES: a list of str (or bytes, if no UTF-8)."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """An output that the caller named."""

    name: str
    binary: bool = False
    classification: int = 0
    """The k best classes as `value:index:label` in place of the numbers; 0: the numbers."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request whose form is right; whether the values are is decided per version."""

    id: str | None
    event_time: datetime | None
    rows: int
    tensors: Mapping[str, Tensor]
    wanted: tuple[Wanted, ...] = ()
    """Empty: all outputs."""
    binary: bool = False
    """Outputs that were not named are wanted as raw bytes."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    explain: bool = False
    """Contributions of the inputs to each score are wanted too."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What goes back to the caller, once its record is in the log."""

    endpoint: str
    version: str
    """`model:number`"""
    signature: Signature
    prediction: str
    id: str | None
    """The caller's own, to be echoed."""
    outputs: Mapping[str, npt.NDArray[Any]]
    """Every output of the version; the faces pick what was wanted. The first size of each is the number of rows."""
    explained: Mapping[str, Any] | None = None
    """`{"base": [...], "contributions": {input: [...]}}`, a number a row: base + all contributions = score."""
