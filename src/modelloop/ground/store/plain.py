"""The facts of a SQLite store, through Python's own driver: for a process that must begin and end within milliseconds.

The same file, the same tables and the same promises as `db.Database` (one writing transaction, begun IMMEDIATE),
without what it costs to load SQLAlchemy. Only statements that a process makes by the hundred, or before it has done
anything else, are written for it.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..core.errors import StoreUnavailable
from ..core.records import Actor, Event
from .chain import Head, next_entry
from .revisions import revisions

BUSY_SECONDS = 30.0
_SCHEME = "sqlite:///"


class PlainFacts:
    """One connection to the facts. Thread-safe: one thread at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        with self._answering():
            self._connection = sqlite3.connect(
                path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            # as `db` has it: nothing is lost when a process is killed; after a loss of power the last commits may be
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.execute("PRAGMA foreign_keys=ON")
        self._connection.row_factory = sqlite3.Row

    @contextmanager
    def transaction(self) -> Iterator[PlainFacts]:
        """Open a writing transaction: committed at the end, rolled back on any exception."""
        with self._lock:
            self.run("BEGIN IMMEDIATE")
            try:
                yield self
                self.run("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # a full disk makes SQLite roll back by itself
                    self.run("ROLLBACK")
                raise

    def run(self, statement: str, values: Mapping[str, Any] | Sequence[Any] = ()) -> int:
        """Run a statement; return how many rows it changed."""
        with self._lock, self._answering():
            return self._connection.execute(statement, values).rowcount

    def run_many(self, statement: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run a statement once per row."""
        with self._lock, self._answering():
            self._connection.executemany(statement, rows)

    def rows(self, statement: str, values: Mapping[str, Any] | Sequence[Any] = ()) -> list[sqlite3.Row]:
        """Return all rows."""
        with self._lock, self._answering():
            return self._connection.execute(statement, values).fetchall()

    def row(self, statement: str, values: Mapping[str, Any] | Sequence[Any] = ()) -> sqlite3.Row | None:
        """Return the first row, or None."""
        with self._lock, self._answering():
            found: sqlite3.Row | None = self._connection.execute(statement, values).fetchone()
            return found

    def append_audit(self, actor: Actor, at: datetime, event: Event) -> None:
        """Chain an event to the audit log, as `audit.append` does: the last thing of a transaction."""
        known = self.row("SELECT seq, hash FROM audit_head")
        head = Head() if known is None else Head(known["seq"], known["hash"])
        made = next_entry(head, at, actor, event)
        self.run(
            'INSERT INTO audit (seq, at, actor, role, action, subject, detail, "before", hash)'
            " VALUES (:seq, :at, :actor, :role, :action, :subject, :detail, :before, :hash)",
            {
                **{name: getattr(made, name) for name in type(made).__slots__},
                "at": as_time(made.at),
                "detail": json.dumps(made.detail),
            },
        )
        if known is None:
            self.run("INSERT INTO audit_head (id, seq, hash) VALUES (1, ?, ?)", (made.seq, made.hash))
        else:
            self.run("UPDATE audit_head SET seq = ?, hash = ?", (made.seq, made.hash))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise StoreUnavailable(
                f"The database {self.path} does not answer: {error}.",
                hint="Is there space, may you write there, does another process hold it?",
            ) from error


def open_plain(database_url: str) -> PlainFacts | None:
    """Return the facts of a SQLite store that exists and has this program's schema; None for any other store."""
    path = file_of(database_url)
    if path is None or not path.is_file():
        return None
    facts = PlainFacts(path)
    try:
        found = facts.row("SELECT version_num FROM alembic_version")
    except StoreUnavailable:  # an empty file, or no store of ours: whoever migrates will tell
        found = None
    if found is None or found["version_num"] != revisions()[-1]:
        facts.close()
        return None
    return facts


def file_of(database_url: str) -> Path | None:
    """Return the file of a SQLite URL; None for other engines, and for a database in memory."""
    path = database_url.removeprefix(_SCHEME).partition("?")[0]
    if not database_url.startswith(_SCHEME) or not path or path == ":memory:":
        return None
    return Path(path)


def as_time(moment: datetime | None) -> str | None:
    """Return a time as SQLAlchemy writes it: UTC, without its zone."""
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone; Modelloop stores aware UTC times only")
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def read_time(text: str | None) -> datetime | None:
    """Return a time that was written so."""
    return None if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC)
