"""What gateways follow and what they say. The document is made from facts, and made again where it differs."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy.engine import Connection, RowMapping

from ...ground.core.errors import BlobMissing, InvalidInput
from ...ground.store.context import Context
from ...register import actions as register
from ...register.records import Routed
from .. import tables
from ..records import Arm, GatewayReport, Rollout, Route, RoutingTable, Stage, StageVerdict
from ..rollout import Served, route
from ..settings import RolloutSettings
from ..table import REPORTS, TABLE_DOCUMENT, decode_report, encode_table

ATTEMPTS = 5


def publish(ctx: Context) -> int:
    """Write the routing table that the facts demand, if the present one differs; return its generation.

    Call it after every change, and every turn: a process that died between its facts and the document is made up for.
    """
    generation = -1
    for _ in range(ATTEMPTS):
        with ctx.db.reading() as connection:
            stored = tables.find(connection, tables.routing, id=1)
            settled = stored is not None and stored["routes"] == _plain(routes(connection))
        if stored is None or not settled:
            with ctx.db.transaction() as connection:
                settle(connection, ctx)
            continue
        if stored["generation"] == generation:
            break
        generation = stored["generation"]
        data = encode_table(RoutingTable(generation, msgspec.convert(stored["routes"], tuple[Route, ...])))
        if _document(ctx) != data:
            # Read the facts once more afterwards: of two writers the one with the newer facts comes last.
            ctx.blobs.write_document(TABLE_DOCUMENT, data)
        else:
            break
    return generation


def _document(ctx: Context) -> bytes | None:
    try:
        return ctx.blobs.read_document(TABLE_DOCUMENT)
    except BlobMissing:
        return None


def settle(connection: Connection, ctx: Context) -> int:
    """Give the routes that the facts demand their generation, within the transaction that changed the facts."""
    stored = tables.routing_for_update(connection)
    wanted = _plain(routes(connection))
    if stored["routes"] == wanted and stored["generation"] > 0:
        return int(stored["generation"])
    generation = int(stored["generation"]) + 1
    tables.change(connection, tables.routing, {"id": 1}, {"generation": generation, "routes": wanted, "at": ctx.now()})
    return generation


def follow(connection: Connection, ctx: Context, endpoint: str, why: str) -> None:
    """Let the register's champion and challenger be what the facts say of an endpoint, within the same transaction."""
    place = tables.find(connection, tables.endpoint, name=endpoint)
    rolling = tables.open_rollouts(connection, endpoint)
    event_time, _ = tables.watermarks(connection, endpoint)
    champion = place["champion"] if place else None
    challenger = rolling[0]["challenger"] if rolling else None
    register.route_moved(connection, ctx, Routed(endpoint, champion, challenger, event_time, why))


def _plain(wanted: tuple[Route, ...]) -> list[Any]:
    return [msgspec.json.decode(msgspec.json.encode(route)) for route in wanted]  # lists, as the database has them


def routes(connection: Connection) -> tuple[Route, ...]:
    """Return the routes that the facts demand."""
    rolling = {row["endpoint"]: row for row in tables.open_rollouts(connection)}
    found = [_route(place, rolling.get(place["name"])) for place in tables.endpoints(connection)]
    return tuple(made for made in found if made is not None)


def _route(place: RowMapping, rolling: RowMapping | None) -> Route | None:
    champion = None if place["champion"] is None else Arm(place["champion"], place["digest"])
    served = Served(place["name"], place["model"], place["key"], place["max_body"], place["max_rows"], champion)
    if rolling is None:
        return route(served, None, None, RolloutSettings())
    challenger = Arm(rolling["challenger"], rolling["digest"])
    return route(served, to_rollout(rolling), challenger, policy_of(rolling))


def policy_of(row: RowMapping) -> RolloutSettings:
    """Return the policy with which a rollout was started; later changes of the project file do not move its bounds."""
    return msgspec.convert(row["policy"], RolloutSettings)


def to_rollout(row: RowMapping) -> Rollout:
    """Return the record of a row."""
    values: dict[str, Any] = {name: row[name] for name in Rollout.__slots__}
    verdicts = msgspec.convert(row["verdicts"], tuple[StageVerdict, ...])
    return Rollout(**values | {"stage": Stage(row["stage"]), "verdicts": verdicts})


def reports(ctx: Context) -> list[GatewayReport]:
    """Return what each gateway said of itself last; old ones too, so look at `at`."""
    found = []
    for name in ctx.blobs.documents(REPORTS):
        try:
            found.append(decode_report(ctx.blobs.read_document(name)))
        except (BlobMissing, InvalidInput):  # taken away meanwhile, or of another version of the gateway
            continue
    return found
