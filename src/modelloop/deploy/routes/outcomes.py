"""Faces of what turned out true, and of what the prediction log holds."""

from __future__ import annotations

from typing import Any

from ...ground.core.errors import InvalidInput, OutcomeInvalid, UnknownPrediction
from ...ground.core.rights import Right
from ...ground.http import Call, Route
from .. import actions
from ..sent import Place, truth_of

MOST_OUTCOMES = 50_000


def prediction(call: Call) -> dict[str, Any]:
    """Show which version answered a request, and what turned out true."""
    chosen = call.path["id"]
    return {"rows": actions.prediction(call.ctx, chosen), "outcomes": actions.outcomes_of(call.ctx, chosen)}


def predictions(call: Call) -> dict[str, Any]:
    """List answered rows of an endpoint, newest first; `key=` those of a business key."""
    endpoint, key = call.query.get("endpoint", ""), call.query.get("key")
    if not endpoint:
        raise InvalidInput("No endpoint is named.", hint="Ask with ?endpoint=NAME, and key=VALUE for a business key.")
    if key is None:
        return {"rows": actions.latest_predictions(call.ctx, endpoint, call.limit(100))}
    return {"rows": actions.predictions_of_key(call.ctx, endpoint, key, limit=call.limit(100))}


def outcomes(call: Call) -> dict[str, Any]:
    """Join outcomes to predictions, by prediction id or by business key."""
    rows = call.rows("outcomes")
    if len(rows) > MOST_OUTCOMES:
        raise OutcomeInvalid(f"{len(rows)} outcomes came at once.", hint=f"Send at most {MOST_OUTCOMES} in a request.")
    truths = [truth_of(row, Place(f"outcomes[{number}]", ".")) for number, row in enumerate(rows)]
    try:
        joined = actions.record_outcomes(call.ctx, call.text("endpoint"), truths)
    except UnknownPrediction as error:
        if "unknown" in error.detail:
            error.detail["accepted"] = 0
        raise
    return {"accepted": joined.accepted, "unknown": joined.unknown, "waiting": joined.waiting}


def waiting(call: Call) -> dict[str, Any]:
    """List outcomes of an endpoint whose prediction is not known yet."""
    return {"waiting": actions.waiting_outcomes(call.ctx, call.path["name"], limit=call.limit(100))}


def failures(call: Call) -> dict[str, Any]:
    """List requests that no version answered, because of the version."""
    return {"failures": actions.failures(call.ctx, call.path["name"], limit=call.limit(100))}


def log(call: Call) -> dict[str, Any]:
    """Show what writers of the prediction log could not keep."""
    return {"losses": actions.log_losses(call.ctx)}


ROUTES = (
    Route("GET", "/predictions", predictions, Right.READ),
    Route("GET", "/predictions/{id}", prediction, Right.READ),
    Route("POST", "/outcomes", outcomes, Right.LABEL),
    Route("GET", "/endpoints/{name}/waiting", waiting, Right.READ),
    Route("GET", "/endpoints/{name}/failures", failures, Right.READ),
    Route("GET", "/log", log, Right.READ),
)
