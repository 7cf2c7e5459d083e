"""What runs took and cost."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from ..face import act
from ..options import PLAIN, Limit, Options

By = Literal["step", "run", "pipeline", "month", "project"]


def cost(
    *,
    by: By = "run",
    since: Annotated[str | None, Parameter(help="Runs queued from this day or time on: 2026-11-01.")] = None,
    run: Annotated[str | None, Parameter(help="Only this run, run_...")] = None,
    limit: Limit = 50,
    face: Options = PLAIN,
) -> int:
    """Show what runs took of processors, memory and GPUs, and what it cost by the price table in [pool.prices].

    Parameters
    ----------
    by
        What is added up.
    """
    return act("cost:cost", face, by=by, since=since, run=run, limit=limit)
