"""Verbs of answering, by group: `intake` (what gateways logged, what turned out true), `changing` (how what answers
changes), `publishing` (what gateways follow and say), `reading` (look-ups)."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .changing import advance, open_rollouts, start_rollout
from .intake import collect
from .keeping import erase_answers, forget_old
from .outcomes import join_outcomes, record_outcomes
from .publishing import publish, reports
from .reading import (
    counts,
    endpoint_states,
    failures,
    first_event,
    inputs_between,
    latest_predictions,
    live,
    log_losses,
    outcomes_of,
    prediction,
    predictions_between,
    predictions_of_key,
    replay,
    rollout,
    rollouts,
    route_of,
    waiting_outcomes,
    watermark,
)
from .secret import make_log_key
from .steering import abort, approve, pause, promote, resume, retire, rollback
from .syncing import sync_endpoints
from .watching import endpoint_view, endpoint_views, rollout_view, wait_for_gateways

if TYPE_CHECKING:
    from .online import OnlineState, fill_online, online_states

__all__ = [
    "OnlineState",
    "abort",
    "advance",
    "approve",
    "collect",
    "counts",
    "endpoint_states",
    "endpoint_view",
    "endpoint_views",
    "erase_answers",
    "failures",
    "fill_online",
    "first_event",
    "forget_old",
    "inputs_between",
    "join_outcomes",
    "latest_predictions",
    "live",
    "log_losses",
    "make_log_key",
    "online_states",
    "open_rollouts",
    "outcomes_of",
    "pause",
    "prediction",
    "predictions_between",
    "predictions_of_key",
    "promote",
    "publish",
    "record_outcomes",
    "replay",
    "reports",
    "resume",
    "retire",
    "rollback",
    "rollout",
    "rollout_view",
    "rollouts",
    "route_of",
    "start_rollout",
    "sync_endpoints",
    "wait_for_gateways",
    "waiting_outcomes",
    "watermark",
]

_LATER = ("OnlineState", "fill_online", "online_states")
"""Of `online`, which brings all of `data` along: a rollback, which is to take no time, does without."""


def __getattr__(name: str) -> Any:
    """Load what is heavy when it is first asked for."""
    if name in _LATER:
        return getattr(import_module(f"{__name__}.online"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
