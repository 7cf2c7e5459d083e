"""Temporary files: what is too much for memory, for as long as it is needed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from ..ground.core.errors import StoreUnavailable
from ..ground.core.later import polars as pl


@contextmanager
def room(what: str) -> Iterator[None]:
    """Say in words that temporary files have no room; Polars says it in errors of its own."""
    try:
        yield
    except (OSError, pl.exceptions.ComputeError) as error:
        reason = (str(getattr(error, "strerror", None) or error).strip().splitlines() or ["no reason"])[0][:300]
        raise StoreUnavailable(
            f"{what} could not be kept in {tempfile.gettempdir()}: {reason}.",
            hint="Make room there, or name another folder by TMPDIR.",
        ) from error
