"""Everything that is shown of endpoints and rollouts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.engine import Connection, RowMapping

from ...ground.core.errors import NotFound
from ...ground.core.ids import check_id
from ...ground.core.records import Verdict
from ...ground.store.context import Context
from ...register import actions as register
from ...register.records import Kind
from .. import tables
from ..reach import reach
from ..records import Stage
from ..rollout import OVER
from ..watch import Compared, EndpointView, RolloutView, compare, view
from .outcomes import class_names
from .publishing import policy_of, reports, to_rollout
from .reading import live

if TYPE_CHECKING:
    from ...project import Project

LOOKED_AT = 5000
"""Rows of a stage, the newest, whose answers are compared on the page. Verdicts use all."""
PAST = 20


def rollout_view(ctx: Context, what: str) -> RolloutView:
    """Return a rollout by its id, or the newest one of an endpoint; raises NotFound."""
    with ctx.db.reading() as connection:
        if what.startswith("rollout_"):
            row = tables.find(connection, tables.rollout, id=check_id(what, "rollout"))
        else:
            row = next(iter(tables.rollouts(connection, what, 1)), None)
        if row is None:
            known = ", ".join(place["name"] for place in tables.endpoints(connection)) or "none yet"
            raise NotFound(
                f"There is no rollout {what[:60]!r}, and none was at an endpoint of that name.",
                hint=f"Endpoints with rollouts: {known}.",
            )
        compared = _compared(ctx, connection, row)
    return view(to_rollout(row), policy_of(row), compared, ctx.now())


def endpoint_views(ctx: Context, project: Project) -> list[EndpointView]:
    """Return every endpoint that the project file declares, or at which something still answers."""
    with ctx.db.reading() as connection:
        places = {place["name"]: place for place in tables.endpoints(connection)}
    left = [name for name, place in places.items() if name not in project.endpoints and place["champion"]]
    return [endpoint_view(ctx, project, name) for name in (*project.endpoints, *left)]


def endpoint_view(ctx: Context, project: Project, name: str) -> EndpointView:
    """Return one endpoint; raises NotFound where the file declares none and nothing was ever rolled out."""
    with ctx.db.reading() as connection:
        place = tables.find(connection, tables.endpoint, name=name)
        rows = tables.rollouts(connection, name, PAST)
        earlier = tables.answered_before(connection, name)
        routing = tables.find(connection, tables.routing, id=1)
        rolling = next((row for row in rows if row["closed_at"] is None), None)
        compared = _compared(ctx, connection, rolling) if rolling else None
    settings = project.endpoints.get(name)
    if place is None and settings is None:
        raise NotFound(
            f"There is no endpoint {name[:80]!r}.",
            hint=f"The project file declares: {', '.join(project.endpoints) or 'none'}.",
        )
    champion = place["champion"] if place else None
    model = settings.model if settings else place["model"] if place else None
    open_one = view(to_rollout(rolling), policy_of(rolling), compared, ctx.now()) if rolling else None
    return EndpointView(
        endpoint=name,
        declared=settings is not None,
        model=model,
        champion=champion,
        standby=place["standby"] if place else None,
        open=open_one,
        earlier=tuple(version for version in earlier if version != champion),
        startable=_startable(ctx, model, champion) if settings and open_one is None else (),
        lives=tuple(live(ctx, name, limit=PAST)),
        rollouts=tuple(to_rollout(row) for row in rows),
        reach=reach(reports(ctx), routing["generation"] if routing else 0, ctx.now()),
    )


def _startable(ctx: Context, model: str | None, champion: str | None) -> tuple[str, ...]:
    """Return versions that `start_rollout` would take: served ones whose gates passed, or that met none."""
    found = register.versions(ctx, model)[::-1] if model in register.models(ctx) else ()
    fit = [one for one in found if one.package and (one.verdict is Verdict.PASS or one.kind is Kind.MLFLOW)]
    return tuple(one.name for one in fit if one.name != champion)[:PAST]


def _compared(ctx: Context, connection: Connection, row: RowMapping) -> Compared | None:
    rollout = to_rollout(row)
    if rollout.stage in OVER or rollout.stage is Stage.CHECK or rollout.champion is None:
        return None
    place = tables.find(connection, tables.endpoint, name=rollout.endpoint)
    since = rollout.stage_since
    rows = tables.compared(connection, rollout.endpoint, row["generation"] or 0, since, LOOKED_AT)
    if place is None:
        return compare(rows, rollout, "binary")
    return compare(rows, rollout, place["task"], class_names(ctx, dict(place)) if place["task"] == "multiclass" else ())
