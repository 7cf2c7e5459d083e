"""What gateways follow and what they say. The document is made from facts, and made again where it differs."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import msgspec
from sqlalchemy.engine import Connection, RowMapping

from ...ground.core.errors import BlobMissing, InvalidInput
from ...ground.store.context import Context
from ...register import actions as register
from ...register.records import Routed
from .. import tables
from ..reach import Reach, reach
from ..records import Arm, GatewayReport, Rollout, Route, RoutingTable, Stage, StageVerdict
from ..rollout import Served, route
from ..serving import read as read_serving
from ..settings import RolloutSettings
from ..table import REPORTS, TABLE_DOCUMENT, decode_report, decode_table, encode_table

ATTEMPTS = 5
_LOOK_EVERY = 0.02


def publish(ctx: Context) -> int:
    """Write the routing table that the facts demand, if the present one differs; return its generation.

    Call it after every change, and every turn: a process that died between its facts and the document is made up for.
    """
    generation = -1
    for _ in range(ATTEMPTS):
        document = _document(ctx)
        with ctx.db.reading() as connection:
            stored = tables.find(connection, tables.routing, id=1)
            settled = stored is not None and stored["routes"] == _plain(routes(connection))
        ahead, epoch = _standing(document)
        if stored is None or not settled or ahead > stored["generation"]:
            with ctx.db.transaction() as connection:
                settle(connection, ctx, beyond=ahead)
            continue
        if stored["generation"] == generation:
            break
        generation = stored["generation"]
        wanted = msgspec.convert(stored["routes"], tuple[Route, ...])
        data = encode_table(RoutingTable(generation, wanted, epoch))
        if document != data:
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


def _standing(document: bytes | None) -> tuple[int, int]:
    """Return generation and epoch of what was published; a document that nobody can read has none."""
    try:
        table = decode_table(document or b"")
    except InvalidInput:
        return 0, 0
    return table.generation, table.epoch


def settle(connection: Connection, ctx: Context, *, beyond: int = 0) -> int:
    """Give the routes that the facts demand their generation, within the transaction that changed the facts.

    `beyond`: the generation that gateways were told before these facts were read. Where it is higher than that of the
    facts, these were restored from a backup: gateways follow no older generation, so the next one lies above.
    """
    stored = tables.routing_for_update(connection)
    wanted = _plain(routes(connection))
    if stored["routes"] == wanted and stored["generation"] > 0 and stored["generation"] >= beyond:
        return int(stored["generation"])
    generation = max(int(stored["generation"]), beyond) + 1
    tables.change(connection, tables.routing, {"id": 1}, {"generation": generation, "routes": wanted, "at": ctx.now()})
    return generation


def follow(connection: Connection, ctx: Context, endpoint: str, why: str) -> None:
    """Let the register's champion and challenger be what the facts say of an endpoint, within the same transaction."""
    place = tables.find(connection, tables.endpoint, name=endpoint)
    rolling = tables.open_rollouts(connection, endpoint)
    event_time, _ = tables.watermarks(connection, endpoint, ctx.now())
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
    served = Served(
        endpoint=place["name"],
        model=place["model"],
        key=place["key"],
        max_body=place["max_body"],
        max_rows=place["max_rows"],
        champion=_arm(place["champion"], place["digest"]),
        standby=_arm(place["standby"], place["standby_digest"]),
        serving=read_serving(place["serving"]),
    )
    if rolling is None:
        return route(served, None, None, RolloutSettings())
    challenger = Arm(rolling["challenger"], rolling["digest"])
    return route(served, to_rollout(rolling), challenger, policy_of(rolling))


def _arm(version: str | None, package: str | None) -> Arm | None:
    return Arm(version, package) if version and package else None


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


def wait_for_gateways(ctx: Context, patience: timedelta) -> Reach:
    """Wait until every gateway that is alive answers by the present routing, or patience is over; return who does.

    A change is done when it has reached all of them. Where none is alive there is nobody to wait for.
    """
    with ctx.db.reading() as connection:
        routing = tables.find(connection, tables.routing, id=1)
    generation = int(routing["generation"]) if routing else 0
    end = time.monotonic() + patience.total_seconds()
    while True:
        found = reach(reports(ctx), generation, ctx.now())
        if found.done or not found.alive or time.monotonic() >= end:
            return found
        time.sleep(_LOOK_EVERY)
