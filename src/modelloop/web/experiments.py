"""Pages of experiments: all, one with its leaderboard, runs side by side."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ..evaluate import routes
from ..evaluate.experiments import actions
from ..evaluate.experiments.records import Comparison, Entry, Line
from ..ground.http import Call
from .axes import COLOURS, curves_of, parallel
from .lengths import clip, more

SHOWN = 200
"""Lines of a board that a page shows; all of them take part in what is said."""


def listing(call: Call) -> dict[str, Any]:
    """Show experiments, the one changed last first."""
    found = actions.overview(call.ctx, call.project.objective, limit=call.limit(50))
    return {
        "experiments": [
            {
                "name": clip(one.experiment.name, 120),
                "id": one.experiment.id,
                "runs": one.runs,
                "last": _moment(one.last_ms),
                "metric": one.headline.metric if one.headline else "",
                "best": one.best,
                "best_run": one.best_run,
            }
            for one in found
        ]
    }


def board(call: Call) -> dict[str, Any]:
    """Show an experiment: its leaderboard, which differences are noise, and how parameters went with the metric."""
    told = routes.board(call)
    experiment, found = told["experiment"], told["board"]
    return {
        "name": clip(experiment.name, 120),
        "id": experiment.id,
        "where": call.query.get("where", ""),
        "headline": found.headline,
        "confidence": found.confidence,
        "verdict": found.verdict,
        "lines": [_line(one) for one in found.lines[:SHOWN]],
        "more": more(found.lines, SHOWN),
        "parallel": parallel(found),
        "metrics": sorted({name for line in found.lines for name in line.entry.metrics})[:200],
    }


def compare(call: Call) -> dict[str, Any]:
    """Show runs side by side: metrics, parameters that differ, curves."""
    told = routes.compare(call)
    found: Comparison = told["comparison"]
    return {
        "columns": [
            {
                "run": one.run,
                "name": clip(one.name or one.run, 40),
                "status": one.status,
                "start": _moment(one.start_ms),
            }
            for one in found.columns
        ],
        "headline": found.headline,
        "metrics": [
            {"name": name, "values": estimates, "best": found.best.get(name)}
            for name, estimates in list(found.metrics.items())[:SHOWN]
        ],
        "params": [
            {"name": row.name, "values": [_short(v) for v in row.values]} for row in found.params if row.differs
        ],
        "same": sum(not row.differs for row in found.params),
        "curve": told["curve"],
        "curves": curves_of(told["curves"]),
        "colours": COLOURS,
        "runs": ",".join(one.run for one in found.columns),
    }


def _line(line: Line) -> Mapping[str, Any]:
    return {
        "place": line.place,
        "name": clip(line.entry.name or line.entry.runs[0], 60),
        "runs": list(line.entry.runs[:20]),
        "count": len(line.entry.runs),
        "estimate": line.entry.estimate,
        "standing": str(line.standing),
        "gap": line.gap,
        "params": _params(line.entry),
    }


def _params(entry: Entry) -> list[tuple[str, str]]:
    return [(name, clip(value, 40)) for name, value in list(entry.params.items())[:12]]


def _short(value: str | None) -> str | None:
    return None if value is None else clip(value, 80)


def _moment(at_ms: int | None) -> datetime | None:
    return None if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC)
