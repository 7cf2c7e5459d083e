"""What was taken, times the price table: per step, run, pipeline, month and project. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from ..core.clock import utc
from ..flow.taken import Taken
from .settings import PriceSettings

_HOUR = 3600.0
_GB = 1e9


class By(StrEnum):
    """What is added up."""

    STEP = "step"
    RUN = "run"
    PIPELINE = "pipeline"
    MONTH = "month"
    PROJECT = "project"


@dataclass(frozen=True, slots=True)
class Money:
    """An amount, not rounded."""

    amount: float
    currency: str

    def __str__(self) -> str:
        digits = 2 if self.amount >= 1 or self.amount == 0 else 4
        return f"{self.amount:,.{digits}f} {self.currency}"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the bill."""

    name: str
    runs: int
    wall_seconds: float
    cpu_hours: float
    memory_gb_hours: float
    gpu_hours: float
    cost: Money | None
    """None: the price table is empty."""


def is_priced(prices: PriceSettings) -> bool:
    """Say whether the project file has a price for anything."""
    return any((prices.cpu_hour, prices.memory_gb_hour, prices.gpu_hour))


def bill(taken: Iterable[Taken], by: By, prices: PriceSettings) -> tuple[Line, ...]:
    """Add up what was taken; lines come in the order in which their names are met, months newest first."""
    groups: dict[str, list[Taken]] = {}
    for one in taken:
        groups.setdefault(_name(one, by), []).append(one)
    return tuple(_line(name, group, prices) for name, group in groups.items())


def total(taken: Iterable[Taken], prices: PriceSettings) -> Line:
    """Add up everything."""
    return _line("total", list(taken), prices)


def _line(name: str, taken: list[Taken], prices: PriceSettings) -> Line:
    cpu = math.fsum(one.cpu_seconds for one in taken) / _HOUR
    memory = math.fsum(one.byte_seconds for one in taken) / _GB / _HOUR
    gpu = math.fsum(one.gpu_seconds for one in taken) / _HOUR
    cost = None
    if is_priced(prices):
        amount = cpu * prices.cpu_hour + memory * prices.memory_gb_hour + gpu * prices.gpu_hour
        cost = Money(amount, prices.currency)
    wall = math.fsum(one.wall_seconds for one in taken)
    return Line(name, len({one.run for one in taken}), wall, cpu, memory, gpu, cost)


def _name(one: Taken, by: By) -> str:
    if by is By.MONTH:
        return f"{utc(one.at):%Y-%m}"
    if by is By.STEP:
        return f"{one.pipeline}: {one.step}"
    return {By.RUN: one.run, By.PIPELINE: one.pipeline, By.PROJECT: one.project or "–"}[by]
