"""Rows of a PostgreSQL database, in a read-only transaction, streamed by ADBC (COPY in binary, 16 MB at a time)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlunsplit

from ...ground.core.errors import ExtraMissing
from ...ground.core.later import polars as pl
from ..sources.query import split, typed
from ..sources.secrets import Credentials
from . import arrow

CONNECT_SECONDS = 10
_LAST = "modelloop.last"


class Away(Exception):
    """The server did not answer, or did not let us in."""


def address(url: str, credentials: Credentials) -> str:
    """Return the URL with user and password in it: never to be shown."""
    parts = split(url)
    user = credentials.get("user") or (unquote(parts.username) if parts.username else None)
    password = credentials.get("password")
    who = "" if user is None else quote(user, safe="")
    who += "" if password is None else ":" + quote(password, safe="")
    place = parts.netloc.rpartition("@")[2]
    options = "&".join(filter(None, (parts.query, urlencode({"connect_timeout": CONNECT_SECONDS}))))
    return urlunsplit(("postgresql", f"{who}@{place}" if who else place, parts.path, options, ""))


def rows(target: str, statement: str, last: Any, seconds: float, *, numerics: set[str]) -> Iterator[pl.DataFrame]:
    """Yield the answer in small frames, at least one. Raises Away, or ValueError with what the server says.

    `last` is bound as a setting of the transaction, for COPY takes no parameters: the statement has `place_of(last)`
    where it belongs. The names of numeric columns, which come as text, are added to `numerics`.
    """
    try:
        from adbc_driver_postgresql import dbapi  # type: ignore[import-untyped] # noqa: PLC0415 - optional
    except ImportError as error:
        hint = 'pip install "modelloop[sql]"'
        raise ExtraMissing("PostgreSQL is read by ADBC, which is not installed.", hint=hint) from error
    try:
        connection = dbapi.connect(target)
    except dbapi.Error as error:
        raise Away(str(error)) from None
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            cursor.execute(f"SET LOCAL statement_timeout = {int(seconds * 1000)}")
            cursor.execute("SET LOCAL TIME ZONE 'UTC'")
            if last is not None:
                cursor.execute(f"SELECT set_config('{_LAST}', $1, true)", (typed(last)[0],))
            cursor.execute(statement)
            yield from _frames(cursor.fetch_arrow(), numerics)
    except dbapi.Error as error:
        raise ValueError(str(error)) from None
    finally:
        connection.close()


def place_of(last: Any) -> str:
    """Return the expression that stands for the bound value."""
    return f"current_setting('{_LAST}')::{typed(last)[1]}"


def _frames(handle: arrow.Handle, numerics: set[str]) -> Iterator[pl.DataFrame]:
    columns = arrow.schema_of(handle)
    names = [name for name, _ in columns]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"the query answers with two columns called {twice!r}; name them apart with AS")
    odd = [name for name, kind in columns if kind.startswith("ti")]
    if odd:
        raise ValueError(f"the column {odd[0]!r} is an interval; make it text or a number in the query")
    empty = True
    for frame in arrow.batches(handle):
        empty = False
        numerics.update(name for name, kind in frame.schema.items() if '"numeric"' in str(kind))
        yield frame.with_columns(_plain(name, frame.schema[name], kind) for name, kind in columns)
    if empty:
        yield pl.DataFrame(schema=dict.fromkeys(names, pl.Null))


def _plain(name: str, found: pl.DataType, kind: str) -> pl.Expr:
    """Return a column as a type that files have too: numerics and JSON as text, arrays as JSON, a UUID as written."""
    column = pl.col(name)
    if isinstance(found, pl.BaseExtension):
        return column.ext.storage()
    if found.is_nested():
        told = pl.struct(column.alias("x")).struct.json_encode().str.strip_prefix('{"x":').str.strip_suffix("}")
        return pl.when(column.is_not_null()).then(told).alias(name)
    if kind == "w:16":
        digits = column.bin.encode("hex")
        cuts = ((0, 8), (8, 4), (12, 4), (16, 4), (20, 12))
        return pl.concat_str([digits.str.slice(*cut) for cut in cuts], separator="-").alias(name)
    return column
