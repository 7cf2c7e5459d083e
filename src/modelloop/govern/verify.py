"""Was anything changed or taken out of the audit log?"""

from __future__ import annotations

from dataclasses import dataclass

from ..ground.store import audit
from ..ground.store.chain import GENESIS
from ..ground.store.context import Context


@dataclass(frozen=True, slots=True)
class Verified:
    """The chain holds: how many entries, and the hash of the newest, which a copy kept elsewhere must equal."""

    entries: int
    head: str


def verify(ctx: Context) -> Verified:
    """Walk the whole chain; raises AuditBroken at the first entry that does not follow from the one before."""
    count = audit.verify_store(ctx)
    with ctx.db.reading() as connection:
        last = next(audit.entries(connection, after=count - 1, limit=1), None) if count else None
    return Verified(count, last.hash if last else GENESIS)
