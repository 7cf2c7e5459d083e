"""What gateways without the object store get through control: the routing table, packages of its routes, a place to
report."""

from __future__ import annotations

from ...ground.core.errors import BlobMissing, InvalidInput, NotFound
from ...ground.store.blobs import Blobs
from ...ground.store.context import Context
from ...register import manifest
from ..records import GatewayReport, RoutingTable
from ..table import TABLE_DOCUMENT, decode_report, decode_table, encode_report, report_document


def routing(ctx: Context) -> RoutingTable:
    """Return the routing table that gateways follow; raises NotFound before the first is published."""
    try:
        return decode_table(ctx.blobs.read_document(TABLE_DOCUMENT))
    except BlobMissing as error:
        raise NotFound("No routing table was published yet.", hint="Deploy a version.") from error


def routed_content(ctx: Context, digest: str) -> bytes:
    """Return bytes of a package that the routing table names, and of nothing else; raises NotFound."""
    arms = {
        arm.package
        for route in routing(ctx).routes
        for arm in (route.champion, route.challenger, *route.standby)
        if arm is not None
    }
    if any(digest in _parts(ctx.blobs, package) for package in sorted(arms)):
        return ctx.blobs.get(digest)
    raise NotFound(f"{digest[:80]!r} is no part of a version that gateways hold.")


def take_report(ctx: Context, data: bytes) -> GatewayReport:
    """Keep what a gateway says of itself, as if it had written it into the store; raises InvalidInput."""
    report = decode_report(data)
    ctx.blobs.write_document(report_document(report.gateway), encode_report(report))
    return report


def _parts(blobs: Blobs, package: str) -> frozenset[str]:
    try:
        return frozenset({package, *manifest.open_package(blobs, package).files.values()})
    except InvalidInput:
        files = manifest.open_snapshot(blobs, package).files.values()
        return frozenset({package, *(digest for file in files for digest, _ in file.parts)})
