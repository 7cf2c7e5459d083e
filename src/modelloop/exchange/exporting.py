"""Everything goes out, in formats that need no Modelloop: JSON lines, and files as they are.

Deleted experiments, runs and models go out too; their lines say so.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..ground.core.clock import iso
from ..ground.core.errors import NotFound, StoreUnavailable
from ..ground.store.context import Context
from ..register import actions as register
from ..register import manifest
from ..register.records import Kind, ModelVersion, RegisteredModel
from ..train.tracking import actions as tracking
from ..train.tracking.actions import artifacts, taking
from ..train.tracking.records import Experiment, LoggedModel, Metric, Owner, TrackedRun, View
from .writing import Export

FORMAT = 1
SHEETS = (
    *("experiments", "runs", "params", "tags", "metrics", "datasets", "logged_models", "artifacts"),
    *("registered_models", "model_versions", "aliases", "alias_history"),
)
_MANY = 200


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written."""

    folder: str
    counts: Mapping[str, int]
    """Lines of each sheet."""
    files: int
    size: int


def export_store(ctx: Context, folder: Path, *, experiment: str | None = None) -> Exported:
    """Write everything, or what belongs to one experiment, into a new folder; the manifest is written last.

    Raises Conflict where the folder holds anything, NotFound for an unknown experiment, StoreUnavailable where the
    disk is full.
    """
    chosen = _chosen(ctx, experiment)
    try:
        with Export(folder) as export:
            for name in SHEETS:
                export.sheet(name)
            mine = [name for one in chosen for name in _experiment(ctx, export, one)]
            _register(ctx, export, None if experiment is None else set(mine))
            facts = {"format": FORMAT, "written_at": iso(ctx.now()), "experiment": experiment}
            counts = export.finish(facts, _README)
            size = sum(one["bytes"] for one in export.files.values())
            return Exported(str(folder), counts, len(export.files), size)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        said = "The disk is full" if full else f"{folder} cannot be written: {error.strerror or error}"
        raise StoreUnavailable(
            f"{said}. What is in {folder} is no whole export: it has no manifest.json.",
            hint="Delete that folder and export to a place with more space." if full else "May you write there?",
        ) from error


def _chosen(ctx: Context, name: str | None) -> list[Experiment]:
    if name is None:
        found: list[Experiment] = []
        token: str | None = None
        while True:
            page = tracking.search_experiments(ctx, view=View.ALL, order_by=["experiment_id ASC"], token=token)
            found += page.items
            token = page.next_token
            if token is None:
                return found
    one = tracking.find_experiment(ctx, name)
    if one is None:
        raise NotFound(f"There is no experiment {name[:80]!r}.", hint="`modelloop experiments` lists them.")
    return [one]


def _experiment(ctx: Context, export: Export, one: Experiment) -> Iterator[str]:
    """Write one experiment; yield the ids of its runs and models."""
    export.line("experiments", asdict(one))
    for run in _runs(ctx, one.id):
        yield run.id
        _run(ctx, export, run)
    for model_id in taking.model_ids(ctx, one.id):
        yield model_id
        _model(ctx, export, tracking.get_model(ctx, model_id, deleted=True))


def _runs(ctx: Context, experiment: int) -> Iterator[TrackedRun]:
    token: str | None = None
    while True:
        page = tracking.find_runs(ctx, [experiment], view=View.ALL, limit=_MANY, token=token)
        yield from tracking.get_runs(ctx, [found.id for found in page.items])
        token = page.next_token
        if token is None:
            return


def _run(ctx: Context, export: Export, run: TrackedRun) -> None:
    words = ("id", "experiment", "name", "user", "status", "lifecycle", "start_ms", "end_ms")
    linked = {
        "model_inputs": list(run.model_inputs),
        "model_outputs": [{"model_id": made.model_id, "step": made.step} for made in run.model_outputs],
    }
    export.line("runs", {word: getattr(run, word) for word in words} | linked)
    for name, value in sorted(run.params.items()):
        export.line("params", {"run": run.id, "name": name, "value": value})
    for name, value in sorted(run.tags.items()):
        export.line("tags", {"run": run.id, "name": name, "value": value})
    for given in run.inputs:
        export.line("datasets", {"run": run.id, **asdict(given)})
    for point in taking.all_metrics(ctx, run.id, list(run.metrics)):
        export.line("metrics", {"run": run.id, **_point(point)})
    _files(ctx, export, Owner("run", run.id))


def _model(ctx: Context, export: Export, model: LoggedModel) -> None:
    words = ("id", "experiment", "name", "kind", "status", "status_message", "source_run", "made_ms", "changed_ms")
    told = {word: getattr(model, word) for word in (*words, "lifecycle")}
    told |= {"tags": dict(model.tags), "params": dict(model.params)}
    more = ("run_id", "dataset_name", "dataset_digest")
    points = [_point(one) | {word: getattr(one, word) for word in more} for one in model.metrics]
    export.line("logged_models", told | {"metrics": points})
    _files(ctx, export, Owner("model", model.id))


