"""SQL of data: versions, files taken in, arrivals of which something was set aside."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from ..ground.store.db import JSON, Database, Time, metadata
from .records import MAIN, Arrival, Dataset, DatasetVersion, Erasure, Report, Taken

data_version = sa.Table(
    "data_version",
    metadata,
    sa.Column("dataset", sa.String(63), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("source", sa.String(63), nullable=False),
    sa.Column("branch", sa.String(63), nullable=False, server_default="main"),
    sa.Column("made_at", Time, nullable=False),
    sa.Column("body", JSON, nullable=False),
)
"""`body` is the whole record; the other columns are those that queries ask for."""

data_taken = sa.Table(
    "data_taken",
    metadata,
    sa.Column("source", sa.String(63), primary_key=True),
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("content", sa.String(64), primary_key=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("modified", sa.BigInteger, nullable=False),
    sa.Column("dataset", sa.String(63), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
)

data_arrival = sa.Table(
    "data_arrival",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("digest", sa.String(64), nullable=False, unique=True),
    sa.Column("dataset", sa.String(63), nullable=False, index=True),
    sa.Column("source", sa.String(63), nullable=False),
    sa.Column("version", sa.Integer),
    sa.Column("report", JSON, nullable=False),
    sa.Column("blob", sa.String(64)),
    sa.Column("at", Time, nullable=False),
)
"""`digest` names source, files, contract and the version before: the same arrival refused twice is recorded once."""


data_ref = sa.Table(
    "data_ref",
    metadata,
    sa.Column("dataset", sa.String(63), primary_key=True),
    sa.Column("kind", sa.String(8), primary_key=True),
    sa.Column("name", sa.String(63), primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("message", sa.String(1000), nullable=False),
    sa.Column("at", Time, nullable=False),
    sa.Column("by", sa.String(120), nullable=False),
)
"""Branches (`kind` branch: number is the head) and tags. A dataset without a row here has one branch, main."""

data_cursor = sa.Table(
    "data_cursor",
    metadata,
    sa.Column("source", sa.String(63), primary_key=True),
    sa.Column("value", JSON, nullable=False),
    sa.Column("at", Time, nullable=False),
)

data_settled = sa.Table(
    "data_settled",
    metadata,
    sa.Column("arrival", sa.String(40), primary_key=True),
    sa.Column("file", sa.String(255), primary_key=True),
    sa.Column("row", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("what", sa.String(16), nullable=False),
    sa.Column("version", sa.Integer),
    sa.Column("at", Time, nullable=False),
    sa.Column("by", sa.String(120), nullable=False),
)
"""Rows that were set aside and that a person has dealt with: readmitted (in `version`) or dropped."""

data_erasure = sa.Table(
    "data_erasure",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("dataset", sa.String(63), nullable=False, index=True),
    sa.Column("body", JSON, nullable=False),
    sa.Column("at", Time, nullable=False),
)


data_unused = sa.Table(
    "data_unused",
    metadata,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("since", Time, nullable=False),
    sa.Column("removed", sa.Boolean, nullable=False),
)
"""Blobs that versions dropped or rewrote: to be removed once nothing refers to them. Those removed stay noted: whoever
wrote such a blob again a moment before its removal is told so at the commit."""

BRANCH, TAG = "branch", "tag"
_LOCK = 0x6D6C6476  # "mldv": PostgreSQL advisory lock of whoever changes versions or removes blobs
_SOME = 500
"""Values in one IN."""


def lock(connection: Connection) -> None:
    """Queue with all others that change versions, until the transaction ends. SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))


