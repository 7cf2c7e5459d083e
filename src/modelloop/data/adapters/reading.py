"""What is new at a source, whatever its kind: the one door that intake uses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...ground.core.errors import DataRefused
from ..settings import SourceKind, SourceSettings
from ..sources.secrets import Secrets
from .files import read_files
from .http import read_http
from .items import LONGEST_NAME, Asked, Item, Known, Reading, Rows
from .objects import read_objects
from .sql import read_sql
from .versions import read_dataset

__all__ = ["Item", "Reading", "read_new"]


def read_new(
    name: str,
    source: SourceSettings,
    *,
    root: Path,
    known: Known,
    cursor: Any | None,
    secrets: Secrets,
    dataset_rows: Rows,
) -> Reading:
    """Return what is new at the source: not known by name and content, and beyond `cursor` where it has one.

    `known` has, by name, what was taken in before; `cursor` is what `cursor_after` said of the reading taken in last.
    Raises NotFound, DataRefused, StoreUnavailable, AddressRefused or InvalidInput; no message carries a secret.
    """
    reading = _read(Asked(name, source, root, known, cursor, secrets), dataset_rows)
    for taken in (one for item in reading.items for one in item.all_taken):
        if len(taken.name) > LONGEST_NAME:
            raise DataRefused(
                f"{taken.name} in the source {name!r} has a name of {len(taken.name)} characters; "
                f"at most {LONGEST_NAME} are kept.",
                hint="Rename it, or move it to a folder nearer to the source's own.",
            )
    return reading


def _read(asked: Asked, dataset_rows: Rows) -> Reading:
    source = asked.source
    match source.kind:
        case SourceKind.FILES:
            return read_files(asked)
        case SourceKind.SQL:
            return read_sql(asked)
        case SourceKind.OBJECTS:
            return read_objects(asked)
        case SourceKind.HTTP:
            return read_http(asked)
        case SourceKind.DATASET:
            return read_dataset(asked, dataset_rows)
