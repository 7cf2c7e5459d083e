"""The work of deploy, rollback and approve."""

from __future__ import annotations

from rich.text import Text

from ...deploy import actions
from ...deploy.records import Rollout
from ...ground.core.errors import InvalidInput
from ..desk import Desk
from ..face import Answer
from .tables import facts, printed


def deploy(desk: Desk, *, version: str, endpoint: str | None, reason: str) -> Answer:
    """Start a rollout."""
    model = version.partition(":")[0]
    places = [name for name, settings in desk.project.endpoints.items() if settings.model == model]
    if endpoint is None and len(places) != 1:
        raise InvalidInput(
            f"{len(places)} endpoints serve the model {model!r}.",
            hint=f"Name one: --endpoint {'|'.join(places) or 'NAME'}.",
        )
    chosen = endpoint or places[0]
    rollout = actions.start_rollout(desk.ctx, desk.project, chosen, version, reason=reason or "by the command line")
    return _rollout(rollout)


def rollback(desk: Desk, *, endpoint: str, to: str | None, reason: str) -> Answer:
    """Go back."""
    answers = actions.rollback(desk.ctx, endpoint, to=to, reason=reason or "by the command line")
    told = f"{answers or 'No version'} answers at {endpoint}."
    return Answer({"endpoint": endpoint, "answers": answers or None}, printed(Text(told)))


def approve(desk: Desk, *, what: str, reason: str) -> Answer:
    """Approve the rollout that waits."""
    endpoint = actions.rollout(desk.ctx, what).endpoint if what.startswith("rollout_") else what
    return _rollout(actions.approve(desk.ctx, endpoint, reason=reason))


def _rollout(rollout: Rollout) -> Answer:
    pairs = (
        ("rollout", rollout.id),
        ("endpoint", rollout.endpoint),
        ("challenger", rollout.challenger),
        ("champion", rollout.champion),
        ("stage", rollout.stage),
    )
    return Answer(rollout, printed(facts(pairs)))
