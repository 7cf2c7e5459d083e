"""A folder that a gateway can be pointed at: `--blobs file:///FOLDER`. The same layout as an object store has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..records import Arm, Route, RoutingTable, Stage
from ..table import TABLE_DOCUMENT, encode_table
from .records import Carried, Files


def folder(carried: Carried) -> Files:
    """Return the folder of the whole endpoint."""
    return _folder(carried.table, carried.content)


def folder_of(carried: Carried, arm: Arm) -> Files:
    """Return the folder of one version alone, answering everybody."""
    (route,) = carried.table.routes
    table = RoutingTable(carried.table.generation, (alone(route, arm),), carried.table.epoch)
    return _folder(table, {digest: carried.content[digest] for digest in carried.of[arm]})


def alone(route: Route, arm: Arm) -> Route:
    """Return the route with this version and no other."""
    return replace(route, champion=arm, challenger=None, standby=(), stage=Stage.LIVE, share=0.0, salt="")


def below(prefix: str, files: Files) -> dict[str, bytes]:
    """Return the files below a folder."""
    return {f"{prefix}/{name}": data for name, data in files.items()}


def _folder(table: RoutingTable, content: Mapping[str, bytes]) -> Files:
    found = {f"content/{digest[:2]}/{digest}": data for digest, data in sorted(content.items())}
    return {f"documents/{TABLE_DOCUMENT}": encode_table(table), **found}