def _point(one: Metric) -> dict[str, Any]:
    return {"name": one.name, "step": one.step, "at_ms": one.at_ms, "value": _number(one.value)}


def _number(value: float) -> float | str:
    if value != value:  # noqa: PLR0124 - the test for NaN
        return "NaN"
    return value if abs(value) != float("inf") else f"{'-' if value < 0 else ''}Infinity"


def _files(ctx: Context, export: Export, owner: Owner) -> None:
    for file, parts in artifacts.files_of(ctx, owner):
        pieces = (ctx.blobs.get(digest) for digest, _ in parts)
        place = export.file(["artifacts", f"{owner.kind}s", owner.id, *file.path.split("/")], pieces)
        told = {"owner": owner.kind, "id": owner.id, "path": file.path, "bytes": file.size, "file": place}
        export.line("artifacts", told | {"sha256": export.files[place]["sha256"]})


def _register(ctx: Context, export: Export, only: set[str] | None) -> None:
    """Write the register; of one experiment: what its runs and models became."""
    token: str | None = None
    while True:
        page = register.search_models(ctx, limit=_MANY, token=token)
        for model in page.items:
            _registered(ctx, export, model, only)
        token = page.next_token
        if token is None:
            return


def _registered(ctx: Context, export: Export, model: RegisteredModel, only: set[str] | None) -> None:
    versions = register.versions(ctx, model.name)
    if only is not None:
        versions = tuple(one for one in versions if {one.run, one.model_id} & only)
        if not versions:
            return
    told = {word: getattr(model, word) for word in ("name", "description", "made_ms", "changed_ms")}
    export.line("registered_models", told | {"tags": dict(model.tags)})
    _aliases(ctx, export, model.name, model.aliases)
    for version in versions:
        _version(ctx, export, version)


def _aliases(ctx: Context, export: Export, name: str, aliases: Mapping[str, int]) -> None:
    for alias, number in sorted(aliases.items()):
        export.line("aliases", {"model": name, "alias": alias, "version": number})
    for move in register.alias_history(ctx, name):
        told = asdict(move)
        told |= {"at": iso(move.at), "event_time": iso(move.event_time) if move.event_time else None}
        export.line("alias_history", told)


def _version(ctx: Context, export: Export, version: ModelVersion) -> None:
    words = ("model", "number", "digest", "verdict", "run", "headline", "made_by", "kind", "source", "model_id")
    told: dict[str, Any] = {word: getattr(version, word) for word in words}
    told |= {"made_at": iso(version.made_at), "description": version.description, "tags": dict(version.tags)}
    told |= {"unsafe": version.unsafe, "lineage": dict(version.lineage), "files": {}}
    if version.kind is Kind.MLFLOW:
        snapshot = manifest.open_snapshot(ctx.blobs, version.digest)
    else:
        snapshot = register.as_snapshot(ctx, version)
    for path, file in snapshot.files.items():
        parts = ["versions", version.model, str(version.number), *path.split("/")]
        told["files"][path] = export.file(parts, manifest.read_pieces(ctx.blobs, file))
    export.line("model_versions", told)


_README = """# An export of Modelloop

Everything is UTF-8. `*.jsonl` are JSON lines: one object a line. Times that end in `_ms` are whole milliseconds since
1970 (UTC); others are ISO 8601. JSON has no NaN and no infinities: such values are the texts "NaN", "Infinity" and
"-Infinity". Deleted things are here too; `lifecycle` says so.

| file | a line is |
|---|---|
| experiments.jsonl | an experiment with its tags |
| runs.jsonl | a run: name, user, status, times, the logged models it was given and made |
| params.jsonl, tags.jsonl | one param or tag of a run |
| metrics.jsonl | one value of a metric: the whole history of every run |
| datasets.jsonl | a dataset that a run was given |
| logged_models.jsonl | a logged model with its params, tags and metrics |
| artifacts.jsonl | a file of a run or logged model: its path as logged, and `file`, where it lies here |
| registered_models.jsonl | a registered model |
| model_versions.jsonl | a version; `files` says where each of its files lies here |
| aliases.jsonl | what an alias names now |
| alias_history.jsonl | one move of an alias: what it named from then on, by whom, why |

`artifacts/runs/RUN/...`, `artifacts/models/MODEL/...` and `versions/MODEL/NUMBER/...` are the files. Characters other
than letters, digits, `.`, `-`, `_` and spaces stand as %XX in their names, and very long names are cut and end in a
hash: the lines above have them as they were.

`manifest.json` lists every file with its size and SHA-256, and was written last: without it the export is not whole.
"""
