"""Facts of what waits for its prediction, failed, was lost or is too old."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from .answers import failure, lock_outcomes, log, outcome, part, prediction, waiting, writer

__all__ = ["failure", "lock_outcomes", "outcome", "part", "prediction", "waiting", "writer"]

_MANY = 500


def _pieces(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), _MANY):
        yield values[start : start + _MANY]


def by_keys(connection: Connection, name: str, keys: Sequence[str]) -> list[dict[str, Any]]:
    """Return id, row, business key and times of all predictions with these keys."""
    c = prediction.c
    found: list[dict[str, Any]] = []
    for some in _pieces(keys):
        query = sa.select(c.id, c.row, c.business_key, c.event_time, c.at)
        rows = connection.execute(query.where(c.endpoint == name, c.business_key.in_(some))).mappings()
        found += map(dict, rows)
    return found


def count_waiting(connection: Connection) -> int:
    """Return how many outcomes wait."""
    return int(connection.execute(sa.select(sa.func.count()).select_from(waiting)).scalar_one())


def some_wait(connection: Connection) -> bool:
    """Say whether any outcome waits."""
    return connection.execute(sa.select(waiting.c.seq).limit(1)).first() is not None


def waiting_for(connection: Connection, name: str, ids: Sequence[str], keys: Sequence[str]) -> list[RowMapping]:
    """Return the outcomes that wait for one of these predictions, or for one of these keys, oldest first."""
    c = waiting.c
    found: list[RowMapping] = []
    for column, values in ((c.prediction, ids), (c.key, keys)):
        for some in _pieces(values):
            found += connection.execute(sa.select(waiting).where(c.endpoint == name, column.in_(some))).mappings()
    return sorted(found, key=lambda row: row["seq"])


def drop_waiting(connection: Connection, numbers: Sequence[int]) -> None:
    """Remove what has joined."""
    for start in range(0, len(numbers), _MANY):
        connection.execute(waiting.delete().where(waiting.c.seq.in_(numbers[start : start + _MANY])))


def list_waiting(connection: Connection, name: str, limit: int) -> Sequence[RowMapping]:
    """Return outcomes that wait, oldest first."""
    query = sa.select(waiting).where(waiting.c.endpoint == name).order_by(waiting.c.seq)
    return connection.execute(query.limit(limit)).mappings().all()


def failures(connection: Connection, name: str, since: datetime | None, limit: int) -> Sequence[RowMapping]:
    """Return requests that no version answered, newest first."""
    query = sa.select(failure).where(failure.c.endpoint == name)
    query = query if since is None else query.where(failure.c.at >= since)
    return connection.execute(query.order_by(failure.c.at.desc(), failure.c.id).limit(limit)).mappings().all()


def writers(connection: Connection) -> list[RowMapping]:
    """Return what the writers of logs could not keep."""
    query = sa.select(writer).order_by(writer.c.gateway, writer.c.started)
    return list(connection.execute(query).mappings())


def of_key(connection: Connection, name: str, key: str, limit: int | None = None) -> Sequence[RowMapping]:
    """Return the predictions of a business key, newest first."""
    c = prediction.c
    query = sa.select(prediction).where(c.endpoint == name, c.business_key == key)
    return connection.execute(query.order_by(c.event_time.desc(), c.id, c.row).limit(limit)).mappings().all()


def after(
    connection: Connection, name: str, start: datetime, end: datetime, *, last: tuple[Any, ...] | None, limit: int
) -> Sequence[RowMapping]:
    """Return the next predictions of a window behind `last` (event time, id, row), in that order."""
    c = prediction.c
    query = sa.select(prediction).where(c.endpoint == name, c.event_time >= start, c.event_time < end)
    if last is not None:
        moment, name_of, row = last
        same = sa.and_(c.event_time == moment, c.id == name_of, c.row > row)
        query = query.where(sa.or_(c.event_time > moment, sa.and_(c.event_time == moment, c.id > name_of), same))
    return connection.execute(query.order_by(c.event_time, c.id, c.row).limit(limit)).mappings().all()


def old_ids(connection: Connection, name: str, before: datetime, limit: int) -> Sequence[str]:
    """Return ids of requests that were answered before a moment."""
    c = prediction.c
    query = sa.select(c.id).distinct().where(c.endpoint == name, c.at < before).limit(limit)
    return connection.execute(query).scalars().all()


def drop_predictions(connection: Connection, ids: Sequence[str]) -> tuple[int, int]:
    """Remove requests with their outcomes; return how many rows of both."""
    rows = told = 0
    for some in _pieces(ids):
        told += connection.execute(outcome.delete().where(outcome.c.prediction.in_(some))).rowcount
        rows += connection.execute(prediction.delete().where(prediction.c.id.in_(some))).rowcount
    return rows, told


def drop_rows(connection: Connection, rows: Sequence[tuple[str, int]]) -> tuple[int, int]:
    """Remove single rows of requests with their outcomes; return how many of both."""
    if not rows:
        return 0, 0
    given = [{"of_id": name, "of_row": number} for name, number in rows]
    counts = []
    for table, column in ((prediction, prediction.c.id), (outcome, outcome.c.prediction)):
        query = table.delete().where(column == sa.bindparam("of_id"), table.c.row == sa.bindparam("of_row"))
        counts.append(sum(connection.execute(query, one).rowcount for one in given))
    return counts[0], counts[1]


def drop_before(connection: Connection, table: sa.Table, name: str, before: datetime) -> int:
    """Remove what an endpoint has in a table from before a moment."""
    query = table.delete().where(table.c.endpoint == name, table.c.at < before)
    return int(connection.execute(query).rowcount)


def drop_parts(connection: Connection, name: str, before: datetime) -> int:
    """Remove parts whose every row was answered before a moment; those made before that was kept, by event time."""
    c = part.c
    query = part.delete().where(c.endpoint == name, sa.func.coalesce(c.until, c.last) < before)
    return int(connection.execute(query).rowcount)


def parts_touching(connection: Connection, name: str, first: datetime, last: datetime) -> Sequence[RowMapping]:
    """Return the parts that may hold rows between two event times, both included."""
    query = sa.select(part).where(part.c.endpoint == name, part.c.last >= first, part.c.first <= last)
    return connection.execute(query.order_by(part.c.id)).mappings().all()


def drop_waiting_key(connection: Connection, name: str, key: str) -> int:
    """Remove outcomes that wait for a business key."""
    query = waiting.delete().where(waiting.c.endpoint == name, waiting.c.key == key)
    return int(connection.execute(query).rowcount)


def put_writer(connection: Connection, row: Mapping[str, Any]) -> None:
    """Write what a writer could not keep, in place of what was known of it."""
    which = (writer.c.gateway == row["gateway"], writer.c.started == row["started"])
    if not connection.execute(writer.update().where(*which).values(**row)).rowcount:
        connection.execute(writer.insert(), [dict(row)])


def add_unreadable(connection: Connection, gateway: str, file: str, count: int) -> None:
    """Count records of a file that could not be understood."""
    query = log.update().where(log.c.gateway == gateway, log.c.file == file)
    connection.execute(query.values(unreadable=log.c.unreadable + count))


def named(connection: Connection, digests: Sequence[str]) -> set[str]:
    """Return which of these bytes a part has."""
    found: set[str] = set()
    for some in _pieces(digests):
        found.update(connection.execute(sa.select(part.c.digest).where(part.c.digest.in_(some))).scalars())
    return found
