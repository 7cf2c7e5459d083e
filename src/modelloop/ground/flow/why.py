"""Why a step ran: what is different from the last time, part by part, down to the line. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from .records import Change, StepKey

_MOST_NAMED = 4
_MOST_LINES = 60
_SHORT = 12


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


def counterpart(before: Sequence[Mapping[str, Any]], place: int) -> Mapping[str, Any] | None:
    """Return the call of the last run that a call is compared with: the one in the same place, else the last one."""
    return before[min(place, len(before) - 1)] if before else None


def changes(now: Mapping[str, Any], before: Mapping[str, Any], parts: Mapping[str, Mapping[str, Any]]) -> list[Change]:
    """Return all that is different between two calls; `parts`: digest -> what it stands for, as far as it is kept."""
    found = []
    for label, old, new in _pairs(before["code"], now["code"]):
        found.append(Change("code", label, old[:_SHORT], new[:_SHORT], _diff(parts, label, old, new)))
    shown_before, shown_now = before.get("shown", {}), now.get("shown", {})
    for name, old, new in _pairs(before["arguments"], now["arguments"]):
        told = [
            f"{shown.get(name, '')} ({digest[:_SHORT]})".strip() if digest else ""
            for shown, digest in ((shown_before, old), (shown_now, new))
        ]
        found.append(Change("argument", name, *told))
    if now["seed"] != before["seed"]:
        found.append(Change("seed", "seed", str(before["seed"]), str(now["seed"])))
    return found + _packages(before["environment"], now["environment"], parts)


def _packages(old: str, new: str, parts: Mapping[str, Mapping[str, Any]]) -> list[Change]:
    if old == new:
        return []
    known = [parts.get(digest, {}).get("environment", {}) for digest in (old, new)]
    pairs = _pairs(*({k: str(v) for k, v in one.items() if v is not None} for one in known))
    found = [Change("package", name, was, now) for name, was, now in pairs]
    return found or [Change("package", "Python or packages", old[:_SHORT], new[:_SHORT])]


def _pairs(before: Mapping[str, str], now: Mapping[str, str]) -> list[tuple[str, str, str]]:
    names = [*now, *(name for name in before if name not in now)]
    return [(n, before.get(n, ""), now.get(n, "")) for n in names if before.get(n) != now.get(n)]


def _diff(parts: Mapping[str, Mapping[str, Any]], label: str, old: str, new: str) -> str:
    was, now = (str(parts.get(digest, {}).get("text", "")) for digest in (old, new))
    if not was and not now:
        return ""
    lines = difflib.unified_diff(was.splitlines(), now.splitlines(), "before", "now", lineterm="", n=2)
    kept = list(lines)[:_MOST_LINES]
    return "\n".join([f"--- {label}, before", f"+++ {label}, now", *kept[2:]])


def _changes(what: str, now: Mapping[str, str], before: Mapping[str, str]) -> list[str]:
    changed = [f"{what} {name} changed" for name in now if name in before and now[name] != before[name]]
    added = [f"{what} {name} is new" for name in now if name not in before]
    gone = [f"{what} {name} is gone" for name in before if name not in now]
    return changed + added + gone
