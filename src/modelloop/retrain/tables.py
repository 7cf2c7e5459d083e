"""Facts of turning the loop: episodes, what finished runs came to, the last turn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, RowMapping

from ..ground.store.db import JSON, Time, metadata
from .records import Episode, EpisodeState, Fire, Result, Settled, Turn

episode = sa.Table(
    "retrain_episode",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("number", sa.Integer, nullable=False, unique=True),
    sa.Column("endpoint", sa.String(64), nullable=False),
    sa.Column("pipeline", sa.String(64), nullable=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("trigger", sa.String(64), nullable=False),
    sa.Column("signal", sa.String(100)),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("params", JSON, nullable=False),
    sa.Column("event_time", Time, nullable=False),
    sa.Column("opened_at", Time, nullable=False),
    sa.Column("run", sa.String(40)),
    sa.Column("version", sa.String(100)),
    sa.Column("rollout", sa.String(40)),
    sa.Column("result", sa.String(20)),
    sa.Column("closed_at", Time),
    sa.Column("closed_event_time", Time),
    sa.Column("evidence", JSON, nullable=False),
)
_OPEN = episode.c.closed_at.is_(None)
sa.Index("uq_retrain_episode_open", episode.c.endpoint, unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN)

settled = sa.Table(
    "retrain_settled",
    metadata,
    sa.Column("run", sa.String(40), primary_key=True),
    sa.Column("version", sa.String(100)),
    sa.Column("verdict", sa.String(20), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("evidence", JSON, nullable=False),
    sa.Column("at", Time, nullable=False),
)

fire = sa.Table(
    "retrain_fire",
    metadata,
    sa.Column("trigger", sa.String(63), primary_key=True),
    sa.Column("mark", sa.String(120), primary_key=True),
    sa.Column("decided_at", Time, nullable=False),
    sa.Column("what", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("run", sa.String(40)),
    sa.Column("episode", sa.String(40)),
)
"""Each cause that a trigger met, once: an instant of its calendar, a version of its dataset."""

turn = sa.Table(
    "loop_turn",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("at", Time, nullable=False),
    sa.Column("busy", sa.Boolean, nullable=False),
    sa.Column("predictions", sa.BigInteger, nullable=False),
    sa.Column("outcomes", sa.BigInteger, nullable=False),
    sa.Column("watermark", Time),
    sa.Column("errors", JSON, nullable=False),
)


def next_number(connection: Connection) -> int:
    """Return the number of the next episode."""
    return int(connection.execute(sa.select(sa.func.coalesce(sa.func.max(episode.c.number), 0))).scalar_one()) + 1


def add(connection: Connection, opened: Episode) -> None:
    """Insert an episode; raises IntegrityError where another is open at the endpoint."""
    connection.execute(episode.insert().values(**_values(opened)))


def save(connection: Connection, before: Episode, after: Episode) -> bool:
    """Write an episode if it still is as it was read; say whether it was."""
    c = episode.c
    query = episode.update().where(
        c.id == before.id,
        c.state == str(before.state),
        c.run.is_not_distinct_from(before.run),
        c.rollout.is_not_distinct_from(before.rollout),
    )
    return bool(connection.execute(query.values(**_values(after))).rowcount)


def episodes(connection: Connection, *, where: Mapping[str, Any], limit: int) -> list[Episode]:
    """Return episodes in which every column has the value given, newest first."""
    query = sa.select(episode).where(*(episode.c[name] == value for name, value in where.items()))
    rows = connection.execute(query.order_by(episode.c.number.desc()).limit(limit)).mappings()
    return [_episode(row) for row in rows]


def open_episodes(connection: Connection) -> list[Episode]:
    """Return the episodes under way, oldest first."""
    query = sa.select(episode).where(_OPEN).order_by(episode.c.number)
    return [_episode(row) for row in connection.execute(query).mappings()]


def last_closed(connection: Connection, endpoint: str) -> Episode | None:
    """Return the newest closed episode of an endpoint."""
    query = sa.select(episode).where(episode.c.endpoint == endpoint, episode.c.closed_at.is_not(None))
    row = connection.execute(query.order_by(episode.c.number.desc()).limit(1)).mappings().first()
    return None if row is None else _episode(row)


def settled_of(connection: Connection, run: str) -> Settled | None:
    """Return what a run came to."""
    row = connection.execute(sa.select(settled).where(settled.c.run == run)).mappings().first()
    return None if row is None else Settled(**{name: row[name] for name in Settled.__slots__})


def add_settled(connection: Connection, made: Settled, at: Any) -> None:
    """Insert what a run came to; raises IntegrityError where it is known."""
    values = {name: getattr(made, name) for name in Settled.__slots__}
    connection.execute(settled.insert().values(**values | {"evidence": dict(made.evidence)}, at=at))


def add_fire(connection: Connection, made: Fire) -> bool:
    """Insert what became of a cause; return False where it is noted already."""
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    values = {name: getattr(made, name) for name in Fire.__slots__}
    query = insert(fire).values(**values).on_conflict_do_nothing().returning(fire.c.mark)
    return connection.execute(query).first() is not None


def last_fire(connection: Connection, trigger: str) -> Fire | None:
    """Return the cause with the highest mark: marks of one trigger sort as their causes came."""
    query = sa.select(fire).where(fire.c.trigger == trigger).order_by(fire.c.mark.desc()).limit(1)
    row = connection.execute(query).mappings().first()
    return None if row is None else _fire(row)


def fires(connection: Connection, trigger: str, *, limit: int) -> list[Fire]:
    """Return the causes a trigger met, newest first."""
    query = sa.select(fire).where(fire.c.trigger == trigger).order_by(fire.c.mark.desc()).limit(limit)
    return [_fire(row) for row in connection.execute(query).mappings()]


def _fire(row: RowMapping) -> Fire:
    return Fire(**{name: row[name] for name in Fire.__slots__})


def last_turn(connection: Connection) -> Turn | None:
    """Return the last turn."""
    row = connection.execute(sa.select(turn)).mappings().first()
    return None if row is None else Turn(**{name: row[name] for name in Turn.__slots__})


def save_turn(connection: Connection, made: Turn) -> None:
    """Replace the one row of the last turn."""
    values = {name: getattr(made, name) for name in Turn.__slots__} | {"errors": dict(made.errors)}
    first = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(turn).values(id=1, **values)
    connection.execute(first.on_conflict_do_update(index_elements=["id"], set_=values))


def _values(made: Episode) -> dict[str, Any]:
    values = {name: getattr(made, name) for name in Episode.__slots__}
    result = None if made.result is None else str(made.result)
    plain = {"params": dict(made.params), "evidence": dict(made.evidence or {})}
    return values | plain | {"state": str(made.state), "result": result}


def _episode(row: RowMapping) -> Episode:
    values = {name: row[name] for name in Episode.__slots__}
    result = None if row["result"] is None else Result(row["result"])
    return Episode(**values | {"state": EpisodeState(row["state"]), "result": result})
