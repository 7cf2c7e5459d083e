"""What both versions of a stage answered, for people to look at."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from .answers import failure, log, outcome, prediction
from .changing import live


def compared(connection: Connection, name: str, generation: int, since: datetime, limit: int) -> Sequence[Any]:
    """Return the newest answers of a stage with the version that gave them, and the shadow's answers beside them."""
    c = prediction.c
    query = sa.select(c.version, c.score, c.error, c.shadow_version, c.shadow_score, c.shadow_error)
    query = query.where(c.endpoint == name, c.generation >= generation, c.at >= since)
    return connection.execute(query.order_by(c.at.desc(), c.id, c.row).limit(limit)).all()


def answered_before(connection: Connection, name: str) -> Sequence[str]:
    """Return the versions that ever answered at the endpoint, the last to come first."""
    newest = sa.func.max(live.c.id)
    query = sa.select(live.c.version).where(live.c.endpoint == name).group_by(live.c.version).order_by(newest.desc())
    return connection.execute(query).scalars().all()


def unanswered(connection: Connection, name: str, generation: int, since: datetime) -> Sequence[Any]:
    """Return the requests that failed on our side since a stage was published and began: nobody could stand in."""
    c = failure.c
    query = sa.select(c.id, c.arm, c.version, c.error, c.at)
    return connection.execute(query.where(c.endpoint == name, c.generation >= generation, c.at >= since)).all()


def progress(connection: Connection) -> tuple[int, int]:
    """Return numbers that change whenever a log is taken in (answers, shadows, failures) or an outcome comes."""
    taken = connection.execute(sa.select(sa.func.coalesce(sa.func.sum(log.c.offset), 0))).scalar_one()
    told = connection.execute(sa.select(sa.func.coalesce(sa.func.max(outcome.c.seq), 0))).scalar_one()
    return int(taken), int(told)
