"""Whether a version and an endpoint's settings know the same columns: a misspelt column would be kept in the log."""

from __future__ import annotations

from difflib import get_close_matches

import msgspec

from ...ground.core.errors import BlobMissing, InvalidInput, RolloutRefused
from ...ground.store.context import Context
from ...register import manifest
from ...register.records import ModelVersion, Signature
from ..settings import EndpointSettings

_FILE = "signature.json"


def check_columns(ctx: Context, version: ModelVersion, settings: EndpointSettings, champion: str | None) -> None:
    """Raise RolloutRefused where settings name a column that no version at the endpoint is asked with.

    `champion`: the package of the version that answers now: its inputs come in requests as well.
    """
    inputs = _inputs(ctx, version.package)
    if inputs is None:
        return
    others = _inputs(ctx, champion) or frozenset()
    known = inputs | others | {name for name in (settings.key, settings.outcome_key) if name}
    wanted = {"rollout.slices": settings.rollout.slices, "log.drop": settings.log.drop, "log.mask": settings.log.mask}
    for where, names in wanted.items():
        for name in names:
            if name not in known:
                close = get_close_matches(name, known, n=1)
                hint = f"Did you mean {close[0]!r}?" if close else f"It is asked with: {', '.join(sorted(inputs))}."
                raise RolloutRefused(f"{where} names {name[:80]!r}, and {version.name} has no such input.", hint=hint)


def _inputs(ctx: Context, package: str | None) -> frozenset[str] | None:
    """Return the names of a package's inputs; None where they cannot be read (the check by gateways says why)."""
    if package is None:
        return None
    try:
        data = manifest.read_file(ctx.blobs, manifest.open_package(ctx.blobs, package), _FILE)
        signature = msgspec.json.decode(data, type=Signature)
    except (BlobMissing, InvalidInput, msgspec.DecodeError):
        return None
    return frozenset(spec.name for spec in signature.asked)
