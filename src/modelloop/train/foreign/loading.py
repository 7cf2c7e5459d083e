"""Which file of `train.adapters.foreign` reads which flavor; each is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from ...ground.core.errors import InvalidInput

if TYPE_CHECKING:
    from ..adapters.foreign.form import Loaded

READERS = {
    "onnx": "onnx",
    "lightgbm": "lightgbm",
    "xgboost": "xgboost",
    "sklearn": "sklearn",
    "pytorch": "pytorch",
    "python_function": "pyfunc",
}


def load_foreign(flavor: str, folder: Path, data: str, settings: Mapping[str, str], *, pickle: bool) -> Loaded:
    """Load a model in its own library, in this process: only ever a child's; raises InvalidInput."""
    if flavor not in READERS:
        raise InvalidInput(
            f"Models of the flavor {flavor[:60]!r} cannot be read.", hint=f"Known: {', '.join(READERS)}."
        )
    adapter = import_module(f"modelloop.train.adapters.foreign.{READERS[flavor]}")
    form = import_module("modelloop.train.adapters.foreign.form")
    loaded: Loaded = adapter.load(form.Given(folder / data, settings, pickle))
    return loaded
