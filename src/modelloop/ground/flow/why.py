"""Why a step ran: what is different from the last time, part by part. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .records import StepKey

_MOST_NAMED = 4


def explain(now: StepKey, before: Mapping[str, Any] | None) -> str:
    """Say which code, arguments, seed or environment changed since the call with the parts `before`."""
    if before is None:
        return "first call"
    changes = [
        *_changes("code", now.code, before["code"]),
        *_changes("argument", now.arguments, before["arguments"]),
    ]
    if now.seed != before["seed"]:
        changes.append(f"seed {before['seed']} -> {now.seed}")
    if now.environment != before["environment"]:
        changes.append("Python or package versions changed")
    if not changes:
        return "nothing changed; the result is not kept"
    rest = len(changes) - _MOST_NAMED
    return "; ".join(changes[:_MOST_NAMED]) + (f"; and {rest} more" if rest > 0 else "")


def _changes(what: str, now: Mapping[str, str], before: Mapping[str, str]) -> list[str]:
    changed = [f"{what} {name} changed" for name in now if name in before and now[name] != before[name]]
    added = [f"{what} {name} is new" for name in now if name not in before]
    gone = [f"{what} {name} is gone" for name in before if name not in now]
    return changed + added + gone
