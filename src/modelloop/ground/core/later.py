"""numpy and Polars, loaded at their first use: whoever only looks (control, the command line) needs neither installed.

Every room writes `from ...ground.core.later import numpy as np, polars as pl` where it would import them. Types are for
the checker alone: aliases of arrays are written as text (`Floats: TypeAlias = "npt.NDArray[np.float64]"`).
"""

from __future__ import annotations

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


if TYPE_CHECKING:
    import numpy as numpy  # noqa: PLC0414 - given on
    import polars as polars  # noqa: PLC0414 - as above
else:
    numpy = Later("numpy", "data")
    polars = Later("polars", "data")
