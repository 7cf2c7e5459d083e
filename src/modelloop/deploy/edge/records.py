"""Nouns of edge bundles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FORM = 1
FORM_OF_KINDS = 2
"""Of a manifest with inputs of the kinds `moment` or `hashed`: runtimes before them refuse it."""
MISSING = "\u0001missing\u0001"
"""Stands in a string tensor where a value is missing: ONNX knows no missing text."""
MANIFEST, SIGNATURE, PUBLIC = "manifest.json", "manifest.sig", "edge-key.pub"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be built."""

    version: str
    """`model:number`"""
    to: Path
    int8: bool = False
    measure: str = ""
    """NAME, NAME:VERSION or NAME:TAG of a dataset on which quality is measured, before and after int8."""
    web: Path | None = None
    """An unpacked onnxruntime-web; the bundle becomes a page."""


@dataclass(frozen=True, slots=True)
class Moment:
    """How a runtime reads a date or time: ISO 8601 text, or numbers since 1970."""

    zone: str
    """Whose clock a text without an offset means."""
    unit: str
    """Of numbers: s, ms, us."""
    wall: bool
    """Microseconds as the zone's clocks show them; else in UTC."""


@dataclass(frozen=True, slots=True)
class Buckets:
    """How a runtime hashes a value (`prepare.ops.hashed`)."""

    buckets: int
    seed: int


@dataclass(frozen=True, slots=True)
class Input:
    """What a device gives, and the graph's tensor that takes it."""

    name: str
    tensor: str
    datatype: str
    kind: str
    """`column`: one value a row, as float64 or string; `moment`: a date or time, as microseconds since 1970 (int64);
    `hashed`: the bucket of a value's CRC-32, as float64; `tensor`: as the graph takes it."""
    nullable: bool = False
    shape: tuple[int, ...] = (-1,)
    only: tuple[str, ...] | None = None
    """The only values that are answered. None: any."""
    moment: Moment | None = None
    hashed: Buckets | None = None


@dataclass(frozen=True, slots=True)
class Graph:
    """One graph from raw values to all answers."""

    onnx: bytes = field(repr=False)
    inputs: tuple[Input, ...]
    prepared: tuple[Mapping[str, Any], ...] = ()
    """What the device itself does before (token ids, pixels): the facts of it."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """What it needs for that."""
    zones: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Time zones by which moments are read (`moments.zone_table`)."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A folder that was built, or verified."""

    folder: str
    version: str
    package: str
    size: int
    """Bytes of all its files."""
    files: int
    key: str
    """Public key (hex) by which it is signed."""
    trusted: bool
    """Was that key known beforehand? A key inside a bundle proves nothing."""
    manifest: Mapping[str, Any]
