"""Models that are asked with whole tensors: nothing is prepared, and what a request brings is what the graph gets."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..ground.core.errors import InvalidInput
from ..ground.core.hashing import canonical_json, hash_bytes
from ..ground.core.later import numpy as np
from .records import Columns, InputColumn, Matrix
from .transform import FORM, FittedTransform

if TYPE_CHECKING:
    import numpy.typing as npt

TYPES = {
    "BOOL": "bool",
    **{f"{sign.upper()}INT{bits}": f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
    "BYTES": "object",
}
"""numpy's names of the protocol's types."""


@dataclass(frozen=True, slots=True)
class TensorInput:
    """One tensor that a model is asked with: its name, type and shape; the first size is -1, the number of rows."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(int(size) for size in self.shape))
        if self.datatype not in TYPES or not self.shape or self.shape[0] != -1 or not self.name:
            raise InvalidInput(
                f"The tensor {self.name!r} is {self.datatype} {list(self.shape)}.",
                hint=f"Expected a name, one of {', '.join(TYPES)}, and a shape that begins with -1, the rows.",
            )


@dataclass(frozen=True, slots=True)
class Tensors:
    """Stands where a transform stands, for a model that takes tensors as they are: in a candidate and in its package.

    Of a frame a tensor is a column of lists (`pl.Array`), one for each row.
    """

    given: tuple[TensorInput, ...]
    digest: str = field(init=False, compare=False)

    def __init__(self, given: Sequence[TensorInput]) -> None:
        if not given or len({one.name for one in given}) < len(given):
            raise InvalidInput("A model takes at least one tensor, each of another name.")
        object.__setattr__(self, "given", tuple(given))
        object.__setattr__(self, "digest", hash_bytes(self.to_bytes()))

    @property
    def inputs(self) -> tuple[InputColumn, ...]:
        """Return nothing: it reads no columns of one value a row."""
        return ()

    @property
    def names(self) -> tuple[str, ...]:
        """Return nothing: it makes no features."""
        return ()

    @property
    def tensors(self) -> tuple[str, ...]:
        """Return the tensors' names."""
        return tuple(one.name for one in self.given)

    @property
    def moments(self) -> tuple[str, ...]:
        """Return the tensors' names: no profile is kept of them."""
        return self.tensors

    def apply(self, columns: Columns) -> Matrix:  # noqa: ARG002 - the seam's signature
        """Raise InvalidInput: there is no matrix."""
        raise InvalidInput("A model that takes tensors has no matrix of features.", hint="Take feeds(...).")

    def feeds(self, columns: Columns) -> dict[str, npt.NDArray[Any]]:
        """Return the tensors in their types; raises InvalidInput for one that is missing or has another shape."""
        return {one.name: _fed(one, columns) for one in self.given}

    def to_bytes(self) -> bytes:
        """Return the canonical JSON."""
        listed = [{"name": one.name, "datatype": one.datatype, "shape": list(one.shape)} for one in self.given]
        return canonical_json({"form": FORM, "tensors": listed})

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Tensors:
        """Read what `to_bytes` wrote."""
        try:
            return cls([TensorInput(str(one["name"]), str(one["datatype"]), one["shape"]) for one in body["tensors"]])
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput(f"The tensors' JSON is not of the form it must have: {error!r}") from error


def read_transform(data: bytes) -> FittedTransform | Tensors:
    """Read `transform.json`, whichever of the two wrote it; raises InvalidInput."""
    try:
        body = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"The transform is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise InvalidInput("The transform's JSON is not an object.")
    return Tensors.from_json(body) if "tensors" in body else FittedTransform.from_json(body)


def _fed(one: TensorInput, columns: Columns) -> npt.NDArray[Any]:
    if one.name not in columns:
        raise InvalidInput(f"The tensor {one.name!r} is missing.")
    found = columns[one.name]
    sizes = zip(found.shape, one.shape, strict=False)
    if found.ndim != len(one.shape) or any(size not in (-1, there) for there, size in sizes):
        raise InvalidInput(
            f"The tensor {one.name!r} has the shape {list(found.shape)}.", hint=f"Expected {list(one.shape)}."
        )
    return np.ascontiguousarray(found, dtype=TYPES[one.datatype])
