"""Verbs of the register: register a version, look versions up. Versions are immutable: nothing here changes one."""

from __future__ import annotations

import math
import platform
import re
from difflib import get_close_matches
from importlib.metadata import distributions

from sqlalchemy.exc import IntegrityError

from ..ground.core.errors import Conflict, NotFound
from ..ground.core.ids import check_name
from ..ground.core.records import Event
from ..ground.store import audit
from ..ground.store.context import Context
from ..train.records import Candidate
from . import manifest, tables
from .contents import files_of
from .records import Evidence, ModelVersion

ATTEMPTS = 20


def register(ctx: Context, model: str, candidate: Candidate, evidence: Evidence) -> ModelVersion:
    """Store the package, then the next version of `model`. The same package again gives the version it already has."""
    check_name(model, "model")
    package = manifest.build(ctx.blobs, files_of(model, candidate, evidence, environment()))
    for _ in range(ATTEMPTS):
        try:
            return _insert(ctx, model, package.digest, candidate, evidence)
        except IntegrityError:  # another process took the number, or registered the same package
            continue
    raise Conflict(
        f"No number for a new version of {model} after {ATTEMPTS} attempts: others were faster each time.",
        hint="Register again.",
    )


def get_version(ctx: Context, name: str) -> ModelVersion:
    """Return the version `model:number`; raises NotFound."""
    match = re.fullmatch(r"([a-z][a-z0-9_-]{0,62}):([1-9][0-9]{0,8})", name)
    if match is None:
        raise NotFound(f"{name[:80]!r} names no version.", hint="A version is MODEL:NUMBER, for instance delay:3.")
    with ctx.db.reading() as connection:
        found = tables.by_number(connection, match[1], int(match[2]))
        known = () if found else tables.of_model(connection, match[1])
        others = () if found or known else tables.models(connection)
    if found is not None:
        return found
    if known:
        raise NotFound(f"{match[1]} has no version {match[2]}.", hint=f"The newest is {known[-1].name}.")
    raise NotFound(f"There is no model {match[1]!r}.", hint=_meant(match[1], others))


def versions(ctx: Context, model: str) -> tuple[ModelVersion, ...]:
    """Return the versions of a model, oldest first; none where there is no such model."""
    with ctx.db.reading() as connection:
        return tables.of_model(connection, model)


def models(ctx: Context) -> tuple[str, ...]:
    """Return the names of all models, sorted."""
    with ctx.db.reading() as connection:
        return tables.models(connection)


def card(ctx: Context, name: str) -> str:
    """Return the model card of `model:number` as Markdown."""
    package = manifest.open_package(ctx.blobs, get_version(ctx, name).digest)
    return manifest.read_file(ctx.blobs, package, "card.md").decode()


def environment() -> str:
    """Return Python, platform and every installed distribution, as `environment.txt` has them."""
    installed = {f"{found.metadata['Name']}=={found.version}" for found in distributions()}
    head = [f"# python {platform.python_version()}", f"# {platform.system()} {platform.machine()}"]
    return "\n".join([*head, *sorted(installed, key=str.lower)]) + "\n"


def _insert(ctx: Context, model: str, digest: str, candidate: Candidate, evidence: Evidence) -> ModelVersion:
    headline = evidence.evaluation.headline.value
    run = evidence.lineage.get("run")
    with ctx.db.transaction() as connection:
        if (existing := tables.by_digest(connection, model, digest)) is not None:
            return existing
        version = ModelVersion(
            model=model,
            number=tables.next_number(connection, model),
            digest=digest,
            verdict=evidence.evaluation.verdict,
            run=None if run is None else str(run),
            headline=headline if headline is not None and math.isfinite(headline) else None,
            made_at=ctx.now(),
            made_by=ctx.actor.name,
            trained_from=candidate.trained_from,
            trained_until=candidate.trained_until,
            lineage=evidence.lineage,
        )
        tables.insert(connection, version)
        facts = {"digest": digest, "verdict": str(version.verdict), "run": version.run, "headline": version.headline}
        audit.append(connection, ctx, Event("model.registered", version.name, facts))
    return version


def _meant(name: str, known: tuple[str, ...]) -> str:
    close = get_close_matches(name, known, n=1)
    if close:
        return f"Did you mean {close[0]!r}?"
    return f"There are: {', '.join(known)}." if known else "No model is registered yet."
