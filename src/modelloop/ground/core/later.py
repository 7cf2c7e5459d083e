"""What is loaded at its first use: numpy and Polars, and names of packages that few processes need.

Whoever only looks (control, the command line) needs neither of the two installed.

Every room writes `from ...ground.core.later import numpy as np, polars as pl` where it would import them. Types are for
the checker alone: aliases of arrays are written as text (`Floats: TypeAlias = "npt.NDArray[np.float64]"`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from .errors import ExtraMissing


class Later(ModuleType):
    """A module that is imported when something of it is asked for; ExtraMissing names the extra that brings it."""

    def __init__(self, name: str, extra: str) -> None:
        super().__init__(name)
        self.__dict__["_extra"] = extra

    def __getattr__(self, name: str) -> Any:
        """Import the module, and keep what was asked for: the next look finds it here."""
        found = getattr(needed(self.__name__, self.__dict__["_extra"]), name)
        self.__dict__[name] = found
        return found


def needed(name: str, extra: str) -> ModuleType:
    """Return the module `name`; raises ExtraMissing with the command that installs it."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != name.partition(".")[0]:
            raise
        raise ExtraMissing(
            f"This needs {name}, which is not installed.", hint=f"Install it: pip install 'modelloop[{extra}]'."
        ) from error


def on_demand(package: str, homes: Mapping[str, Sequence[str]]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package some of whose names are loaded when they are first asked for, and kept.

    `homes`: module, as seen from the package (`.reading`), and the names that are there.
    """
    found_in = {name: module for module, names in homes.items() for name in names}

    def get(name: str) -> Any:
        if name not in found_in:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found = getattr(import_module(found_in[name], package), name)
        setattr(sys.modules[package], name, found)
        return found

    return get


if TYPE_CHECKING:
    import numpy as numpy  # noqa: PLC0414 - given on
    import polars as polars  # noqa: PLC0414 - as above
else:
    numpy = Later("numpy", "data")
    polars = Later("polars", "data")
