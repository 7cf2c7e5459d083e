"""Versions come and go: loaded, proven and put where they answer; and ended when no route names them any more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ...ground.store.blobs import Blobs
from ...register.package import load
from ...train.outside.records import Limits
from ..records import Arm, RoutingTable
from .lanes import lane_for
from .online import Online
from .runtime import LoadedArm


class Opener:
    """Loads versions of a store, as patiently as their routes ask for. Belongs to the follower's thread."""

    def __init__(self, blobs: Blobs, online: Online | None = None) -> None:
        """`online`: the tables that versions read; they are held before a version answers that reads them."""
        self._blobs = blobs
        self._online = online
        self._asked: Mapping[Arm, tuple[int, float]] = {}

    def plan(self, table: RoutingTable) -> None:
        """Note what the routes of a table ask for."""
        self._asked = asked_for(table)
        if self._online is not None:
            self._online.need(lookup.name for route in table.routes for lookup in route.features)

    def __call__(self, arm: Arm) -> LoadedArm:
        """Load a version."""
        rows, seconds = self._asked.get(arm, (64, 10.0))
        return open_arm(self._blobs, arm, batch_rows=rows, timeout=seconds)


def open_arm(blobs: Blobs, arm: Arm, *, batch_rows: int = 64, timeout: float = 10.0) -> LoadedArm:
    """Load a version and let it answer its golden sample: warm, and proven to answer as it did when registered.

    A slow one, and one in another process, gets a lane; `timeout`: seconds after which it counts as hanging.
    """
    package = load(blobs, arm.package, name=arm.version, limits=Limits(answer_seconds=timeout))
    lane = lane_for(package, arm.version, batch_rows=batch_rows, timeout=timeout)
    return LoadedArm(arm, package.signature, package.scorer, lane=lane, background=package.sample)


def asked_for(table: RoutingTable) -> dict[Arm, tuple[int, float]]:
    """Return arm -> (batch_rows, seconds) of the routes that name it; of several the more patient one."""
    found: dict[Arm, tuple[int, float]] = {}
    for route in table.routes:
        for arm in (route.champion, route.challenger, *route.standby):
            if arm is not None:
                rows, seconds = found.get(arm, (1, 0.0))
                found[arm] = (max(rows, route.batch_rows), max(seconds, route.timeout_ms / 1000))
    return found


def release(arms: Iterable[LoadedArm]) -> None:
    """End the lanes of versions that no route names any more; what waits in them is answered first."""
    for arm in arms:
        if arm.lane is not None:
            arm.lane.close()


def troubles(arms: Iterable[LoadedArm]) -> Mapping[str, str]:
    """Return version -> why it cannot answer at present."""
    return {arm.arm.version: arm.lane.trouble for arm in arms if arm.lane is not None and arm.lane.trouble}
