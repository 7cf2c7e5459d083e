"""One row of 30 features as one tensor, 200 trees: the gateway with canary, metrics and log beside the bare limit."""

from __future__ import annotations

from ..measure import Measured, Work
from .answer import BAR, REFERENCE, measured


def _run() -> Measured:
    return measured(None)


WORK = Work("one row, 200 trees: canary, metrics and log on", REFERENCE, BAR, _run)
