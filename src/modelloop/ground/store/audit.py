"""The append-only audit log: each entry holds the hash of the one before, so nothing is changed or taken out unseen.

An action calls `append` inside its own transaction: what happened and its entry are committed together or not at all.
The head (number and hash of the newest entry) is kept in a row of its own, and `anchor` copies it out of the database
into the blob store: whoever cuts off the newest entries must forge those too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ..core.errors import AuditBroken, BlobMissing
from ..core.hashing import canonical_json
from ..core.records import Event
from .blobs import Blobs
from .chain import GENESIS, Entry, Head, next_entry
from .context import Context
from .db import BigId, Time, metadata

ANCHOR = "audit/head.json"
_LOCK = 0x6D6C6175  # "mlau": PostgreSQL advisory lock of the chain's head

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("seq", BigId, primary_key=True, autoincrement=False),
    sa.Column("at", Time, nullable=False),
    sa.Column("actor", sa.String(200), nullable=False),
    sa.Column("role", sa.String(20), nullable=False),
    sa.Column("action", sa.String(100), nullable=False),
    sa.Column("subject", sa.String(300), nullable=False, index=True),
    # not JSONB: that rewrites numbers (1e16, -0.0), and the hash is of what was written
    sa.Column("detail", sa.JSON, nullable=False),
    sa.Column("before", sa.String(64), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
)

audit_head = sa.Table(
    "audit_head",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("seq", BigId, nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
)


def append(connection: Connection, ctx: Context, event: Event) -> Entry:
    """Chain `event` to the log within the caller's transaction.

    Writers queue: SQLite has one writer anyway, PostgreSQL takes an advisory lock until the transaction ends. So append
    as the last thing of a transaction. Raises InvalidInput for a detail that is not JSON and for words too long.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
    now = head(connection)
    made = next_entry(now, ctx.now(), ctx.actor, event)
    values = {name: getattr(made, name) for name in Entry.__slots__}
    connection.execute(audit.insert().values(**values))
    if now.seq == 0:
        connection.execute(audit_head.insert().values(id=1, seq=1, hash=values["hash"]))
    else:
        connection.execute(audit_head.update().values(seq=values["seq"], hash=values["hash"]))
    return made


def head(connection: Connection) -> Head:
    """Return the head that was noted last."""
    row = connection.execute(sa.select(audit_head.c.seq, audit_head.c.hash)).first()
    return Head(row.seq, row.hash) if row else Head()


def entries(
    connection: Connection, *, subject: str | None = None, after: int = 0, limit: int = 1000
) -> Iterator[Entry]:
    """Yield at most `limit` entries in order, of one subject or of all; the next page starts `after` the last `seq`."""
    query = sa.select(audit).where(audit.c.seq > after).order_by(audit.c.seq).limit(limit)
    if subject is not None:
        query = query.where(audit.c.subject == subject)
    for row in connection.execute(query):
        yield Entry(**row._mapping)


def newest(connection: Connection, *, subject: str | None = None, limit: int = 100) -> list[Entry]:
    """Return the newest entries, newest first."""
    query = sa.select(audit).order_by(audit.c.seq.desc()).limit(limit)
    if subject is not None:
        query = query.where(audit.c.subject == subject)
    return [Entry(**row._mapping) for row in connection.execute(query)]


def anchor(ctx: Context) -> Head:
    """Copy the head into the blob store, where a change of the database does not reach it; call it now and then."""
    with ctx.db.reading() as connection:
        now = head(connection)
    if now.seq > _anchored(ctx.blobs).seq:
        ctx.blobs.write_document(ANCHOR, canonical_json({"seq": now.seq, "hash": now.hash}))
    return now


def verify_store(ctx: Context) -> int:
    """Verify the chain against the noted head and the anchor in the blob store; return how many entries it has."""
    anchored = _anchored(ctx.blobs)
    with ctx.db.reading() as connection:
        return verify(connection, anchored=anchored)


def verify(connection: Connection, *, anchored: Head | None = None) -> int:
    """Return how many entries the chain has; raise AuditBroken at the first that does not follow from its predecessor.

    May run while others append: the head is read before and after the walk.
    """
    promised = [known for known in (head(connection), anchored) if known and known.seq]
    hashes = {known.seq: known.hash for known in promised}
    first = connection.execute(sa.select(sa.func.min(audit.c.seq))).scalar()
    if first is not None and first < 1:
        raise _broken(f"entry {first} stands before the first", first)
    count, before = 0, GENESIS
    while batch := list(entries(connection, after=count)):
        for entry in batch:
            count += 1
            _check(entry, count, before)
            if hashes.get(count, entry.hash) != entry.hash:
                raise _broken(f"entry {count} is not the one that was noted as newest", count)
            before = entry.hash
    last = head(connection)
    for known in promised:
        if known.seq > count:
            raise _broken(f"entries {count + 1} to {known.seq} are missing at the end", count + 1)
    if last.seq < count or (last.seq == count and last.hash != before):
        raise _broken(f"the newest entry noted is {last.seq}, the chain ends at {count}", count)
    return count


def _check(entry: Entry, count: int, before: str) -> None:
    if entry.seq != count:
        raise _broken(f"entry {count} is missing", count)
    if entry.before != before:
        raise _broken(f"entry {count} does not follow entry {count - 1}", count)
    if entry.hash != entry.expected_hash():
        raise _broken(f"entry {count} was changed after it was written", count)


def _broken(wrong: str, seq: int) -> AuditBroken:
    return AuditBroken(
        f"The audit chain is broken: {wrong}.",
        hint="Compare the facts with a backup taken before; nothing from this entry on can be trusted.",
        detail={"seq": seq},
    )


def _anchored(blobs: Blobs) -> Head:
    try:
        found = json.loads(blobs.read_document(ANCHOR))
        return Head(int(found["seq"]), str(found["hash"]))
    except BlobMissing:
        return Head()
    except (ValueError, KeyError, TypeError) as error:
        raise AuditBroken(f"The anchor of the audit chain ({ANCHOR}) cannot be read: {error}.") from error
