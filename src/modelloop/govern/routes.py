"""Faces of governing: the audit log."""

from __future__ import annotations

from typing import Any

from ..ground.core.rights import Right
from ..ground.http import Call, Route
from ..ground.store import audit


def entries(call: Call) -> dict[str, Any]:
    """List the newest entries of the audit log."""
    with call.ctx.db.reading() as connection:
        found = audit.newest(connection, subject=call.query.get("subject"), limit=call.limit())
    return {"entries": found}


def verify(call: Call) -> dict[str, Any]:
    """Check that no entry was changed, added or taken out."""
    return {"valid": True, "entries": audit.verify_store(call.ctx)}


ROUTES = (Route("GET", "/audit", entries, Right.READ), Route("GET", "/audit/verify", verify, Right.READ))
