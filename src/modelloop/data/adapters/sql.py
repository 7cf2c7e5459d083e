"""The rows of a query, fetched in one read-only transaction and kept until they are taken in."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from urllib.parse import unquote

from ...ground.core.errors import DataRefused, InvalidInput, ModelloopError, NotFound, StoreUnavailable
from ...ground.core.later import polars as pl
from ..records import Taken
from ..settings import Mode
from ..sources.query import beyond, from_json, secret_in, split, statement_of, to_json
from ..sources.secrets import Credentials
from . import postgres, sqlite
from .answers import Answer
from .items import Asked, Item, Reading

SECONDS = 1800.0
"""That a query may take."""


def read_sql(asked: Asked) -> Reading:
    """Return the query's answer as one item; none if it is known, or if nothing is beyond the cursor."""
    source = asked.source
    credentials = asked.secrets.of(asked.name, source.secrets)
    answer = _answer(asked, credentials)
    cursor = asked.cursor
    if source.cursor is not None:
        if answer.missing:
            raise DataRefused(
                f"{answer.missing} rows of the source {asked.name!r} have no value in its cursor {source.cursor!r}.",
                hint="They would be taken in once and never again; leave them out in the query, or fill the column.",
            )
        if not answer.rows:
            return Reading([], cursor)
        cursor = to_json(answer.last, source.cursor)
    name = f"{answer.content[:8]}-{asked.name}" if source.mode is Mode.APPEND else asked.name
    taken = Taken(name, answer.content, answer.size, 0)
    return Reading([] if asked.knows(taken) else [Item(name, taken, answer.batches)], cursor)


def _answer(asked: Asked, credentials: Credentials) -> Answer:
    """Ask; raise what went wrong without what it came from, for that may carry the password."""
    error: ModelloopError
    try:
        numerics: set[str] = set()
        answer = Answer(_frames(asked, credentials, numerics), asked.source.cursor)
        if asked.source.cursor in numerics and answer.last is not None:
            answer.last = Decimal(answer.last)
        return answer
    except postgres.Away as away:
        error = _said(asked, StoreUnavailable, "cannot be reached", _first(credentials, away))
    except (
        sqlite3.Error,
        ValueError,
        TimeoutError,
        pl.exceptions.PolarsError,
        pl.exceptions.PanicException,
    ) as refused:
        error = _said(asked, DataRefused, "was refused by its database", _first(credentials, refused))
    raise error


def _said(asked: Asked, kind: type[ModelloopError], what: str, told: str) -> ModelloopError:
    hint = "Mend its query, or CAST a column there; the query is run as a sub-query of a SELECT, read only."
    if kind is StoreUnavailable:
        hint = "Is the server up, and are url, user and password right?"
    return kind(f"The source {asked.name!r} {what}: {told}.", hint=hint)


def _first(credentials: Credentials, error: Exception) -> str:
    """Return what a driver says in a line, without secrets."""
    lines = [line.strip() for line in credentials.redacted(str(error)).splitlines() if line.strip()]
    told = " ".join(lines[:1]) or type(error).__name__
    return (told.partition("ERROR:")[2] or told).strip().rstrip(".")[:300]


def _frames(asked: Asked, credentials: Credentials, numerics: set[str]) -> Iterator[pl.DataFrame]:
    source = asked.source
    url, statement, last = source.url or "", statement_of(source.query or ""), from_json(asked.cursor)
    if source.cursor is None:
        last = None
    found = secret_in(url)
    if found:
        raise ValueError(f"its url holds {found}; use `secrets`")
    if url.startswith("sqlite:"):
        placed = beyond(statement, source.cursor, None if last is None else "?")
        return sqlite.rows(_file(asked, url), placed, last, SECONDS)
    if split(url).scheme not in ("postgresql", "postgres"):
        raise InvalidInput(
            f"The url of the source {asked.name!r} is neither sqlite:///FILE nor postgresql://HOST/NAME."
        )
    placed = beyond(statement, source.cursor, None if last is None else postgres.place_of(last))
    return postgres.rows(postgres.address(url, credentials), placed, last, SECONDS, numerics=numerics)


def _file(asked: Asked, url: str) -> Path:
    path = asked.root / unquote(split(url).path.removeprefix("/"))
    if not path.is_file():
        raise NotFound(f"The source {asked.name!r} reads {path}, which is not there.", hint="Mend its url.")
    return path
