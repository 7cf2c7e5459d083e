"""The bill of a store's runs: what the facts say was taken, at the prices of the project file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ..flow.actions.spending import taken_by_runs, taken_by_steps
from ..store.context import Context
from .cost import By, Line, bill, total
from .settings import PriceSettings


@dataclass(frozen=True, slots=True)
class Bill:
    """Lines and their sum."""

    by: By
    lines: tuple[Line, ...]
    total: Line


def spent(
    ctx: Context, prices: PriceSettings, *, by: By = By.RUN, since: datetime | None = None, run: str | None = None
) -> Bill:
    """Return what was taken and what it cost; `since`: by runs queued from then on; `run`: by this one."""
    read = taken_by_steps if by is By.STEP else taken_by_runs
    taken = read(ctx, since=since, run=run)
    return Bill(by, bill(taken, by, prices), total(taken, prices))
