"""A look at what is not a source yet: its first rows, for a first contract."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from ...ground.core.errors import InvalidInput, NotFound
from ...ground.core.later import polars as pl
from ..adapters.reading import read_new
from ..settings import Format, SourceKind, SourceSettings
from ..sources.secrets import Secrets

_NAME = "infer"
_ENDINGS: Mapping[str, Format] = {
    ".parquet": Format.PARQUET,
    ".pq": Format.PARQUET,
    ".csv": Format.CSV,
    ".jsonl": Format.JSONL,
    ".ndjson": Format.JSONL,
    ".json": Format.JSONL,
    ".xlsx": Format.EXCEL,
}
_KINDS: Mapping[str, SourceKind] = {
    **dict.fromkeys(("sqlite", "postgresql", "postgres"), SourceKind.SQL),
    **dict.fromkeys(("s3", "gs", "az", "file"), SourceKind.OBJECTS),
    **dict.fromkeys(("http", "https"), SourceKind.HTTP),
}


def proposed(
    place: str,
    *,
    query: str | None = None,
    format: Format | None = None,  # noqa: A002 - the word of the project file
    separator: str = ",",
    encoding: str = "utf-8",
    sheet: str | None = None,
    secrets: Mapping[str, str] | None = None,
) -> SourceSettings:
    """Return the source that a file, folder or URL would be; raises InvalidInput where that cannot be told."""
    scheme = urlsplit(place).scheme if "://" in place else ""
    if scheme and scheme not in _KINDS:
        raise InvalidInput(f"{scheme}:// is no kind of source.", hint=f"Expected a file, or {', '.join(_KINDS)}://...")
    kind = _KINDS.get(scheme, SourceKind.FILES)
    if kind is SourceKind.SQL and not query:
        raise InvalidInput("A database is asked with a query.", hint='For instance --query "select * from orders".')
    path = urlsplit(place).path if scheme else place
    return SourceSettings(
        dataset=_NAME,
        contract=_NAME,
        kind=kind,
        path=None if scheme else place,
        url=place if scheme else None,
        query=query,
        format=format or _format(path, kind),
        separator=separator,
        encoding=encoding,
        sheet=sheet,
        secrets=dict(secrets or {}),
    )


def first_rows(source: SourceSettings, *, root: Path, home: Path) -> pl.DataFrame:
    """Return the first batch of rows that a source has; raises NotFound where it has none, and what reading raises."""
    reading = read_new(
        _NAME, source, root=root, known={}, cursor=None, secrets=Secrets(os.environ, home), dataset_rows=_none
    )
    for item in reading.items:
        for frame in item.batches():
            return frame
    raise NotFound(
        f"There is nothing at {source.path or source.url}.", hint="Is it the right place, is --format right?"
    )


def _format(path: str, kind: SourceKind) -> Format:
    place = path.lower().removesuffix(".gz")
    found = next((form for ending, form in _ENDINGS.items() if place.endswith(ending)), None)
    if found is None and kind is SourceKind.FILES and Path(path).is_dir():
        names = sorted(one.name.lower() for one in Path(path).iterdir() if one.name[0] not in "._")
        found = next((form for name in names for end, form in _ENDINGS.items() if name.endswith(end)), None)
    if found is None and kind is not SourceKind.SQL:
        raise InvalidInput(
            f"{path[-80:]!r} does not end like a format that is known.",
            hint=f"Name it: --format {', '.join(Format)}. Endings: {', '.join(_ENDINGS)}.",
        )
    return found or Format.PARQUET


def _none(name: str) -> NoReturn:
    raise InvalidInput(f"{name!r} is a dataset; its contract is known.", hint=f"Try `modelloop data show {name}`.")
