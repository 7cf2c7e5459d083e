"""What the project file says of endpoints, brought to the gateways: without a rollout, as soon as the file says so."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ...ground.core.errors import StaleState
from ...ground.core.records import Event
from ...ground.store import audit
from ...ground.store.context import Context
from .. import rollout as rules
from .. import tables
from ..records import Stage
from ..serving import serving_of, written
from ..settings import EndpointSettings
from ..verdict import Rule
from .moving import write
from .publishing import publish, settle, to_rollout

if TYPE_CHECKING:
    from ...project import Project


def served(project: Project, settings: EndpointSettings) -> dict[str, Any]:
    """Return the columns of an endpoint that settings alone decide: they change without a rollout."""
    values: dict[str, Any] = {name: getattr(settings, name) for name in ("key", "max_body", "max_rows")}
    return {**values, "serving": written(serving_of(settings, project.online, Rule.of_objective(project.objective)))}


def sync_endpoints(ctx: Context, project: Project) -> list[str]:
    """Let gateways know what the project file says now of limits, log, features; return the endpoints that changed.

    An endpoint that the file no longer declares goes on answering: whoever calls it must not learn of a changed file by
    an outage. Nothing new comes to it, so a rollout before its end is sent back; `retire` ends it.
    """
    with ctx.db.reading() as connection:
        places = {place["name"]: dict(place) for place in tables.endpoints(connection)}
        rolling = tables.open_rollouts(connection)
    for row in rolling:
        if row["endpoint"] not in project.endpoints and row["stage"] != Stage.BAKE:
            before = to_rollout(row)
            why = f"The project file no longer declares the endpoint {before.endpoint!r}."
            with suppress(StaleState):  # somebody else moved it: the next look sees what came of it
                write(ctx, before, rules.withdrawn(before, why, ctx.now()))
    changed = []
    for name, settings in project.endpoints.items():
        wanted = served(project, settings)
        if name in places and {key: places[name][key] for key in wanted} != wanted:
            _change(ctx, name, places[name], wanted)
            changed.append(name)
    if changed:
        publish(ctx)
    return changed


def _change(ctx: Context, name: str, place: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    new = _differences(place, wanted)
    with ctx.db.transaction() as connection:
        tables.change(connection, tables.endpoint, {"name": name}, wanted)
        generation = settle(connection, ctx)
        facts = {"changed": new, "generation": generation}
        audit.append(connection, ctx, Event("endpoint.changed", f"endpoint:{name}", facts))


def _differences(place: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is new, settings within `serving` by their own names."""
    flat_old = {**place["serving"], **{key: place[key] for key in wanted if key != "serving"}}
    flat_new = {**wanted["serving"], **{key: wanted[key] for key in wanted if key != "serving"}}
    return {key: value for key, value in flat_new.items() if flat_old.get(key) != value}
