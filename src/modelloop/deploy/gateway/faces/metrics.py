"""`/metrics`: the counters of this process in Prometheus' text form. They are made into metrics when somebody looks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ....ground.core.later import needed
from ..answer import Answerer, Response
from ..counting import BOUNDS, ArmCounts, Counts
from ..lanes import LaneCounts
from ..runtime import Live
from ..signals import Signals
from .visit import Visit

PREFIX = "modelloop_gateway"
_TYPE = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")
_ARM = ("endpoint", "version", "arm")
_LANE = ("endpoint", "version")


class ShadowCounts(Protocol):
    """What the shadow has done."""

    scored: int
    dropped: int
    failed: int

    @property
    def waiting(self) -> int:
        """Jobs that are queued."""
        ...

    @property
    def lag(self) -> float:
        """Seconds for which the oldest of them has waited."""
        ...


class LogCounts(Protocol):
    """What the prediction log could not do."""

    failed: int
    """Records that were not written."""
    failing: str
    """Why the last write failed; empty when it did not."""
    lost: int
    """Buffered records that were turned away."""

    @property
    def lag(self) -> float:
        """Seconds for which the oldest record has waited."""
        ...


@dataclass(frozen=True, slots=True)
class Watched:
    """What is shown beside the counters of answers."""

    signals: Signals | None = None
    shadow: ShadowCounts | None = None
    log: LogCounts | None = None


def metrics(visit: Visit) -> Response:
    """Answer GET /metrics."""
    counts = visit.answerer.counters.snapshot()
    return Response(200, render(counts, visit.live, _watched(visit.answerer)), (_TYPE,))


def render(counts: Counts, live: Live, watched: Watched) -> bytes:
    """Return all metrics as text; raises ExtraMissing where prometheus_client is not installed."""
    exposition = needed("prometheus_client", "serve")
    kinds = needed("prometheus_client.core", "serve")
    registry = exposition.CollectorRegistry(auto_describe=False)
    registry.register(_Collector(lambda: _families(kinds, counts, live, watched)))
    return bytes(exposition.generate_latest(registry))


def _watched(answerer: Answerer) -> Watched:
    found = getattr(answerer, "watched", None)
    return found if isinstance(found, Watched) else Watched()


class _Collector:
    """What prometheus_client asks for families."""

    def __init__(self, families: Callable[[], Iterable[Any]]) -> None:
        self._families = families

    def collect(self) -> Iterable[Any]:
        """Return all families."""
        return self._families()

    def describe(self) -> Iterable[Any]:
        """Return nothing: names are not checked twice."""
        return ()


def _families(kinds: Any, counts: Counts, live: Live, watched: Watched) -> Iterator[Any]:
    yield from _answers(kinds, counts)
    yield from _loaded(kinds, live)
    yield from _lanes(kinds, live)
    yield _gauge(
        kinds, "inflight", "Requests whose answer is being made in a lane, or waits for the disk.", counts.in_flight
    )
    if watched.signals is not None:
        yield from _signals(kinds, watched.signals)
    if watched.shadow is not None:
        yield from _shadow(kinds, watched.shadow)
    if watched.log is not None:
        yield from _log(kinds, watched.log)


def _answers(kinds: Any, counts: Counts) -> Iterator[Any]:
    requests = kinds.CounterMetricFamily(
        f"{PREFIX}_requests", "Requests by the HTTP status of their answer.", labels=(*_ARM, "code")
    )
    duration = kinds.HistogramMetricFamily(
        f"{PREFIX}_request_duration_seconds", "From the last byte in to the first byte out.", labels=_ARM
    )
    for which, arm in counts.arms.items():
        requests.add_metric((*which, "200"), arm.answered)
        duration.add_metric(which, _buckets(arm), sum_value=arm.seconds)
    for (endpoint, status), count in counts.refused.items():
        requests.add_metric((endpoint, "", "", str(status)), count)
    yield requests
    yield duration
    totals: dict[str, tuple[str, Callable[[ArmCounts], float]]] = {
        "rows": ("Rows answered.", lambda arm: arm.rows),
        "scoring_seconds": ("Seconds in the version itself.", lambda arm: arm.scoring),
        "version_failures": (
            "Requests that the version failed in itself; in a canary the champion answered.",
            lambda arm: arm.failed,
        ),
    }
    for name, (words, value) in totals.items():
        yield _by_arm(kinds, name, words, {which: value(arm) for which, arm in counts.arms.items()})


def _loaded(kinds: Any, live: Live) -> Iterator[Any]:
    ready = kinds.GaugeMetricFamily(
        f"{PREFIX}_version_ready", "1: it can answer; 0: it cannot at present.", labels=_LANE
    )
    for name, route in live.serving.routes.items():
        for arm in route.arms:
            ready.add_metric((name, arm.arm.version), float(arm.lane is None or not arm.lane.trouble))
    yield ready
    yield _gauge(kinds, "generation", "Generation of the routing table that is served.", live.serving.generation)
    yield _gauge(kinds, "versions_failed", "Versions that should be loaded and could not be.", len(live.failed))
    yield _counter(kinds, "errors", "Requests that failed on the gateway's side.", live.errors)


def _lanes(kinds: Any, live: Live) -> Iterator[Any]:
    lanes: dict[tuple[str, str], LaneCounts] = {
        (name, arm.arm.version): arm.lane.counts
        for name, route in live.serving.routes.items()
        for arm in route.arms
        if arm.lane is not None
    }
    waiting = kinds.GaugeMetricFamily(f"{PREFIX}_queue", "Requests that wait for a version's lane.", labels=_LANE)
    for which, lane in lanes.items():
        waiting.add_metric(which, lane.waiting)
    yield waiting
    words = {
        "refused": "Requests turned away because too many waited.",
        "timed_out": "Requests that a version did not answer in time.",
        "batches": "Calls of the version; each takes all that waits.",
        "restarts": "Processes started in place of one that ended, hung or leaked.",
    }
    for name, help_text in words.items():
        family = kinds.CounterMetricFamily(f"{PREFIX}_lane_{name}", help_text, labels=_LANE)
        for which, lane in lanes.items():
            family.add_metric(which, getattr(lane, name))
        yield family


def _signals(kinds: Any, signals: Signals) -> Iterator[Any]:
    words = "Share of a core that the event loop takes; at 1 the process answers as much as it ever will."
    yield _gauge(kinds, "capacity_used_ratio", words, signals.busy.ratio())
    yield _counter(kinds, "loop_cpu_seconds", "CPU seconds of the event loop.", signals.busy.seconds())
    stale = "Seconds since the routing table could be looked at; 0 while that is as it should be."
    yield _gauge(kinds, "routing_stale_seconds", stale, signals.freshness.seconds)


def _shadow(kinds: Any, shadow: ShadowCounts) -> Iterator[Any]:
    family = kinds.CounterMetricFamily(f"{PREFIX}_shadow", "Requests of the shadow, by outcome.", labels=("outcome",))
    for outcome in ("scored", "dropped", "failed"):
        family.add_metric((outcome,), getattr(shadow, outcome))
    yield family
    yield _gauge(kinds, "shadow_waiting", "Requests that wait for the shadow.", shadow.waiting)
    yield _gauge(kinds, "shadow_lag_seconds", "How long the oldest of them has waited.", shadow.lag)


def _log(kinds: Any, log: LogCounts) -> Iterator[Any]:
    yield _counter(kinds, "log_failed", "Records that the prediction log did not take.", log.failed)
    yield _counter(kinds, "log_lost", "Buffered records that were turned away because too many waited.", log.lost)
    yield _gauge(kinds, "log_failing", "1: the last write failed; 0: it did not.", float(bool(log.failing)))
    yield _gauge(kinds, "log_lag_seconds", "How long the oldest record has waited to be written.", log.lag)


def _by_arm(kinds: Any, name: str, words: str, values: Mapping[tuple[str, str, str], float]) -> Any:
    family = kinds.CounterMetricFamily(f"{PREFIX}_{name}", words, labels=_ARM)
    for which, value in values.items():
        family.add_metric(which, value)
    return family


def _buckets(arm: ArmCounts) -> list[tuple[str, float]]:
    """Return cumulative counts by upper bound."""
    total, found = 0, []
    for bound, count in zip((*map(repr, BOUNDS), "+Inf"), arm.buckets, strict=True):
        total += count
        found.append((bound, float(total)))
    return found


def _gauge(kinds: Any, name: str, words: str, value: float) -> Any:
    return kinds.GaugeMetricFamily(f"{PREFIX}_{name}", words, value=value)


def _counter(kinds: Any, name: str, words: str, value: float) -> Any:
    return kinds.CounterMetricFamily(f"{PREFIX}_{name}", words, value=value)
