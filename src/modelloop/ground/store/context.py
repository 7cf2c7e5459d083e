"""What every action receives first: where facts and bytes are, what time it is, who asks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.clock import Clock
from ..core.ids import new_id
from ..core.records import Actor

if TYPE_CHECKING:
    from .blobs import Blobs
    from .db import Database


@dataclass(frozen=True, slots=True)
class Context:
    """The first argument of every action. Holds no state of its own; safe to share between threads."""

    db: Database
    blobs: Blobs
    clock: Clock
    actor: Actor
    home: Path
    """The `.modelloop` folder: prediction logs, scratch files, sockets. Never a place for facts."""

    def now(self) -> datetime:
        """Return the time, aware, in UTC."""
        return self.clock.now()

    def id(self, prefix: str) -> str:
        """Return a fresh id of the kind `prefix`."""
        return new_id(prefix, self.clock.now())

    def by(self, actor: Actor) -> Context:
        """Return the same context for another actor."""
        return replace(self, actor=actor)
