"""Nouns of preparation: what a transform takes in, and the columns it is applied to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

from ..ground.core.later import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt


class Datatype(StrEnum):
    """Types of input columns, as the Open Inference Protocol names them."""

    BYTES = "BYTES"
    FP64 = "FP64"
    INT64 = "INT64"
    BOOL = "BOOL"


@dataclass(frozen=True, slots=True)
class InputColumn:
    """One raw column that a model is asked with."""

    name: str
    datatype: Datatype
    nullable: bool = False
    raw: bool = False
    """BYTES that are no text but any bytes, such as a picture's file: as they are, or as base64 where JSON is sent."""


FEATURES = "features"
"""Name of a graph's input that takes the prepared matrix."""

Columns: TypeAlias = "Mapping[str, npt.NDArray[Any]]"
"""Raw columns by name, one dimension, equal length: float64 (NaN: missing), int64, bool, or object (str, bytes
or None). Where a model takes tensors: arrays of any number of dimensions, rows first."""

Matrix: TypeAlias = "npt.NDArray[np.float32]"
"""Prepared features, rows x features: what a model is trained on and served with."""
