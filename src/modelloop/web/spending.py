"""The face of what runs took and cost."""

from __future__ import annotations

from typing import Any

from ..ground.core.clock import parse_time
from ..ground.core.errors import InvalidInput
from ..ground.core.ids import check_id
from ..ground.http import Call
from ..ground.pool.cost import By
from ..ground.pool.spending import spent


def cost(call: Call) -> dict[str, Any]:
    """Show what runs took of machines and what it cost: by=step, run, pipeline, month or project; since; run."""
    asked = call.query.get("by", By.RUN)
    since, run = call.query.get("since"), call.query.get("run")
    try:
        by, begin = By(asked), None if since is None else parse_time(since)
    except ValueError as error:
        raise InvalidInput(
            f"by={asked[:40]!r}, since={str(since)[:40]!r} cannot be read.",
            hint=f"by is one of {', '.join(By)}; since is a time such as 2026-11-01T00:00:00Z.",
        ) from error
    only = None if run is None else check_id(run, "run")
    found = spent(call.ctx, call.project.pool.prices, by=by, since=begin, run=only)
    return {"by": by, "lines": found.lines[: call.limit()], "total": found.total}
