"""Pages of what goes by the wall clock: triggers and their calendars, and what runs cost."""

from __future__ import annotations

from typing import Any

from ..ground.http import Call
from ..ground.pool.cost import By, Line, is_priced
from ..ground.pool.spending import Bill, spent
from ..retrain import actions as retrain
from ..retrain.records import Episode, Fire, TriggerState
from ..retrain.settings import TriggerOn, TriggerSettings
from .lengths import clip, more

_EPISODES = 200
_CAUSES = 20


def triggers(call: Call) -> dict[str, Any]:
    """Show triggers: what they wait for, when that is next, what became of the last causes."""
    episodes = retrain.episodes(call.ctx, limit=_EPISODES)
    found = retrain.triggers(call.ctx, call.project)
    return {
        "now": call.ctx.now(),
        "triggers": [_trigger(one, call.project.triggers[one.name], episodes) for one in found],
    }


def costs(call: Call) -> dict[str, Any]:
    """Show what runs took and cost: by month, pipeline and run."""
    limit, prices = call.limit(50), call.project.pool.prices
    bills = {by: spent(call.ctx, prices, by=by) for by in (By.MONTH, By.PIPELINE, By.RUN)}
    return {
        "priced": is_priced(prices),
        "prices": prices,
        "total": _line(bills[By.RUN].total),
        "months": _lines(bills[By.MONTH], limit),
        "pipelines": _lines(bills[By.PIPELINE], limit),
        "runs": _lines(bills[By.RUN], limit),
        "more_runs": more(bills[By.RUN].lines, limit),
    }


def _trigger(state: TriggerState, settings: TriggerSettings, episodes: list[Episode]) -> dict[str, Any]:
    causes = [_fire(one) for one in state.fires]
    noted = {one["episode"] for one in causes}
    opened = [_episode(one) for one in episodes if one.trigger == state.name and one.id not in noted]
    both = sorted([*causes, *opened], key=lambda one: one["at"], reverse=True)
    return {
        "name": state.name,
        "on": state.on,
        "waits_for": _waits_for(settings),
        "pipeline": state.pipeline,
        "endpoint": state.endpoint,
        "upcoming": state.upcoming,
        "missed": str(settings.missed) if settings.on is TriggerOn.CRON else None,
        "causes": both[:_CAUSES],
    }


def _waits_for(settings: TriggerSettings) -> str:
    told = {
        TriggerOn.CRON: f"{settings.cron} ({settings.time_zone})",
        TriggerOn.DATA: f"a new version of {settings.dataset}",
        TriggerOn.ALERT: f"an alert of {settings.monitor}",
        TriggerOn.SCHEDULE: f"{settings.every} of event time since the last training data",
    }
    return clip(told[settings.on])


def _fire(one: Fire) -> dict[str, Any]:
    return {
        "at": one.decided_at,
        "cause": one.mark,
        "what": one.what,
        "reason": clip(one.reason),
        "run": one.run,
        "episode": one.episode,
    }


def _episode(one: Episode) -> dict[str, Any]:
    return {
        "at": one.opened_at,
        "cause": one.signal or "",
        "what": "fired",
        "reason": clip(one.reason),
        "run": one.run,
        "episode": one.id,
    }


def _lines(bill: Bill, limit: int) -> list[dict[str, Any]]:
    return [_line(one) for one in bill.lines[:limit]]


def _line(one: Line) -> dict[str, Any]:
    return {
        "name": clip(one.name, 120),
        "runs": one.runs,
        "wall_seconds": one.wall_seconds,
        "cpu_hours": one.cpu_hours,
        "memory_gb_hours": one.memory_gb_hours,
        "gpu_hours": one.gpu_hours,
        "cost": str(one.cost) if one.cost else "",
    }
