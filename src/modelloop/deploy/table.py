"""The two documents between control and gateways, as bytes: the routing table and a gateway's report."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from ..ground.core.errors import InvalidInput
from ..ground.core.ids import check_name
from .records import GatewayReport, RoutingTable

TABLE_DOCUMENT = "routing/table.json"
REPORTS = "gateways"

_T = TypeVar("_T", RoutingTable, GatewayReport)


def report_document(gateway: str) -> str:
    """Return the name of the document in which the gateway reports."""
    return f"{REPORTS}/{check_name(gateway, 'gateway')}.json"


def encode_table(table: RoutingTable) -> bytes:
    """Return the table as JSON."""
    return msgspec.json.encode(table, order="deterministic")


def decode_table(data: bytes) -> RoutingTable:
    """Read a table; raises InvalidInput."""
    return _decode(data, RoutingTable)


def encode_report(report: GatewayReport) -> bytes:
    """Return the report as JSON."""
    return msgspec.json.encode(report, order="deterministic")


def decode_report(data: bytes) -> GatewayReport:
    """Read a report; raises InvalidInput."""
    return _decode(data, GatewayReport)


def _decode(data: bytes, into: type[_T]) -> _T:
    try:
        return msgspec.json.decode(data, type=into)
    except (msgspec.DecodeError, ValueError) as error:
        raise InvalidInput(f"The document is not a {into.__name__}: {error}.") from error
