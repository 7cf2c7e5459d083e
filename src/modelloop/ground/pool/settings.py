"""What the project file says about where steps are carried out, and what that costs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ..core.toml import setting


class PoolKind(StrEnum):
    """Where calls of steps go that need not be made in the run's own process."""

    LOCAL = "local"
    RAY = "ray"


@dataclass(frozen=True, slots=True)
class PriceSettings:
    """What an hour costs. A price of 0: it is not counted."""

    currency: str = setting("in which the prices are", default="EUR", pattern="[A-Z]{3}")
    cpu_hour: float = setting("of one processor at work", default=0.0, least=0)
    memory_gb_hour: float = setting("of 1 GB (1,000,000,000 bytes) of memory, by the peak", default=0.0, least=0)
    gpu_hour: float = setting("of one GPU set apart", default=0.0, least=0)


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """Where calls of steps are carried out, and the price table for what they take."""

    kind: PoolKind = setting(
        "local: child processes of the run; ray: a Ray cluster (the extra `ray`)", default=PoolKind.LOCAL
    )
    address: str = setting(
        'ray: HOST:PORT of the cluster, which this machine must be a node of; "local": one of its own on this '
        "machine, started for each run",
        default="local",
        pattern=r"local|[A-Za-z0-9_.\-]+:[0-9]{1,5}|\[[0-9a-fA-F:]+\]:[0-9]{1,5}",
    )
    processes: int | None = setting(
        "how many processors calls may share; left out: all of this machine, or of the cluster", default=None, least=1
    )
    prices: PriceSettings = setting("what an hour costs", factory=PriceSettings)