def head(
    connection: Connection, dataset: str, branch: str = MAIN, *, at: datetime | None = None
) -> DatasetVersion | None:
    """Return the newest version of a branch. With `at`, the newest of `main` that was made by then."""
    row = ref(connection, dataset, BRANCH, branch)
    if row is not None and at is None:
        return numbered(connection, dataset, row.number)
    this = (data_version.c.dataset == dataset) & (data_version.c.branch == branch)
    query = sa.select(data_version.c.body).where(this if at is None else this & (data_version.c.made_at <= at))
    body = connection.execute(query.order_by(data_version.c.number.desc()).limit(1)).scalar()
    return None if body is None else DatasetVersion.from_json(body)


def next_number(connection: Connection, dataset: str) -> int:
    """Return the number that a new version has: they count over all branches."""
    newest = sa.select(sa.func.max(data_version.c.number)).where(data_version.c.dataset == dataset)
    return int(connection.execute(newest).scalar() or 0) + 1


def set_version(connection: Connection, version: DatasetVersion) -> None:
    """Replace the record of a version: pruned, or freed of erased rows."""
    this = (data_version.c.dataset == version.dataset) & (data_version.c.number == version.number)
    connection.execute(data_version.update().where(this).values(body=version.to_json(), rows=version.rows))


def every_version(connection: Connection) -> Iterator[DatasetVersion]:
    """Yield the versions of all datasets."""
    for row in connection.execute(sa.select(data_version.c.body)):
        yield DatasetVersion.from_json(row.body)


def ref(connection: Connection, dataset: str, kind: str, name: str) -> Any:
    """Return the row of a branch or tag, or None."""
    return connection.execute(sa.select(data_ref).where(_this_ref(dataset, kind, name))).first()


def refs(connection: Connection, dataset: str, kind: str) -> list[Any]:
    """Return the rows of all branches or tags, by name."""
    this = (data_ref.c.dataset == dataset) & (data_ref.c.kind == kind)
    return list(connection.execute(sa.select(data_ref).where(this).order_by(data_ref.c.name)))


def add_ref(connection: Connection, values: Mapping[str, Any]) -> None:
    """Insert a branch or tag; IntegrityError where there is one of that name."""
    connection.execute(data_ref.insert().values(**values))


def move_ref(connection: Connection, dataset: str, kind: str, name: str, **values: Any) -> None:
    """Let a branch or tag name another version."""
    connection.execute(data_ref.update().where(_this_ref(dataset, kind, name)).values(**values))


def drop_ref(connection: Connection, dataset: str, kind: str, name: str) -> None:
    """Forget a branch or tag."""
    connection.execute(data_ref.delete().where(_this_ref(dataset, kind, name)))


def _this_ref(dataset: str, kind: str, name: str) -> sa.ColumnElement[bool]:
    return (data_ref.c.dataset == dataset) & (data_ref.c.kind == kind) & (data_ref.c.name == name)


def numbered(connection: Connection, dataset: str, number: int) -> DatasetVersion | None:
    """Return one version."""
    this = (data_version.c.dataset == dataset) & (data_version.c.number == number)
    body = connection.execute(sa.select(data_version.c.body).where(this)).scalar()
    return None if body is None else DatasetVersion.from_json(body)


def all_versions(connection: Connection, dataset: str) -> list[DatasetVersion]:
    """Return a dataset's versions, newest first."""
    query = sa.select(data_version.c.body).where(data_version.c.dataset == dataset)
    rows = connection.execute(query.order_by(data_version.c.number.desc()))
    return [DatasetVersion.from_json(row.body) for row in rows]


def all_datasets(connection: Connection) -> list[Dataset]:
    """Return every dataset with the size of the newest version of `main`, by name."""
    newest = (
        sa.select(data_version.c.dataset, sa.func.max(data_version.c.number).label("number"))
        .where(data_version.c.branch == MAIN)
        .group_by(data_version.c.dataset)
        .subquery()
    )
    is_newest = (data_version.c.dataset == newest.c.dataset) & (data_version.c.number == newest.c.number)
    query = sa.select(data_version).join(newest, is_newest).order_by(data_version.c.dataset)
    return [Dataset(row.dataset, row.number, row.rows, row.made_at) for row in connection.execute(query)]


