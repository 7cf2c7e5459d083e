"""The one door to facts: SQLite (WAL) on a laptop, PostgreSQL for a team, one schema for both.

Each stage declares its tables on `metadata` in its own `tables.py`; nobody else runs SQL. An action opens exactly one
transaction. On SQLite a writing transaction begins IMMEDIATE, so a writer waits in line instead of failing half-way.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.pool import PoolProxiedConnection

from ..core.clock import utc
from ..core.errors import StoreUnavailable

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)
"""All tables of all stages. Declaring is the only thing done at import."""

BUSY_SECONDS = 30.0
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


class Time(sa.types.TypeDecorator[datetime]):
    """An aware UTC time. SQLite forgets zones; this gives them back."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times, store UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone; Modelloop stores aware UTC times only")
        value = utc(value)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Return aware UTC."""
        return None if value is None else utc(value)


JSON = sa.JSON().with_variant(JSONB(), "postgresql")
"""A JSON column: JSONB where there is one."""
MaybeJSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
"""A JSON column in which None is NULL, which takes no room, and not JSON's null."""

BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""An autoincrementing key on both engines."""


class Database:
    """A handle to facts. Thread-safe; do not share across fork: open a new one in the child.

    `url` is a SQLAlchemy URL: `sqlite:////path/facts.sqlite` or `postgresql+psycopg://...` (plain `postgresql://` is
    read as the latter). Raises StoreUnavailable for other engines.
    """

    def __init__(self, url: str) -> None:
        self.url = parse_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = self._open()
        self._reader = self.engine.execution_options(postgresql_readonly=True)

    def _open(self) -> Engine:
        if not self.is_sqlite:
            return sa.create_engine(self.url, pool_pre_ping=True, pool_size=5, max_overflow=10)
        if self.url.database and self.url.database != ":memory:":
            Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
        engine = sa.create_engine(self.url, isolation_level="AUTOCOMMIT", connect_args={"timeout": BUSY_SECONDS})
        sa.event.listen(engine, "connect", _prepare_sqlite)
        return engine

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Open the one writing transaction of an action: committed at the end, rolled back on any exception.

        Raises StoreUnavailable where the database does not answer, has no space, or its writer stays busy for
        BUSY_SECONDS.
        """
        with self._connect(self.engine) as connection, self._going_on():
            if not self.is_sqlite:
                with connection.begin():
                    yield connection
                return
            with self._answering():
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.exec_driver_sql("COMMIT")
            except BaseException:
                # a full disk makes SQLite roll back by itself
                if getattr(connection.connection.dbapi_connection, "in_transaction", False):
                    connection.exec_driver_sql("ROLLBACK")
                raise

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a connection for reads; never takes the writer's place. Writing on it fails on both engines."""
        with self._connect(self._reader) as connection:
            if not self.is_sqlite:
                yield connection
                return
            with self._answering():
                connection.exec_driver_sql("PRAGMA query_only=ON")
            try:
                yield connection
            finally:
                connection.exec_driver_sql("PRAGMA query_only=OFF")

    def driver(self) -> PoolProxiedConnection:
        """Return the driver's own connection, in autocommit, for a thread that writes all the time.

        It raises what the driver raises. Whoever takes it closes it, or calls `invalidate` after an error.
        """
        with self._answering():
            found = self.engine.raw_connection()
            if not self.is_sqlite:
                found.rollback()
                found.driver_connection.autocommit = True  # type: ignore[union-attr]
        return found

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    @contextmanager
    def _connect(self, engine: Engine) -> Iterator[Connection]:
        with self._answering():
            connection = engine.connect()
        with connection:
            yield connection

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except (sa.exc.DatabaseError, sa.exc.TimeoutError) as error:
            raise StoreUnavailable(
                f"The database {self.url.render_as_string()} does not answer: {_reason(error)}.",
                hint="Is it running, is there space, is MODELLOOP_DATABASE_URL right, does another process hold it?",
            ) from error

    @contextmanager
    def _going_on(self) -> Iterator[None]:
        """Say in words what ends a transaction in the middle: a full disk, a server that went away."""
        try:
            yield
        except sa.exc.OperationalError as error:
            raise StoreUnavailable(
                f"The database {self.url.render_as_string()} could not carry out a transaction: {_reason(error)}.",
                hint="Nothing of it was kept. Is there space, and does the server still run? Then repeat the command.",
            ) from error


def parse_url(url: str) -> URL:
    """Read the URL of a database; raises StoreUnavailable unless it names SQLite or PostgreSQL."""
    hint = "Use sqlite:///PATH or postgresql://USER@HOST/DATABASE."
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (sa.exc.ArgumentError, ValueError) as error:
        raise StoreUnavailable("The database URL cannot be read.", hint=hint) from error
    if backend not in ("sqlite", "postgresql"):
        raise StoreUnavailable(f"Facts cannot be kept in {backend!r}.", hint=hint)
    return parsed.set(drivername="postgresql+psycopg") if backend == "postgresql" else parsed


def _reason(error: Exception) -> str:
    return str(getattr(error, "orig", error)).strip().partition("\n")[0]


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    try:
        with closing(connection.cursor()) as cursor:
            cursor.execute(f"PRAGMA busy_timeout={int(BUSY_SECONDS * 1000)}")
            _switch_to_wal(cursor)
            # NORMAL loses nothing when a process is killed; after a loss of power the last transactions may be gone,
            # whole
            cursor.execute("PRAGMA synchronous=NORMAL")
            cursor.execute("PRAGMA foreign_keys=ON")
    except sqlite3.Error:
        connection.close()  # nobody else knows of it yet
        raise


def _switch_to_wal(cursor: Any) -> None:
    """Turn the write-ahead log on. Of several processes that do so on a new file at once, SQLite fails all but one."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return
