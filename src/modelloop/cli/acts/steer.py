"""The work of deploy, approve, rollout and rollouts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from rich.text import Text

from ...deploy import actions
from ...deploy.records import Rollout, StageVerdict
from ...deploy.watch import RolloutView, StageAt
from ...ground.core.errors import InvalidInput
from ...ground.replies import plain
from ...register import actions as register
from ...register.names import split
from ..desk import Desk
from ..face import Answer
from .named import check_endpoint
from .tables import facts, printed, table

_BY_HAND = "by the command line"


def deploy(desk: Desk, *, version: str, endpoint: str | None, reason: str) -> Answer:
    """Start a rollout."""
    said = split(version)
    place = endpoint or (_place(desk, said[0]) if said else "")
    chosen = register.get_version(desk.ctx, version)  # by an alias too; raises where it names none
    return _rollout(actions.start_rollout(desk.ctx, desk.project, place, chosen.name, reason=reason or _BY_HAND))


def _place(desk: Desk, model: str) -> str:
    """Return the one endpoint that serves a model."""
    places = [name for name, settings in desk.project.endpoints.items() if settings.model == model]
    if len(places) == 1:
        return places[0]
    if places:
        found = f"{len(places)} endpoints serve the model {model!r}."
        raise InvalidInput(found, hint=f"Name one: --endpoint {'|'.join(places)}.")
    declared = ", ".join(f"{name} ({settings.model})" for name, settings in desk.project.endpoints.items())
    raise InvalidInput(
        f"No endpoint serves the model {model!r}.",
        hint=f'The project file declares: {declared or "no endpoint"}. Add [endpoints.NAME] with model = "{model}".',
    )


def approve(desk: Desk, *, what: str, reason: str) -> Answer:
    """Approve the rollout that waits."""
    endpoint = actions.rollout(desk.ctx, what).endpoint if what.startswith("rollout_") else what
    return _rollout(actions.approve(desk.ctx, endpoint, reason=reason))


def pause(desk: Desk, *, endpoint: str, reason: str) -> Answer:
    """Hold a rollout."""
    return _rollout(actions.pause(desk.ctx, endpoint, reason=reason or _BY_HAND))


def resume(desk: Desk, *, endpoint: str, reason: str) -> Answer:
    """Let it go on."""
    return _rollout(actions.resume(desk.ctx, endpoint, reason=reason or _BY_HAND))


def promote(desk: Desk, *, endpoint: str, reason: str) -> Answer:
    """Skip what is left of it."""
    return _rollout(actions.promote(desk.ctx, endpoint, reason=reason or _BY_HAND))


def abort(desk: Desk, *, endpoint: str, reason: str) -> Answer:
    """Send it back."""
    return _rollout(actions.abort(desk.ctx, endpoint, reason=reason or _BY_HAND))


def retire(desk: Desk, *, endpoint: str, reason: str) -> Answer:
    """End an endpoint."""
    actions.retire(desk.ctx, desk.project, endpoint, reason=reason or _BY_HAND)
    return Answer({"endpoint": endpoint, "answers": None}, printed(Text(f"Nothing answers at {endpoint} any more.")))


def listing(desk: Desk, *, endpoint: str | None, limit: int) -> Answer:
    """List rollouts."""
    if endpoint is not None:
        check_endpoint(desk, endpoint)
    found = actions.rollouts(desk.ctx, endpoint, limit=limit)
    rows = [
        (
            r.started_at,
            r.endpoint,
            r.challenger,
            r.champion,
            _stage(r),
            r.verdicts[-1].reason if r.verdicts else "",
            r.id,
        )
        for r in found
    ]
    columns = ("started", "endpoint", "challenger", "champion", "stage", "what was said last", "id")
    return Answer(
        {"rollouts": found}, printed(table(columns, rows, empty="no rollout yet: `modelloop deploy` starts one"))
    )


def show(desk: Desk, *, what: str) -> Answer:
    """Show one rollout."""
    seen = actions.rollout_view(desk.ctx, what)
    reached = actions.wait_for_gateways(desk.ctx, timedelta(0))
    rollout = seen.rollout
    pairs = [
        ("rollout", rollout.id),
        ("endpoint", rollout.endpoint),
        ("challenger", rollout.challenger),
        ("champion", rollout.champion),
        ("strategy", f"{seen.strategy}, to be {seen.goal.replace('_', ' ')}"),
        ("stage", _stage(rollout)),
        ("why", rollout.reason),
    ]
    if not seen.over:
        pairs += [("in this stage for", _length(seen.stage_seconds)), ("until a verdict", _remaining(seen))]
        pairs += [("gateways with this step", reached.told())]
    if seen.compared is not None:
        pairs += [("compared", _compared(seen))]
    way = [(_name(stage), f"{stage.share:.0%}", stage.state, *_said(stage)) for stage in seen.way]
    told = plain(seen)
    return Answer(
        {**told.pop("rollout"), **told, "gateways": reached},
        printed(facts(pairs), table(("stage", "share", "", "verdict", "why"), way)),
    )


def _rollout(rollout: Rollout) -> Answer:
    pairs = (
        ("rollout", rollout.id),
        ("endpoint", rollout.endpoint),
        ("challenger", rollout.challenger),
        ("champion", rollout.champion),
        ("stage", _stage(rollout)),
    )
    return Answer(rollout, printed(facts(pairs)))


def _stage(rollout: Rollout) -> str:
    step = f" {rollout.step + 1}" if rollout.stage == "canary" else ""
    return f"{rollout.stage}{step}{f', paused by {rollout.paused_by}' if rollout.paused_by else ''}"


def _name(stage: StageAt) -> str:
    return f"{stage.stage} {stage.step + 1}" if stage.stage == "canary" else stage.stage


def _said(stage: StageAt) -> tuple[Any, str]:
    verdict: StageVerdict | None = stage.verdict
    return (verdict.decision, verdict.reason) if verdict else (None, "")


def _remaining(seen: RolloutView) -> str:
    rows = "" if seen.remaining_rows is None else f"about {seen.remaining_rows:,} rows"
    wait = "" if seen.remaining_seconds is None else f"about {_length(seen.remaining_seconds)} at the present rate"
    return ", ".join(part for part in (rows, wait) if part) or "nobody can say yet"


def _compared(seen: RolloutView) -> str:
    compared = seen.compared
    assert compared is not None
    apart = "" if compared.disagreement is None else f", {compared.disagreement:.4g} apart on average"
    return f"{compared.pairs:,} pairs of {compared.rows:,} rows{apart}; the challenger failed {compared.failed:,}"


def _length(seconds: float) -> str:
    whole = timedelta(seconds=round(seconds))
    return str(whole)
