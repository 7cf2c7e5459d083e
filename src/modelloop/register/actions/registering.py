"""A package is made and registered, and its card is read: whatever needs to know what a candidate holds."""

from __future__ import annotations

import math

from ...ground.core.ids import check_name
from ...ground.core.records import Event
from ...ground.store import audit
from ...ground.store.context import Context
from ...train.records import Candidate
from .. import manifest, tables
from ..card import foreign_card
from ..contents import files_of, is_unsafe
from ..environment import environment
from ..records import Evidence, ModelVersion
from .versions import get_version, reread, reserve


def register(ctx: Context, model: str, candidate: Candidate, evidence: Evidence) -> ModelVersion:
    """Store the package, then the next version of `model`. The same package again gives the version it already has."""
    check_name(model, "model")
    package = manifest.build(ctx.blobs, files_of(model, candidate, evidence, environment()))
    headline = evidence.evaluation.headline.value
    run = evidence.lineage.get("run")
    with ctx.db.transaction() as connection:
        number = reserve(connection, ctx, model)
        if (existing := tables.by_digest(connection, model, package.digest)) is not None:
            return existing
        version = ModelVersion(
            model=model,
            number=number,
            digest=package.digest,
            verdict=evidence.evaluation.verdict,
            run=None if run is None else str(run),
            headline=headline if headline is not None and math.isfinite(headline) else None,
            made_at=ctx.now(),
            made_by=ctx.actor.name,
            trained_from=candidate.trained_from,
            trained_until=candidate.trained_until,
            lineage=evidence.lineage,
            unsafe=is_unsafe(candidate.native_format),
        )
        tables.insert(connection, version)
        facts = {"digest": version.digest, "verdict": str(version.verdict), "run": run, "headline": version.headline}
        audit.append(connection, ctx, Event("model.registered", version.name, facts))
        return reread(connection, version.model, number)


def card(ctx: Context, name: str) -> str:
    """Return the model card of `model:number` as Markdown."""
    version = get_version(ctx, name)
    if version.package is None:
        from_snapshot = manifest.open_snapshot(ctx.blobs, version.digest)
        return foreign_card(version, from_snapshot)
    package = manifest.open_package(ctx.blobs, version.package)
    return manifest.read_file(ctx.blobs, package, "card.md").decode()
