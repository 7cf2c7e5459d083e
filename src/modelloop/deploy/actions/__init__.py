"""Verbs of answering, by group: `intake` (what gateways logged, what turned out true), `changing` (how what answers
changes), `publishing` (what gateways follow and say), `reading` (look-ups)."""

from typing import TYPE_CHECKING

from ...ground.core.later import on_demand

if TYPE_CHECKING:
    from .changing import advance, open_rollouts, start_rollout
    from .erasing import erase_answers, erasures, finish_erasures
    from .intake import collect
    from .keeping import forget_old
    from .online import OnlineState, fill_online, online_states
    from .outcomes import join_outcomes, record_outcomes
    from .publishing import publish, reports, wait_for_gateways
    from .reading import (
        classes_of,
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
    from .watching import endpoint_view, endpoint_views, rollout_view

__all__ = [
    "OnlineState",
    "abort",
    "advance",
    "approve",
    "classes_of",
    "collect",
    "counts",
    "endpoint_states",
    "endpoint_view",
    "endpoint_views",
    "erase_answers",
    "erasures",
    "failures",
    "fill_online",
    "finish_erasures",
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

# A rollback, which is to take no time, needs a few of them: the others are not loaded for it.
__getattr__ = on_demand(
    __name__,
    {
        ".changing": ("advance", "open_rollouts", "start_rollout"),
        ".erasing": ("erase_answers", "erasures", "finish_erasures"),
        ".intake": ("collect",),
        ".keeping": ("forget_old",),
        ".online": ("OnlineState", "fill_online", "online_states"),
        ".outcomes": ("join_outcomes", "record_outcomes"),
        ".publishing": ("publish", "reports", "wait_for_gateways"),
        ".reading": (
            "classes_of",
            "counts",
            "endpoint_states",
            "failures",
            "first_event",
            "inputs_between",
            "latest_predictions",
            "live",
            "log_losses",
            "outcomes_of",
            "prediction",
            "predictions_between",
            "predictions_of_key",
            "replay",
            "rollout",
            "rollouts",
            "route_of",
            "waiting_outcomes",
            "watermark",
        ),
        ".secret": ("make_log_key",),
        ".steering": ("abort", "approve", "pause", "promote", "resume", "retire", "rollback"),
        ".syncing": ("sync_endpoints",),
        ".watching": ("endpoint_view", "endpoint_views", "rollout_view"),
    },
)
