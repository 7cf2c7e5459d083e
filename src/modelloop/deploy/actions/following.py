"""What gateways without the object store get through control: the routing table, packages and online tables of its
routes, a place to report."""

from __future__ import annotations

from contextlib import suppress

import msgspec

from ...ground.core.errors import BlobMissing, InvalidInput, NotFound
from ...ground.store.blobs import Blobs
from ...ground.store.context import Context
from ...register import manifest
from ..online import OnlineDocument, table_document
from ..records import GatewayReport, RoutingTable
from ..table import TABLE_DOCUMENT, decode_report, decode_table, encode_report, report_document


def routing(ctx: Context) -> RoutingTable:
    """Return the routing table that gateways follow; raises NotFound before the first is published."""
    try:
        return decode_table(ctx.blobs.read_document(TABLE_DOCUMENT))
    except BlobMissing as error:
        raise NotFound("No routing table was published yet.", hint="Deploy a version.") from error


def routed_content(ctx: Context, digest: str) -> bytes:
    """Return bytes of a package that the routing table names, or of an online table that a route of it reads, and of
    nothing else; raises NotFound."""
    table = routing(ctx)
    arms = {
        arm.package
        for route in table.routes
        for arm in (route.champion, route.challenger, *route.standby)
        if arm is not None
    }
    if digest in _tables(ctx.blobs, table) or any(digest in _parts(ctx.blobs, one) for one in sorted(arms)):
        return ctx.blobs.get(digest)
    raise NotFound(f"{digest[:80]!r} is no part of what gateways hold.")


def routed_online(ctx: Context, name: str) -> OnlineDocument:
    """Return which bytes are the newest of an online table that a route reads; raises NotFound."""
    if name not in _read(routing(ctx)):
        raise NotFound(f"No route reads an online table {name[:80]!r}.")
    try:
        return _online(ctx.blobs, name)
    except BlobMissing as error:
        raise NotFound(f"The online table {name!r} is not filled yet.", hint=f"modelloop online fill {name}") from error


def take_report(ctx: Context, data: bytes) -> GatewayReport:
    """Keep what a gateway says of itself, as if it had written it into the store; raises InvalidInput."""
    report = decode_report(data)
    ctx.blobs.write_document(report_document(report.gateway), encode_report(report))
    return report


def _read(table: RoutingTable) -> set[str]:
    return {lookup.name for route in table.routes for lookup in route.features}


def _online(blobs: Blobs, name: str) -> OnlineDocument:
    return msgspec.json.decode(blobs.read_document(table_document(name)), type=OnlineDocument)


def _tables(blobs: Blobs, table: RoutingTable) -> set[str]:
    """Return the hashes of the online tables that routes read, those that are filled."""
    found = set()
    for name in _read(table):
        with suppress(BlobMissing, msgspec.DecodeError):
            found.add(_online(blobs, name).digest)
    return found


def _parts(blobs: Blobs, package: str) -> frozenset[str]:
    try:
        return frozenset({package, *manifest.open_package(blobs, package).files.values()})
    except InvalidInput:
        files = manifest.open_snapshot(blobs, package).files.values()
        return frozenset({package, *(digest for file in files for digest, _ in file.parts)})
