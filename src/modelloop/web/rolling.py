"""A rollout as pictures and sentences: its way, the interval that decides, both versions' answers. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..deploy.records import StageVerdict
from ..deploy.watch import Compared, RolloutView, StageAt
from ..ground.replies import plain
from .pages import figure, lasted, share
from .telling import stages

WIDTH = 1040.0
_GAP = 10.0
_WORDS = {
    "check": "loaded by all",
    "shadow": "scored beside",
    "canary": "of callers",
    "test": "of callers",
    "approval": "a person",
    "bake": "all callers, watched",
    "live": "all callers",
}


def tell_rollout(seen: RolloutView) -> dict[str, Any]:
    """Return everything that the page shows of a rollout."""
    rollout, verdict = seen.rollout, seen.verdict
    return {
        "id": rollout.id,
        "endpoint": rollout.endpoint,
        "champion": rollout.champion,
        "challenger": rollout.challenger,
        "stage": str(rollout.stage),
        "over": seen.over,
        "paused_by": rollout.paused_by,
        "approved_by": rollout.approved_by,
        "reason": rollout.reason,
        "actor": rollout.actor,
        "started_at": rollout.started_at,
        "strategy": seen.strategy.replace("_", " ").replace("ab test", "A/B test").replace("blue green", "blue/green"),
        "goal": seen.goal.replace("_", " "),
        "bar": bar(seen.way),
        "verdict": verdict,
        "interval": interval(verdict) if verdict else None,
        "remaining": remaining(seen),
        "lasted": lasted(seen.stage_seconds) or "0 s",
        "verdicts": stages(plain(list(rollout.verdicts))),
        "compared": compared(seen.compared) if seen.compared else None,
        "champions": seen.compared is not None and any(seen.compared.champion),
    }


def bar(way: tuple[StageAt, ...]) -> list[dict[str, Any]]:
    """Return one box for each stage, from left to right."""
    width = (WIDTH + _GAP) / max(1, len(way)) - _GAP
    return [
        {
            "x": round(number * (width + _GAP), 1),
            "width": round(width, 1),
            "middle": round(number * (width + _GAP) + width / 2, 1),
            "word": f"{one.stage} {one.step + 1}" if one.stage == "canary" else one.stage,
            "about": _about(one),
            "filled": round(width * one.share, 1),
            "state": one.state,
            "reason": one.verdict.reason if one.verdict else "",
        }
        for number, one in enumerate(way)
    ]


def _about(one: StageAt) -> str:
    word = _WORDS.get(one.stage, "")
    return f"{share(one.share)} {word}" if one.stage in ("shadow", "canary", "test") else word


def remaining(seen: RolloutView) -> str:
    """Return how long a verdict will take at the present rate."""
    rows = "" if seen.remaining_rows is None else f"about {seen.remaining_rows:,} rows"
    wait = "" if seen.remaining_seconds is None else f"about {lasted(seen.remaining_seconds) or '0 s'}"
    return ", ".join(part for part in (rows, wait) if part)


def interval(verdict: StageVerdict) -> dict[str, Any] | None:
    """Return the confidence sequence of the loss difference as it is now, with the margin, on one axis."""
    low, high, margin = (_number(verdict.numbers, name) for name in ("low", "high", "margin"))
    if low is None or high is None:
        return None
    middle = _number(verdict.numbers, "difference")
    margin = margin or 0.0
    reach = max(abs(low), abs(high), abs(margin), 1e-6) * 1.1
    shown = {"low": low, "high": high, "zero": 0.0, "margin": margin, "middle": middle}

    def place(value: float) -> float:
        return round(WIDTH / 2 + value / reach * (WIDTH / 2), 1)

    ticks = [{"x": place(at), "text": figure(at)} for at in (-reach / 2, 0.0, reach / 2)]
    return {
        "places": {name: None if value is None else place(value) for name, value in shown.items()},
        "text": {name: None if value is None else figure(value) for name, value in shown.items()},
        "ticks": ticks,
        "state": "worse" if low > margin else "better" if high < margin else "open",
    }


def _number(numbers: Mapping[str, Any], name: str) -> float | None:
    value = numbers.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def compared(found: Compared) -> dict[str, Any]:
    """Return both versions' answers as two rows of bars over the same scale, in shares of their own answers."""
    old, new = _shares(found.champion), _shares(found.challenger)
    tallest = max((*old, *new), default=0.0) or 1.0
    width = WIDTH / max(1, len(found.edges) - 1)
    bars = [
        {
            "x": round(number * width + 1, 1),
            "width": round(width / 2 - 1.5, 1),
            "other": round(number * width + width / 2, 1),
            "champion": round(90 * champion / tallest, 1),
            "challenger": round(90 * challenger / tallest, 1),
            "middle": round((number + 0.5) * width, 1),
            "name": found.classes[number] if found.classes else "",
            "text": f"{_answer(found, number)}: champion {share(champion)}, challenger {share(challenger)}",
        }
        for number, (champion, challenger) in enumerate(zip(old, new, strict=True))
    ]
    return {
        "rows": found.rows,
        "pairs": found.pairs,
        "failed": found.failed,
        "disagreement": found.disagreement,
        "largest": found.largest,
        "bars": bars,
        "classes": len(found.classes),
        "low": figure(found.edges[0]) if found.edges and not found.classes else "",
        "high": figure(found.edges[-1]) if found.edges and not found.classes else "",
    }


def _answer(found: Compared, number: int) -> str:
    if found.classes:
        return found.classes[number]
    return f"{figure(found.edges[number])} to {figure(found.edges[number + 1])}"


def _shares(counts: tuple[int, ...]) -> list[float]:
    total = sum(counts) or 1
    return [count / total for count in counts]
