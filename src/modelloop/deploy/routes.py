"""Faces of answering: rollouts, outcomes, one prediction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..ground.core.errors import OutcomeInvalid, UnknownPrediction
from ..ground.core.rights import Right
from ..ground.http import Call, Route, moment
from . import actions
from .records import Outcome

MOST_OUTCOMES = 50_000


def rollouts(call: Call) -> dict[str, Any]:
    """List rollouts, newest first."""
    return {"rollouts": actions.rollouts(call.ctx, call.query.get("endpoint"), limit=call.limit(100))}


def rollout(call: Call) -> Any:
    """Show one rollout with its verdicts."""
    return actions.rollout(call.ctx, call.path["id"])


def prediction(call: Call) -> dict[str, Any]:
    """Show which version answered a request, and what turned out true."""
    chosen = call.path["id"]
    return {"rows": actions.prediction(call.ctx, chosen), "outcomes": actions.outcomes_of(call.ctx, chosen)}


def outcomes(call: Call) -> dict[str, Any]:
    """Join outcomes to predictions."""
    rows = call.rows("outcomes")
    if len(rows) > MOST_OUTCOMES:
        raise OutcomeInvalid(f"{len(rows)} outcomes came at once.", hint=f"Send at most {MOST_OUTCOMES} in a request.")
    try:
        joined = actions.record_outcomes(
            call.ctx, call.text("endpoint"), [_outcome(row, n) for n, row in enumerate(rows)]
        )
    except UnknownPrediction as error:
        if "unknown" not in error.detail:
            raise
        error.detail["accepted"] = 0
        raise
    return {"accepted": joined.accepted, "unknown": joined.unknown}


def _outcome(row: Mapping[str, Any], place: int) -> Outcome:
    prediction_id, label, number = row.get("prediction_id"), row.get("label"), row.get("row", 0)
    if not isinstance(prediction_id, str) or not 1 <= len(prediction_id) <= 200:
        raise OutcomeInvalid(
            f"Outcome {place} has no usable prediction_id.", hint="Send the id that came with the answer."
        )
    if isinstance(label, bool):
        label = int(label)
    if not isinstance(label, int | float):
        found = "no label" if label is None else f"the label {str(label)[:60]!r}"
        raise OutcomeInvalid(f"Outcome {place} has {found}.", hint="Expected a number.")
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 1_000_000:
        raise OutcomeInvalid(f"Outcome {place} has the row {str(number)[:60]!r}.", hint="Expected 0, 1, 2, ...")
    return Outcome(prediction_id, float(label), moment(row.get("event_time"), f"outcomes[{place}].event_time"), number)


def deploy(call: Call) -> Any:
    """Begin to roll a version out."""
    endpoint, version = call.text("endpoint"), call.text("version")
    return actions.start_rollout(call.ctx, call.project, endpoint, version, reason=call.text("reason", "by the API"))


def rollback(call: Call) -> dict[str, Any]:
    """Let an earlier version answer again."""
    endpoint = call.text("endpoint")
    to = call.text("to") if call.body.get("to") is not None else None
    return {
        "endpoint": endpoint,
        "answers": actions.rollback(call.ctx, endpoint, to=to, reason=call.text("reason", "by the API")),
    }


def approve(call: Call) -> Any:
    """Agree that the rollout that waits at an endpoint goes on."""
    return actions.approve(call.ctx, call.text("endpoint"), reason=str(call.body.get("reason") or ""))


ROUTES = (
    Route("GET", "/rollouts", rollouts, Right.READ),
    Route("GET", "/rollouts/{id}", rollout, Right.READ),
    Route("GET", "/predictions/{id}", prediction, Right.READ),
    Route("POST", "/outcomes", outcomes, Right.LABEL),
    Route("POST", "/deploy", deploy, Right.DEPLOY),
    Route("POST", "/rollback", rollback, Right.DEPLOY),
    Route("POST", "/approve", approve, Right.DEPLOY),
)
