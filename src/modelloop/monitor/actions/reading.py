"""Look-ups: signals and alerts."""

from __future__ import annotations

from datetime import datetime

from ...ground.core.records import Verdict
from ...ground.store.context import Context
from .. import tables
from ..records import Alert, Signal


def alerts(ctx: Context, *, firing: bool = False, limit: int = 1000) -> list[Alert]:
    """Return alerts, newest first: all, or only those that still fire."""
    with ctx.db.reading() as connection:
        return tables.alerts(connection, firing=firing, limit=limit)


def signals(
    ctx: Context,
    *,
    monitor: str | None = None,
    endpoint: str | None = None,
    since: datetime | None = None,
    failing: bool = False,
    limit: int = 1000,
) -> list[Signal]:
    """Return signals, latest window first; `since`: of windows that start no earlier."""
    asked = {"monitor": monitor, "endpoint": endpoint, "verdict": str(Verdict.FAIL) if failing else None}
    where = {name: value for name, value in asked.items() if value is not None}
    with ctx.db.reading() as connection:
        return tables.signals(connection, where, limit=limit, since=since)


def get_signal(ctx: Context, signal_id: str) -> Signal | None:
    """Return one signal, or None."""
    with ctx.db.reading() as connection:
        return next(iter(tables.signals(connection, {"id": signal_id}, limit=1)), None)
