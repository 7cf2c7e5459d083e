"""What every loaded foreign model can do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from ....ground.core.errors import InvalidInput
from ....ground.core.later import numpy as np
from ....ground.core.later import polars as pl
from ....prepare.records import Columns, Datatype, InputColumn

if TYPE_CHECKING:
    import numpy.typing as npt

MATRIX = "columns"
"""Name of the one input of a graph that takes all columns as a matrix."""
Inputs: TypeAlias = tuple[InputColumn, ...]


@dataclass(frozen=True, slots=True)
class Given:
    """The file or folder to be loaded, what its MLmodel says of it, and whether a pickle may be read."""

    path: Path
    settings: Mapping[str, str]
    pickle: bool


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model in its own library."""

    answer: Callable[[Columns, Inputs], npt.NDArray[Any]]
    """What `pyfunc.predict` would answer."""
    graphs: Callable[[Columns, Inputs], Iterator[bytes]]
    """Ways to write it as ONNX, the best first; one that fails raises, and the next is tried."""
    width: int | None = None
    """How many columns it was trained on, if it knows."""
    names: tuple[str, ...] | None = None
    note: str = ""
    """What a reader of the card should know."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Libraries that were asked, with their versions."""
    kind: str = "python"
    """A format that holds no code (lightgbm, xgboost, skops, torch); `python`: reading it can run anything."""
    platform: str = "python"
    """Library and format, as the protocol's metadata names it."""
    classes: Sequence[Any] = ()
    """Of a classifier, in the order of its probabilities."""
    probabilities: Callable[[Columns, Inputs], npt.NDArray[Any]] | None = None
    """Where it knows how probable each class is: [rows, classes]."""


def matrix(columns: Columns, inputs: Inputs, kind: str = "float64") -> npt.NDArray[Any]:
    """Return number columns side by side."""
    strings = [one.name for one in inputs if one.datatype is Datatype.BYTES]
    if strings:
        raise InvalidInput(f"The model takes numbers; its signature has strings: {', '.join(strings[:5])}.")
    return np.stack([columns[one.name].astype(kind) for one in inputs], axis=1)


def frame(columns: Columns, inputs: Inputs) -> Any:
    """Return the columns as what pyfunc hands over: pandas where it is installed, otherwise Polars."""
    made = {one.name: columns[one.name].tolist() for one in inputs}
    try:
        pandas = import_module("pandas")  # of the environment that the model came from; Modelloop does without
    except ModuleNotFoundError:
        return pl.DataFrame(made)
    return pandas.DataFrame(made)


def need_pickle(given: Given, what: str) -> None:
    """Raise InvalidInput unless a person allowed the pickle to be read."""
    if not given.pickle:
        raise InvalidInput(
            f"{what} is a pickle: reading it runs whatever was written into it.",
            hint="Look where it comes from; then `modelloop models convert MODEL:NUMBER --allow-pickle`.",
        )
