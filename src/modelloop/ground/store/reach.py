"""Which bytes are needed: every hash that stands anywhere in the facts, in documents, or within needed bytes.

Nobody has to say which columns refer to bytes: all text of all tables of the database is looked through, also of rooms
and columns that are added later. What merely remembers bytes (the audit log, lists of what was removed) is named here
and does not count. So a collection errs on one side only: it may keep what nobody needs.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ..core.errors import BlobMissing
from .blobs import Blobs
from .db import Database

REMEMBERED: Mapping[str, frozenset[str]] = {
    "audit": frozenset(),
    "audit_head": frozenset(),
    "data_unused": frozenset(),
    "data_erasure": frozenset(),
    "register_removed": frozenset(),
}
"""Tables that name bytes without needing them; an empty set: in all columns."""
HASH = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
LARGEST_LIST = 64 << 20
"""Bytes of one list of files that is looked through; larger ones are data, and data names no bytes but items."""
LARGEST_OTHER = 1 << 20
_LENGTH = 64


@dataclass(frozen=True, slots=True)
class Reach:
    """What is needed, and by what."""

    by: Mapping[str, str] = field(default_factory=dict)
    """Hash -> the first that was found to need it: `table.column`, `document NAME`, or `within HASH`."""

    def path(self, digest: str) -> list[str]:
        """Return why bytes are needed, from the bytes to the fact."""
        told: list[str] = []
        while digest in self.by and len(told) < 20:
            told.append(self.by[digest])
            digest = self.by[digest].removeprefix("within ")
        return told


def reach(db: Database, blobs: Blobs, stored: Mapping[str, int]) -> Reach:
    """Follow everything that is needed among the stored bytes (hash -> size)."""
    by: dict[str, str] = {}
    with db.reading() as connection:
        for where, digest in in_facts(connection):
            by.setdefault(digest, where)
    for name in blobs.documents():
        with suppress(BlobMissing):
            for digest in found_in(blobs.read_document(name)):
                by.setdefault(digest, f"document {name}")
    waiting = [digest for digest in by if digest in stored]
    while waiting:
        digest = waiting.pop()
        inner: Collection[str] = ()
        with suppress(BlobMissing):  # taken away by retention or erasure since it was listed
            inner = _within(blobs, digest, stored[digest])
        new = [one for one in inner if one not in by]
        by.update(dict.fromkeys(new, f"within {digest}"))
        waiting += [one for one in new if one in stored]
    return Reach(by)


def in_facts(connection: Connection) -> Iterator[tuple[str, str]]:
    """Yield `table.column` and every hash that stands in it, of all tables."""
    inspector = sa.inspect(connection)
    for name in sorted(inspector.get_table_names()):
        left_out = REMEMBERED.get(name)
        if left_out is not None and not left_out:
            continue
        for column in inspector.get_columns(name):
            if _may_hold(column["type"]) and column["name"] not in (left_out or ()):
                yield from _column(connection, name, column["name"])


def found_in(data: bytes) -> set[str]:
    """Return the hashes that stand in bytes."""
    return {found.decode() for found in HASH.findall(data)}


def _may_hold(kind: sa.types.TypeEngine[object]) -> bool:
    if isinstance(kind, sa.String):
        return kind.length is None or kind.length >= _LENGTH
    return isinstance(kind, sa.JSON | sa.LargeBinary | sa.types.NullType)


def _column(connection: Connection, table: str, column: str) -> Iterator[tuple[str, str]]:
    source = sa.table(table, sa.column(column))
    text = sa.cast(source.c[column], sa.Text)
    query = sa.select(text).where(sa.func.length(text) >= _LENGTH).execution_options(stream_results=True)
    for row in connection.execute(query).yield_per(1000):
        for digest in found_in(str(row[0]).encode(errors="replace")):
            yield f"{table}.{column}", digest


def _within(blobs: Blobs, digest: str, size: int) -> Collection[str]:
    """Return the hashes that needed bytes name: of lists of files and of whatever is small."""
    if size > LARGEST_LIST:
        return ()
    if size > LARGEST_OTHER and blobs.start(digest, 1) not in (b"{", b"["):
        return ()
    return found_in(blobs.get(digest)) - {digest}