def add_version(connection: Connection, version: DatasetVersion) -> None:
    """Insert a version; IntegrityError where its number is taken."""
    connection.execute(
        data_version.insert().values(
            dataset=version.dataset,
            number=version.number,
            digest=version.digest,
            rows=version.rows,
            source=version.source,
            branch=version.branch,
            made_at=version.made_at,
            body=version.to_json(),
        )
    )


def known_files(connection: Connection, source: str, name: str | None = None) -> dict[str, tuple[Taken, ...]]:
    """Return what was taken in from a source, by file name; of one file only, if it is named."""
    known: dict[str, tuple[Taken, ...]] = {}
    query = sa.select(data_taken).where(data_taken.c.source == source)
    if name is not None:
        query = query.where(data_taken.c.name == name)
    for row in connection.execute(query):
        known[row.name] = (*known.get(row.name, ()), Taken(row.name, row.content, row.size, row.modified))
    return known


def add_files(connection: Connection, source: str, version: DatasetVersion, files: list[Taken]) -> None:
    """Insert the files that a version took in; IntegrityError where one was taken in already."""
    where = {"source": source, "dataset": version.dataset, "version": version.number}
    rows = [
        where | {"name": one.name, "content": one.content, "size": one.size, "modified": one.modified} for one in files
    ]
    connection.execute(data_taken.insert(), rows)


def forget_taken(connection: Connection, dataset: str, numbers: list[int]) -> None:
    """Let what versions took in count as new again, cursors of their sources included."""
    of_them = (data_taken.c.dataset == dataset) & data_taken.c.version.in_(numbers)
    sources = list(connection.execute(sa.select(data_taken.c.source).where(of_them).distinct()).scalars())
    connection.execute(data_taken.delete().where(of_them))
    connection.execute(data_cursor.delete().where(data_cursor.c.source.in_(sources)))


def cursor_of(connection: Connection, source: str) -> tuple[Any, datetime] | None:
    """Return how far a source was read, and when it was last asked; None if it never was."""
    row = connection.execute(sa.select(data_cursor).where(data_cursor.c.source == source)).first()
    return None if row is None else (row.value["cursor"], row.at)


def set_cursor(connection: Connection, source: str, cursor: object, at: datetime) -> None:
    """Note how far a source was read."""
    values = {"value": {"cursor": cursor}, "at": at}
    this = data_cursor.c.source == source
    if not connection.execute(data_cursor.update().where(this).values(**values)).rowcount:
        connection.execute(data_cursor.insert().values(source=source, **values))


def add_arrival(connection: Connection, arrival: Arrival, digest: str) -> None:
    """Insert an arrival; IntegrityError where it is recorded already."""
    connection.execute(
        data_arrival.insert().values(
            id=arrival.id,
            digest=digest,
            dataset=arrival.dataset,
            source=arrival.source,
            version=arrival.version,
            report=arrival.report.to_json(),
            blob=arrival.blob,
            at=arrival.at,
        )
    )


def arrival_of(connection: Connection, digest: str) -> Arrival | None:
    """Return the arrival that was recorded under a digest."""
    row = connection.execute(sa.select(data_arrival).where(data_arrival.c.digest == digest)).mappings().first()
    return None if row is None else _arrival(row)


def all_arrivals(connection: Connection, dataset: str | None, limit: int) -> list[Arrival]:
    """Return arrivals of which something was set aside, newest first, of one dataset or of all."""
    query = sa.select(data_arrival).order_by(data_arrival.c.at.desc(), data_arrival.c.id.desc()).limit(limit)
    if dataset is not None:
        query = query.where(data_arrival.c.dataset == dataset)
    return [_arrival(row) for row in connection.execute(query).mappings()]


