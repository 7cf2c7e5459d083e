"""Versions that are folders in MLflow's format: their bytes are taken as they are, file by file, and never change."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.engine import Connection

from ...ground.core.errors import InvalidInput
from ...ground.core.records import Event, Verdict
from ...ground.store import audit
from ...ground.store.context import Context
from .. import manifest, tables
from ..mlmodel import MAX_BYTES, MLMODEL, Described, describe_folder
from ..names import check_model, check_tag, check_text
from ..records import Kind, ModelVersion, Snapshot, StoredFile
from ..source import Source, read_source
from .models import found, touched
from .tracked import stored_files
from .versions import get_version, reread, reserve

MAX_SOURCE = 4000


def create_version(
    ctx: Context,
    model: str,
    *,
    source: str,
    run_id: str | None = None,
    description: str = "",
    tags: Mapping[str, str] | None = None,
    model_id: str | None = None,
) -> ModelVersion:
    """Register the folder that `source` names as the next version of a model that is there; raises NotFound.

    The bytes are those of this moment: what is logged there later changes nothing. A source that Modelloop does not
    hold (a path or bucket of the client's) is kept as text; such a version says that it cannot be served, and why.
    """
    with ctx.db.reading() as connection:
        found(connection, model)
    meant = read_source(source)
    snapshot = snapshot_of(ctx, meant)
    if model_id is None and meant.kind == "model":
        model_id = meant.id
    if run_id is None and meant.kind == "run":
        run_id = meant.id
    facts = {"source": source, "run": run_id or None, "model_id": model_id or None}
    return put_snapshot(ctx, model, snapshot, facts=facts, description=description, tags=tags or {})


def snapshot_of(ctx: Context, source: Source) -> Snapshot:
    """Return the files that a source names, stored for good; none for a source that is elsewhere or empty."""
    if source.kind == "version":
        version = get_version(ctx, source.id)
        if version.kind is Kind.MLFLOW:
            return manifest.open_snapshot(ctx.blobs, version.digest)
        return as_snapshot(ctx, version)
    if source.kind == "elsewhere":
        return manifest.build_snapshot(ctx.blobs, {})
    return manifest.build_snapshot(ctx.blobs, stored_files(ctx, source.kind, source.id, source.path))


def put_snapshot(
    ctx: Context,
    model: str,
    snapshot: Snapshot,
    *,
    facts: Mapping[str, Any],
    description: str = "",
    tags: Mapping[str, str] | None = None,
    number: int | None = None,
    at_ms: int | None = None,
) -> ModelVersion:
    """Register a snapshot under a name, made where there is none.

    `facts`: source, run, model_id. `number` and `at_ms` are those of another store, where one is imported.
    """
    check_model(model)
    source = str(facts.get("source") or "")
    if len(source) > MAX_SOURCE or "\0" in source:
        raise InvalidInput(f"The source has {len(source)} characters.", hint=f"At most {MAX_SOURCE}, without NUL.")
    check_text(description, "the description")
    checked = [check_tag(key, value) for key, value in (tags or {}).items()]
    described = described_by(ctx, snapshot)
    with ctx.db.transaction() as connection:
        following = reserve(connection, ctx, model)
        version = ModelVersion(
            model=model,
            number=number or following,
            digest=snapshot.digest,
            verdict=Verdict.MISSING,
            run=facts.get("run"),
            headline=None,
            made_at=ctx.now() if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC),
            made_by=ctx.actor.name,
            trained_from=None,
            trained_until=None,
            lineage={"files": len(snapshot.files), "bytes": snapshot.size, **described.facts},
            kind=Kind.MLFLOW,
            source=source,
            model_id=facts.get("model_id"),
            unsafe=described.unsafe,
        )
        tables.insert(connection, version)
        _noted(connection, ctx, version, description=description, tags=checked, refusal=described.refusal)
        touched(connection, ctx, model)
        facts = {"digest": version.digest, "source": source, "run": version.run, "unsafe": version.unsafe}
        audit.append(connection, ctx, Event("model.registered", version.name, facts))
        return reread(connection, model, version.number)


def _noted(
    connection: Connection,
    ctx: Context,
    version: ModelVersion,
    *,
    description: str,
    tags: list[tuple[str, str]],
    refusal: str,
) -> None:
    key = {"model": version.model, "number": version.number}
    if description:
        tables.put(connection, tables.note, {**key, "description": description, "changed_ms": version.made_ms})
    for word, value in tags:
        tables.put(connection, tables.version_tag, {**key, "key": word, "value": value})
    if refusal:
        told = {"opted_in": None, "at": ctx.now(), "by": ctx.actor.name}
        tables.add(connection, tables.serving, {**key, "digest": None, "refusal": refusal, **told})


def described_by(ctx: Context, snapshot: Snapshot) -> Described:
    """Return what a snapshot's MLmodel says of itself, by plain YAML only."""
    file = snapshot.files.get(MLMODEL)
    if file is None:
        return describe_folder(None, snapshot.files)
    if file.size > MAX_BYTES:
        return Described(refusal=f"Its MLmodel has {file.size} bytes; at most {MAX_BYTES} are read.")
    text = b"".join(manifest.read_pieces(ctx.blobs, file))
    return describe_folder(text, snapshot.files)


def as_snapshot(ctx: Context, version: ModelVersion) -> Snapshot:
    """Return a package's files as a snapshot, so that a copy under another name holds the same bytes."""
    package = manifest.open_package(ctx.blobs, version.digest)
    sizes = {name: len(ctx.blobs.get(digest)) for name, digest in package.files.items()}
    files = {name: StoredFile(sizes[name], ((digest, sizes[name]),)) for name, digest in package.files.items()}
    return manifest.build_snapshot(ctx.blobs, files)
