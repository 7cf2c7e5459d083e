"""SQL of data: versions, files taken in, arrivals of which something was set aside."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from ..ground.store.db import JSON, Time, metadata
from .records import Arrival, Dataset, DatasetVersion, Report, Taken

data_version = sa.Table(
    "data_version",
    metadata,
    sa.Column("dataset", sa.String(63), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("source", sa.String(63), nullable=False),
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


def head(connection: Connection, dataset: str) -> DatasetVersion | None:
    """Return the newest version."""
    query = sa.select(data_version.c.body).where(data_version.c.dataset == dataset)
    body = connection.execute(query.order_by(data_version.c.number.desc()).limit(1)).scalar()
    return None if body is None else DatasetVersion.from_json(body)


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
    """Return every dataset with its newest version's size, by name."""
    newest = (
        sa.select(data_version.c.dataset, sa.func.max(data_version.c.number).label("number"))
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
            made_at=version.made_at,
            body=version.to_json(),
        )
    )


def known_files(connection: Connection, source: str) -> dict[str, tuple[Taken, ...]]:
    """Return what was taken in from a source, by file name."""
    known: dict[str, tuple[Taken, ...]] = {}
    for row in connection.execute(sa.select(data_taken).where(data_taken.c.source == source)):
        known[row.name] = (*known.get(row.name, ()), Taken(row.name, row.content, row.size, row.modified))
    return known


def add_files(connection: Connection, source: str, version: DatasetVersion, files: list[Taken]) -> None:
    """Insert the files that a version took in; IntegrityError where one was taken in already."""
    where = {"source": source, "dataset": version.dataset, "version": version.number}
    rows = [
        where | {"name": one.name, "content": one.content, "size": one.size, "modified": one.modified} for one in files
    ]
    connection.execute(data_taken.insert(), rows)


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


def _arrival(row: RowMapping) -> Arrival:
    fields = {name: row[name] for name in ("id", "dataset", "source", "version", "blob", "at")}
    return Arrival(report=Report.from_json(row["report"]), **fields)
