"""A gateway put together from its options, without a port: what each face (HTTP, gRPC, Ray Serve) then serves."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...ground.core.clock import SystemClock
from ...ground.core.ids import check_name
from ...ground.store.blobs import Blobs
from ..log import LogWriter
from ..log_key import read_log_key
from .answer import Answerer
from .explaining import Explainer
from .faces.metrics import Watched
from .keeping import ControlBlobs, Keep, KeptBlobs
from .online import Online
from .opening import Opener, release
from .routing import POLL_SECONDS, Documents, Follower, FollowerThread, Reporter
from .runtime import Live
from .shadow import Shadow
from .signals import Busy, Freshness, Signals, allowed_cores
from .sources import HTTP, Caller, table_source

START_SECONDS = 5.0
"""How long callers are kept waiting for the first versions to be loaded, before they are told that nothing is."""
POLL_ADDRESS_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Place:
    """Where a gateway gets things from and puts things."""

    gateway: str
    predictions: Path
    blobs: str | None = None
    routing: str | None = None
    """None: the routing table is in the store."""
    routing_token: Path | None = None
    log_key: Path | None = None
    state: Path | None = None
    poll: float | None = None
    reports: bool = True


class Standing:
    """What answers, and the threads beside it. Make it in the thread that will answer: its CPU time is measured."""

    def __init__(self, place: Place, address: Callable[[], str]) -> None:
        """`address`: where callers find it, for its reports."""
        gateway = check_name(place.gateway, "gateway")
        clock, live = SystemClock(), Live()
        self.live = live
        self.signals = Signals(Busy(cores=allowed_cores()), Freshness(clock))
        key = None if place.log_key is None else read_log_key(place.log_key)
        self.log = LogWriter(place.predictions, gateway, time.time_ns())
        self.shadow = Shadow(self.log.write)
        self._keep = None if place.state is None else Keep(place.state / gateway)
        blobs = _store(place, self._keep)
        self._online = Online(blobs, self._keep)
        source = table_source(place.routing, blobs, place.routing_token)
        opener = Opener(blobs, self._online)
        self.follower = Follower(
            source, live, opener, freshness=self.signals.freshness, keep=self._keep, plan=opener.plan
        )
        documents: Documents = blobs if place.reports else _Nowhere()
        reporter = Reporter(documents, live, self.shadow, self.log, clock, gateway, address, self.follower)
        self._thread = FollowerThread(self.follower, reporter, live, every=_every(place), beside=self._beside)
        self._explainer = Explainer()
        self.answerer = Answerer(
            live,
            clock,
            self._health,
            log=self.log,
            shadow=self.shadow.offer,
            online=self._online,
            explains=self._explainer,
            log_key=key,
        )
        self.answerer.watched = Watched(self.signals, self.shadow, self.log)  # type: ignore[attr-defined]

    def start(self, patience: float = START_SECONDS) -> None:
        """Start the threads; return when the first versions are loaded, or after `patience` seconds."""
        self.shadow.start()
        self._thread.start(patience)

    def stop(self) -> None:
        """End the threads, write what waits to be written."""
        self._explainer.close()
        self.shadow.stop()
        self._thread.stop()
        release(self.live.serving.arms.values())
        self.log.close()

    def _beside(self) -> None:
        self.signals.busy.ratio()
        names = {lookup.name for route in self.live.serving.routes.values() for lookup in route.route.features}
        if names:
            self._online.refresh(sorted(names))

    def _health(self) -> Mapping[str, Any]:
        """Return what readiness also tells: a gateway that is cut off answers with what it has, and says so."""
        fresh = self.signals.freshness
        told: dict[str, Any] = {"log_failed": self.log.failed, "log": self.log.failing or "ok"}
        since = fresh.since
        told |= {"routing": self.follower.origin, "stale_since": None if since is None else since.isoformat()}
        if since is not None:
            told["stale"] = fresh.why
        if self._keep is not None:
            told["state"] = self._keep.failing or "ok"
        if self._online.failed:
            told["online"] = dict(self._online.failed)
        return told


class _Nowhere:
    """For a gateway that nobody listens to."""

    def write_document(self, name: str, data: bytes) -> None:
        """Write nothing."""


def _store(place: Place, keep: Keep | None) -> Blobs:
    if place.blobs is not None:
        return KeptBlobs(place.blobs, keep)
    return ControlBlobs(Caller(place.routing or "", place.routing_token), keep)


def _every(place: Place) -> float:
    if place.poll is not None:
        return place.poll
    return POLL_ADDRESS_SECONDS if (place.routing or "").startswith(HTTP) else POLL_SECONDS
