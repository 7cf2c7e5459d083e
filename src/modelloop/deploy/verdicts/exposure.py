"""How much a stage has seen, the least and the most it should, and how long it will still take."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..settings import RolloutSettings
from .given import Evidence


@dataclass(frozen=True, slots=True)
class Exposure:
    """Rows that count for the stage, and its time; without `since` and `now` only rows are looked at."""

    rows: int
    """What has counted so far."""
    least: int
    """What must count before the version may go on."""
    since: datetime | None = None
    now: datetime | None = None

    @property
    def seconds(self) -> float | None:
        """Return for how long the stage has lasted; a clock that was set back has stood still."""
        return max(0.0, (self.now - self.since).total_seconds()) if self.now and self.since else None


def enough(exposure: Exposure, policy: RolloutSettings) -> bool:
    """Say whether the least exposure is reached."""
    seconds = exposure.seconds
    return exposure.rows >= exposure.least and (seconds is None or seconds >= policy.least_seconds)


def used_up(evidence: Evidence, exposure: Exposure, policy: RolloutSettings) -> str | None:
    """Return why the stage has lasted as long as it may. Without requests to the challenger it never has."""
    if not evidence.challenger.asked:
        return None
    if evidence.rows >= policy.max_rows:
        return f"No verdict after {evidence.rows:,} rows (max_rows = {policy.max_rows})."
    hours = (exposure.seconds or 0.0) / 3600
    if policy.max_hours and hours >= policy.max_hours:
        return f"No verdict after {hours:.1f} hours (max_hours = {policy.max_hours:g})."
    return None


def remaining(
    evidence: Evidence, exposure: Exposure, policy: RolloutSettings, *, to_go: float | None, compared: int, ends: bool
) -> dict[str, Any]:
    """Return about how many more rows and seconds a verdict takes if what comes is like what came.

    `to_go`: differences still missing of the `compared` kind (0: the loss decides nothing here). `ends`: `max_rows` and
    `max_hours` end the stage.
    """
    if not evidence.rows:
        return {"rows": None, "seconds": None}
    wanted = [_scaled(exposure.least - exposure.rows, exposure.rows, evidence.rows)]
    wanted.append(math.inf if to_go is None else _scaled(to_go, compared, evidence.rows))
    rows = max(0.0, *wanted)
    last = max(0, policy.max_rows - evidence.rows) if ends else math.inf
    gives_up = rows > last
    rows = min(rows, last)
    spent = exposure.seconds
    seconds = None if not spent or not math.isfinite(rows) else rows * spent / evidence.rows
    if seconds is not None and spent is not None:
        seconds = max(seconds, policy.least_seconds - spent)
        seconds = min(seconds, policy.max_hours * 3600 - spent) if ends and policy.max_hours else seconds
    return {
        "rows": math.ceil(rows) if math.isfinite(rows) else None,
        "seconds": None if seconds is None else round(max(0.0, seconds), 1),
        "gives_up": gives_up,
    }


def told(left: dict[str, Any]) -> str:
    """Return the expected rest as words, or nothing where nothing can be said."""
    if not left["rows"]:
        return ""
    time = f", about {_time(left['seconds'])}" if left["seconds"] else ""
    if left.get("gives_up"):
        return f" As it looks there will be no verdict: {left['rows']:,} more rows{time}, and the stage gives up."
    return f" Expected: {left['rows']:,} more rows{time}."


def _scaled(missing: float, seen: int, rows: int) -> float:
    if missing <= 0:
        return 0.0
    return missing * rows / seen if seen else math.inf


def _time(seconds: float) -> str:
    for size, name in ((86_400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} seconds"
