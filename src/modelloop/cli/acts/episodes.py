"""The work of `modelloop episodes`."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from ...ground.flow import actions as flow
from ...retrain import actions
from ...web.facts import rollout_or_none
from ...web.telling import tell, title
from ..desk import Desk
from ..face import Answer
from .tables import facts, printed, table


def listing(desk: Desk) -> Answer:
    """List episodes, newest first."""
    found = actions.episodes(desk.ctx)
    rows = [(e.number, e.event_time, title(e), e.result or e.state, e.id) for e in found]
    return Answer(
        {"episodes": found},
        printed(table(("", "event time", "began → made", "result", "id"), rows, empty="no episode yet")),
    )


def show(desk: Desk, *, episode: str) -> Answer:
    """Show an episode with its evidence."""
    found = actions.get_episode(desk.ctx, episode)
    run = flow.get_run(desk.ctx, found.run) if found.run else None
    told = tell(found, run, rollout_or_none(desk.ctx, found.rollout))
    return Answer(told, printed(*evidence(told)))


def evidence(told: dict[str, Any]) -> list[Any]:
    """Return what is printed of an episode that was told."""
    gates = [(g["gate"], g["verdict"], g["value"], g["rows"], g["reason"]) for g in told["gates"]]
    stages = [(s["stage"], s["decision"], _line(s["numbers"]), s["reason"]) for s in told["stages"]]
    return [
        facts(
            (
                ("episode", told["number"]),
                ("id", told["id"]),
                ("event time", str(told["event_time"])[:10]),
                ("endpoint", told["endpoint"]),
            )
        ),
        _head("signal"),
        facts((("trigger", told["trigger"]), ("reason", told["reason"]), ("measured", _line(told["signal"]) or None))),
        _head("run"),
        facts((("run", told["run"]), ("state", told["run_state"]), ("numbers", _line(told["run_numbers"]) or None))),
        _head("gates"),
        facts((("version", told["version"]), ("quality", told["quality"] or None))),
        table(("gate", "verdict", "value", "rows", "why"), gates, empty="nothing judged yet"),
        _head("rollout"),
        table(("stage", "decision", "numbers", "why"), stages, empty="not tried"),
        _head("result"),
        facts((("result", told["result"] or told["state"]), ("why", told["result_text"] or None))),
    ]


def _head(word: str) -> Text:
    return Text(f"\n{word}", style="bold")


def _line(numbers: list[Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in numbers)
