"""The work of `modelloop cost`."""

from __future__ import annotations

from rich.text import Text

from ...ground.core.clock import parse_time
from ...ground.core.errors import InvalidInput
from ...ground.core.ids import check_id
from ...ground.pool.cost import By, Line, is_priced
from ...ground.pool.spending import spent
from ..desk import Desk
from ..face import Answer
from .tables import printed, table

_HOW = "No prices are set: write them into the project file, [pool.prices] cpu_hour, memory_gb_hour, gpu_hour."


def cost(desk: Desk, *, by: str, since: str | None, run: str | None, limit: int) -> Answer:
    """Show the bill."""
    prices = desk.project.pool.prices
    try:
        begin = None if since is None else parse_time(since)
    except ValueError as error:
        raise InvalidInput(f"--since {since!r} is no day or time.", hint="Write 2026-11-01.") from error
    only = None if run is None else check_id(run, "run")
    found = spent(desk.ctx, prices, by=By(by), since=begin, run=only)
    shown = [_row(line) for line in found.lines[:limit]]
    if len(found.lines) > limit:
        shown.append((f"... {len(found.lines) - limit} more", *[""] * 6))
    if len(found.lines) > 1:
        shown.append(_row(found.total))
    columns = (by, "runs", "seconds", "cpu hours", "GB hours", "gpu hours", "cost")
    notes = [] if is_priced(prices) else [Text(_HOW, style="dim")]
    return Answer(found, printed(table(columns, shown, empty="no run yet"), *notes))


def _row(line: Line) -> tuple[object, ...]:
    cost_ = None if line.cost is None else Text(str(line.cost), justify="right")
    hours = (line.cpu_hours, line.memory_gb_hours, line.gpu_hours)
    return (line.name, line.runs, line.wall_seconds, *hours, cost_)