def set_arrival(connection: Connection, arrival: Arrival) -> None:
    """Replace report and rows of an arrival: freed of erased rows."""
    values = {"report": arrival.report.to_json(), "blob": arrival.blob}
    connection.execute(data_arrival.update().where(data_arrival.c.id == arrival.id).values(**values))


def settled(connection: Connection, arrivals: Sequence[str]) -> dict[tuple[str, str, int], str]:
    """Return what became of rows that were set aside, by arrival, file and row."""
    found = {}
    for some in _batches(arrivals):
        for row in connection.execute(sa.select(data_settled).where(data_settled.c.arrival.in_(some))):
            found[row.arrival, row.file, row.row] = row.what
    return found


def settle(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Note what became of rows; IntegrityError where one was settled before."""
    if rows:
        connection.execute(data_settled.insert(), [dict(one) for one in rows])


def add_erasure(connection: Connection, erasure: Erasure) -> None:
    """Insert an erasure."""
    body = msgspec.to_builtins(erasure)
    connection.execute(data_erasure.insert().values(id=erasure.id, dataset=erasure.dataset, body=body, at=erasure.at))


def all_erasures(connection: Connection, dataset: str) -> list[Erasure]:
    """Return the erasures of a dataset, newest first."""
    query = sa.select(data_erasure.c.body).where(data_erasure.c.dataset == dataset)
    newest = query.order_by(data_erasure.c.at.desc(), data_erasure.c.id.desc())
    return [msgspec.convert(row.body, Erasure) for row in connection.execute(newest)]


def add_unused(connection: Connection, digests: Collection[str], since: datetime) -> None:
    """Note blobs that may be removed once nothing refers to them."""
    drop_unused(connection, digests)
    if digests:
        rows = [{"digest": one, "since": since, "removed": False} for one in sorted(digests)]
        connection.execute(data_unused.insert(), rows)


def unused(connection: Connection, until: datetime, *, removed: bool = False, limit: int | None = None) -> list[str]:
    """Return the noted blobs, in order."""
    this = (data_unused.c.since <= until) & (data_unused.c.removed == removed)
    query = sa.select(data_unused.c.digest).where(this).order_by(data_unused.c.digest).limit(limit)
    return list(connection.execute(query).scalars())


def all_unused(connection: Connection) -> list[str]:
    """Return all noted blobs, also those that were removed not long ago."""
    return list(connection.execute(sa.select(data_unused.c.digest)).scalars())


def noted(connection: Connection, digests: Collection[str]) -> list[str]:
    """Return those of the digests that are noted."""
    found: list[str] = []
    for some in _batches(sorted(digests)):
        found += connection.execute(sa.select(data_unused.c.digest).where(data_unused.c.digest.in_(some))).scalars()
    return found


def note_removed(connection: Connection, digests: Collection[str], at: datetime) -> None:
    """Note that blobs were removed."""
    for some in _batches(sorted(digests)):
        this = data_unused.c.digest.in_(some)
        connection.execute(data_unused.update().where(this).values(removed=True, since=at))


def drop_unused(connection: Connection, digests: Collection[str]) -> None:
    """Forget notes: the blobs are in use, or were removed long ago."""
    for some in _batches(sorted(digests)):
        connection.execute(data_unused.delete().where(data_unused.c.digest.in_(some)))


def rewrite(db: Database) -> None:
    """Write the tables anew: what rows held before an erasure is then in no page of the database's files."""
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if db.is_sqlite:
            connection.exec_driver_sql("VACUUM")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        else:
            for table in (data_version, data_arrival):
                connection.exec_driver_sql(f"VACUUM FULL {table.name}")


def _batches(values: Sequence[str]) -> Iterator[Sequence[str]]:
    return (values[at : at + _SOME] for at in range(0, len(values), _SOME))


def _arrival(row: RowMapping) -> Arrival:
    fields = {name: row[name] for name in ("id", "dataset", "source", "version", "blob", "at")}
    return Arrival(report=Report.from_json(row["report"]), **fields)
