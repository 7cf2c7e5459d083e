"""How far a change of what answers has got: a step is done when every gateway that is alive has taken it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from .records import GatewayReport
from .verdicts.check import FRESH

KNOWN = timedelta(hours=1)
"""For so long a gateway that is gone is still told of."""


@dataclass(frozen=True, slots=True)
class GatewayStep:
    """One gateway, beside the routing that it is to have."""

    gateway: str
    address: str
    generation: int
    at: datetime
    alive: bool
    done: bool
    failed: str | None
    """What it could not load, if anything."""
    shadow_scored: int
    shadow_dropped: int
    shadow_failed: int
    shadow_lag: float


@dataclass(frozen=True, slots=True)
class Reach:
    """Which gateways have the routing of a generation."""

    generation: int
    gateways: tuple[GatewayStep, ...]
    alive: int
    reached: int

    @property
    def done(self) -> bool:
        """Say whether somebody is alive, and all who are have it."""
        return 0 < self.alive == self.reached

    @property
    def behind(self) -> tuple[str, ...]:
        """Return those who are alive and answer by an older routing."""
        return tuple(step.gateway for step in self.gateways if step.alive and not step.done)

    def told(self) -> str:
        """Return it in words."""
        if not self.alive:
            return "no gateway has reported in the last 5 seconds"
        late = f"; behind: {', '.join(self.behind)}" if self.behind else ""
        return f"{self.reached} of {self.alive} gateways{late}"


def reach(reports: Sequence[GatewayReport], generation: int, now: datetime) -> Reach:
    """Return how far a generation has got. Clocks of machines differ: a report from the future is a fresh one."""
    known = [_step(report, generation, now) for report in reports if now - report.at <= KNOWN]
    steps = tuple(sorted(known, key=lambda step: (not step.alive, step.gateway)))
    alive = [step for step in steps if step.alive]
    return Reach(generation, steps, len(alive), sum(step.done for step in alive))


def _step(report: GatewayReport, generation: int, now: datetime) -> GatewayStep:
    failed = "; ".join(f"{version}: {why}" for version, why in sorted(report.failed.items()))
    return GatewayStep(
        gateway=report.gateway,
        address=report.address,
        generation=report.generation,
        at=report.at,
        alive=now - report.at <= FRESH,
        done=report.generation >= generation,
        failed=failed or None,
        shadow_scored=report.shadow_scored,
        shadow_dropped=report.shadow_dropped,
        shadow_failed=report.shadow_failed,
        shadow_lag=report.shadow_lag,
    )
