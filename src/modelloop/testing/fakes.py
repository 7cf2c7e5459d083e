"""A clock turned by hand, and a Context on a fresh store in a folder."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from ..ground.core.clock import Clock, utc
from ..ground.core.records import Actor, Role
from ..ground.store.blobs import Blobs
from ..ground.store.context import Context
from ..ground.store.db import Database
from .schema import declare_tables, provide

__all__ = ["START", "FakeClock", "declare_tables", "make_context"]
START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


class FakeClock:
    """A clock that stands still until it is told to go on."""

    def __init__(self, start: datetime = START) -> None:
        self._now = utc(start)

    def now(self) -> datetime:
        """Return the time it was set to."""
        return self._now

    def advance(self, by: timedelta) -> datetime:
        """Move on by `by` and return the new time."""
        self._now += by
        return self._now


def make_context(
    path: Path, *, database_url: str | None = None, blobs_url: str | None = None, clock: Clock | None = None
) -> Context:
    """Return a Context on a migrated store under `path/.modelloop`, for an administrator; its clock stands still."""
    home = path / ".modelloop"
    home.mkdir(parents=True, exist_ok=True)
    db = Database(database_url or f"sqlite:///{home / 'facts.sqlite'}")
    declare_tables()
    provide(db)
    blobs = Blobs(blobs_url or (home / "blobs").as_uri())
    return Context(db, blobs, clock or FakeClock(), Actor("tester", Role.ADMIN), home)
