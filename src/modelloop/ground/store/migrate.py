"""Bring a store's schema to this version's, whoever comes first: any number of processes may start at once.

One process migrates in one transaction, the others wait in line and then find the work done. A store that is at the
head already costs two queries; Alembic is not even imported then.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ..core.errors import SchemaNewer
from .db import Database, metadata
from .revisions import FOLDER, revisions

_LOCK = 0x6D6C6D69  # "mlmi": PostgreSQL advisory lock of the schema


def migrate(db: Database) -> None:
    """Bring the schema to the newest revision; raise SchemaNewer where the store is ahead of this program."""
    with db.reading() as connection:
        if _at_head(connection):
            return
    with _alone(db) as connection:
        if not _at_head(connection):
            _upgrade(connection)


def revision(connection: Connection) -> str | None:
    """Return the revision the store is at, or None for an empty store."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()


def _at_head(connection: Connection) -> bool:
    known, found = revisions(), revision(connection)
    if found is not None and found not in known:
        raise SchemaNewer(
            f"The database is at schema revision {found!r}; this Modelloop knows {known[0]} to {known[-1]}.",
            hint="Install the Modelloop that migrated it, or a newer one.",
        )
    return found == known[-1]


@contextmanager
def _alone(db: Database) -> Iterator[Connection]:
    """Open a transaction that no other migration runs beside."""
    if db.is_sqlite:
        with _file_lock(db.url.database), db.transaction() as connection:
            yield connection
    else:
        with db.transaction() as connection:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
            yield connection


@contextmanager
def _file_lock(database: str | None) -> Iterator[None]:
    """Wait for the lock beside the database file; the system lets go of it when its holder dies."""
    if not database or database == ":memory:":
        yield
        return
    with Path(f"{database}.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _upgrade(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415 - .2 s that only an outdated store pays
    from alembic.config import Config  # noqa: PLC0415 - a schema that is current needs no Alembic

    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    config.attributes["metadata"] = metadata
    command.upgrade(config, "head")
