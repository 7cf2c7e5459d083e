"""How an endpoint serves, apart from which version: what the project file says and gateways must know. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from .records import LogPolicy, Lookup
from .settings import EndpointSettings, OnlineSettings
from .verdicts.losses import Rule


@dataclass(frozen=True, slots=True)
class Serving:
    """The part of a route that comes from settings; kept with the endpoint as JSON."""

    outcome_key: str | None = None
    log: LogPolicy = field(default_factory=LogPolicy)
    features: tuple[Lookup, ...] = ()
    timeout_ms: int = 10_000
    batch_rows: int = 64
    slices: tuple[str, ...] = ()
    loss: Rule | None = None
    """How an answer is judged beside the truth, as the objective says. None: as its task has it."""


def serving_of(settings: EndpointSettings, online: Mapping[str, OnlineSettings], loss: Rule | None = None) -> Serving:
    """Return what an endpoint's settings, and the online tables that they name, come to in a gateway."""
    log = settings.log
    return Serving(
        outcome_key=settings.outcome_key,
        log=LogPolicy(str(log.durability), log.required, log.drop, log.mask),
        features=tuple(_lookup(name, online[name]) for name in settings.features if name in online),
        timeout_ms=settings.timeout_ms,
        batch_rows=settings.batch_rows,
        slices=settings.rollout.slices,
        loss=loss,
    )


def _lookup(name: str, table: OnlineSettings) -> Lookup:
    oldest = None if table.max_age is None else table.max_age.total_seconds()
    return Lookup(name, table.key, table.values, oldest)


def written(serving: Serving) -> dict[str, Any]:
    """Return it as the database keeps it."""
    return dict(msgspec.json.decode(msgspec.json.encode(serving)))


def read(data: Mapping[str, Any]) -> Serving:
    """Return what the database has; what it does not say is as it was before there was such a setting."""
    return msgspec.convert(dict(data), Serving)
