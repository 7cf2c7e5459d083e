"""When a call that failed is made again, and after what pause. Pure."""

from __future__ import annotations

import random
from datetime import timedelta

from .records import RunError
from .step import Care

LONGEST_PAUSE = timedelta(minutes=5)
_NEVER = frozenset({"RunCancelled", "StaleState", "StoreUnavailable", "PipelineInvalid", "SystemExit"})
"""Errors that a further attempt cannot help, or that are not the step's."""
_ONLY_IF_LISTED = frozenset({"StepTimeout", "ValueNotStorable"})


def is_retried(care: Care, error: RunError, tried: int) -> bool:
    """Say whether a call that failed with `error` in its attempt number `tried` is made again."""
    if tried > care.retries or error.kind in _NEVER:
        return False
    if any(kind.__name__ == error.kind for kind in care.retry_on):
        return True
    broad = any(kind in (Exception, BaseException) for kind in care.retry_on)
    if error.kind in _ONLY_IF_LISTED:
        return False
    return broad or any(error.kind in _names_below(kind) for kind in care.retry_on)


def pause_before(care: Care, attempt: int, key: str) -> float:
    """Return the seconds before attempt number `attempt` (from 2): doubled each time, up to five minutes.

    A quarter more or less, by the call's key: calls that failed together do not come back together.
    """
    plain = min(care.pause.total_seconds() * 2.0 ** min(attempt - 2, 40), LONGEST_PAUSE.total_seconds())
    return plain * random.Random(f"{key}:{attempt}").uniform(0.75, 1.25)  # noqa: S311 - no secret


def told(care: Care, attempts: int, error: RunError | None) -> str:
    """Return what is said of further attempts, or nothing where one was enough."""
    if error is None or attempts < 2:
        return ""
    return f"; attempt {attempts} of {care.retries + 1}, after {error.kind}: {error.message[:200]}"


def _names_below(kind: type) -> set[str]:
    found = {kind.__name__}
    known: list[type] = type.__subclasses__(kind)
    for below in known:
        found |= _names_below(below)
    return found
