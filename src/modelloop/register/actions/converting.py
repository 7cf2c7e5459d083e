"""From a folder in MLflow's format to the package that gateways load. The model is read in a child process only."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ...ground.core.errors import Conflict, ExtraMissing, ModelloopError
from ...ground.core.records import Event
from ...ground.store import audit
from ...ground.store.context import Context
from ...train.foreign.apart import convert_apart
from ...train.foreign.records import Converted, Job
from .. import manifest, tables
from ..environment import environment
from ..foreign import foreign_files, pieces_of, served_outside
from ..package import load
from ..records import Kind, ModelVersion
from .moving import write_files
from .snapshots import described_by
from .versions import get_version, reread


def convert_version(ctx: Context, name: str, *, allow_pickle: bool = False, interpreter: str = "") -> ModelVersion:
    """Try to make a package of a foreign version, and write down what came of it.

    As ONNX where that answers alike; else in the model's own library, in a process of its own beside each gateway.
    `allow_pickle`: the actor answers for what the pickle runs; the audit log, the card and the page say so. It holds
    for this version only. `interpreter`: another Python, on every machine that serves the version, with Modelloop and
    the model's libraries. A version that has a package keeps it.
    """
    version = get_version(ctx, name)
    if version.kind is not Kind.MLFLOW:
        raise Conflict(f"{version.name} came out of a pipeline: it is a package already.")
    if version.package is not None:
        return version
    opted_in = allow_pickle or version.opted_in is not None
    if allow_pickle and version.unsafe:
        _allow(ctx, version)
    job, made, graph = _converted(ctx, version, pickle=opted_in, interpreter=interpreter)
    refusal = " ".join(part for part in (made.refusal, made.hint) if part)
    digest = None
    if not refusal and job is not None:
        allowed_by = version.opted_in or (ctx.actor.name if allow_pickle else "")
        try:
            digest = _package(ctx, version, job, made, graph, allowed_by=allowed_by, interpreter=interpreter)
        except ModelloopError as error:
            refusal = f"What its conversion gave does not answer: {error.message}"
    return _settle(ctx, version, digest, refusal, made=made, pickle=opted_in)


def convert_waiting(ctx: Context, *, limit: int = 5) -> int:
    """Try the versions that nobody has tried yet, pickles never; return how many. A worker calls it each turn."""
    with ctx.db.reading() as connection:
        waiting = tables.untried(connection)[:limit]
    for row in waiting:
        convert_version(ctx, f"{row['model']}:{row['number']}")
    return len(waiting)


def _allow(ctx: Context, version: ModelVersion) -> None:
    """Note who allowed a pickle to be read, before it is."""
    with ctx.db.transaction() as connection:
        facts = {"digest": version.digest, "allowed_by": ctx.actor.name}
        audit.append(connection, ctx, Event("model.pickle_allowed", version.name, facts))


def _converted(
    ctx: Context, version: ModelVersion, *, pickle: bool, interpreter: str
) -> tuple[Job | None, Converted, bytes]:
    snapshot = manifest.open_snapshot(ctx.blobs, version.digest)
    said = described_by(ctx, snapshot)
    if said.refusal:
        return None, Converted(refusal=said.refusal), b""
    if not said.flavor:
        raise ExtraMissing(
            "Reading an MLmodel needs yaml, which is not installed.",
            hint="Install it: pip install 'modelloop[ml]', or convert on a machine that has it.",
        )
    job = Job(
        said.flavor, said.data, said.settings, said.inputs, said.width, said.example, pickle, tensors=said.tensors
    )
    with tempfile.TemporaryDirectory(prefix="modelloop-convert-") as folder:
        write_files(ctx, snapshot.files, Path(folder) / "model")
        made, graph = convert_apart(Path(folder), job, interpreter=interpreter)
    return job, made, graph


def _package(
    ctx: Context,
    version: ModelVersion,
    job: Job,
    made: Converted,
    graph: bytes,
    *,
    allowed_by: str,
    interpreter: str,
) -> str:
    """Store the package and let it answer its sample as a gateway will; raises where it does not answer alike."""
    snapshot = manifest.open_snapshot(ctx.blobs, version.digest)
    if made.kind == "onnx":
        package = manifest.build(ctx.blobs, foreign_files(version, snapshot, made, graph, environment()))
        load(ctx.blobs, package.digest).golden()  # what the child said is checked here, as a gateway will
        return package.digest
    if made.kind == "python" and not allowed_by:
        raise Conflict("Nobody allowed its pickle to be read.")
    served = served_outside(snapshot, job, made, allowed_by=allowed_by, interpreter=interpreter)
    first = foreign_files(version, snapshot, made, b"", environment(), served=served)
    loaded = load(ctx.blobs, manifest.build(ctx.blobs, first, pieces_of(served)).digest, name=version.name)
    try:
        largest = loaded.golden().largest
    finally:
        loaded.close()
    files = foreign_files(version, snapshot, made, b"", environment(), served=served, largest=largest)
    return manifest.build(ctx.blobs, files, pieces_of(served)).digest


def _settle(
    ctx: Context, version: ModelVersion, digest: str | None, refusal: str, *, made: Converted, pickle: bool
) -> ModelVersion:
    opted_in = ctx.actor.name if pickle and version.unsafe else None
    row = {"model": version.model, "number": version.number, "digest": digest, "refusal": refusal}
    told = {"opted_in": opted_in or version.opted_in, "at": ctx.now(), "by": ctx.actor.name}
    with ctx.db.transaction() as connection:
        now = tables.by_number(connection, version.model, version.number)
        if now is None or now.package is not None:  # deleted meanwhile, or somebody was faster
            return now or version
        tables.add(connection, tables.serving, row | told)
        facts = {"package": digest, "refusal": refusal, "pickle_read": pickle and version.unsafe}
        facts |= {"served": made.kind} if digest else {}
        audit.append(connection, ctx, Event("model.converted", version.name, facts))
        return reread(connection, version.model, version.number)
