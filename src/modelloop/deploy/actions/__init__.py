"""Verbs of answering, by group: `intake` (what gateways logged, what turned out true), `changing` (how what answers
changes), `publishing` (what gateways follow and say), `reading` (look-ups)."""

from .changing import advance, approve, open_rollouts, rollback, start_rollout
from .intake import collect, record_outcomes
from .publishing import publish, reports
from .reading import (
    counts,
    endpoint_states,
    first_event,
    inputs_between,
    latest_predictions,
    live,
    outcomes_of,
    prediction,
    predictions_between,
    rollout,
    rollouts,
    route_of,
    watermark,
)

__all__ = [
    "advance",
    "approve",
    "collect",
    "counts",
    "endpoint_states",
    "first_event",
    "inputs_between",
    "latest_predictions",
    "live",
    "open_rollouts",
    "outcomes_of",
    "prediction",
    "predictions_between",
    "publish",
    "record_outcomes",
    "reports",
    "rollback",
    "rollout",
    "rollouts",
    "route_of",
    "start_rollout",
    "watermark",
]
