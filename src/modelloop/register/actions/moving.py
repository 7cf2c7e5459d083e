"""Folders in and out of the register, and every byte of a version checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ...ground.core.errors import BlobMissing, Conflict, InvalidInput, ModelloopError, StoreUnavailable
from ...ground.core.hashing import canonical_json
from ...ground.store.context import Context
from .. import archive, manifest
from ..mlmodel import MLMODEL
from ..names import check_model
from ..records import Kind, ModelVersion, StoredFile
from .models import models
from .snapshots import put_snapshot
from .versions import get_version, versions

PACKAGE = "package.json"


@dataclass(frozen=True, slots=True)
class Checked:
    """What a look at every byte of a version found."""

    version: str
    files: int
    bytes: int
    wrong: tuple[str, ...]
    """What is missing or damaged, in sentences; empty: all is as it was registered."""


def import_folder(ctx: Context, source: Path, model: str, *, description: str = "") -> ModelVersion:
    """Register a folder (or archive) in MLflow's format as the next version of a model, made where there is none.

    Files are streamed; links, devices and paths that lead elsewhere refuse the whole folder.
    """
    check_model(model)
    files = _rooted({path: manifest.store_pieces(ctx.blobs, data) for path, data in archive.members(source)})
    if MLMODEL not in files:
        if PACKAGE in files:
            raise InvalidInput(
                f"{str(source)[:200]!r} is a package of Modelloop's own: its verdict cannot be taken on trust.",
                hint="Register the pipeline's candidate here; packages go out, and do not come back in.",
            )
        raise InvalidInput(
            f"{str(source)[:200]!r} holds no file MLmodel: it is no model in MLflow's format.",
            hint=f"It holds {len(files)} files{': ' + ', '.join(sorted(files)[:5]) if files else ''}.",
        )
    snapshot = manifest.build_snapshot(ctx.blobs, files)
    return put_snapshot(ctx, model, snapshot, facts={"source": f"folder:{source.name}"}, description=description)


def export_version(ctx: Context, name: str, folder: Path, *, package: bool = False) -> int:
    """Write a version's files into a folder that is not there yet, and return how many.

    A version in MLflow's format comes out as it came in; `package` asks for what gateways load instead.
    """
    version = get_version(ctx, name)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Conflict(f"{str(folder)[:200]!r} is there already.", hint="Name a folder that is not, or is empty.")
    if version.kind is Kind.MLFLOW and not package:
        return write_files(ctx, manifest.open_snapshot(ctx.blobs, version.digest).files, folder)
    if version.package is None:
        raise Conflict(f"{version.name} has no package. {version.refusal}".strip(), hint="Export it as it came in.")
    found = manifest.open_package(ctx.blobs, version.package)
    for path, digest in found.files.items():
        _write(folder / path, [ctx.blobs.get(digest)])
    told = {"version": version.name, "digest": found.digest, "files": dict(found.files)}
    _write(folder / PACKAGE, [canonical_json(told)])
    return len(found.files) + 1


def write_files(ctx: Context, files: Mapping[str, StoredFile], folder: Path) -> int:
    """Write files of a snapshot under a folder, each piece checked; return how many."""
    for path, file in files.items():
        _write(folder / path, manifest.read_pieces(ctx.blobs, file))
    return len(files)


def verify(ctx: Context, name: str | None = None) -> list[Checked]:
    """Read and hash every byte of a version, or of all versions."""
    if name is not None:
        return [_checked(ctx, get_version(ctx, name))]
    return [_checked(ctx, version) for model in models(ctx) for version in versions(ctx, model)]


def _checked(ctx: Context, version: ModelVersion) -> Checked:
    wrong: list[str] = []
    pieces: dict[str, str] = {}
    for digest, kind in ((version.digest, version.kind), (version.package, Kind.MODELLOOP)):
        if digest is None or digest in pieces:
            continue
        pieces[digest] = "its list of files"
        try:
            pieces |= _pieces(ctx, digest, kind)
        except ModelloopError as error:
            wrong.append(f"The list of files {digest[:12]}: {error.message}")
    total = 0
    for digest, path in pieces.items():
        try:
            total += len(ctx.blobs.get(digest))
        except (BlobMissing, StoreUnavailable) as error:
            wrong.append(f"{path}: {error.message}")
    return Checked(version.name, len(pieces), total, tuple(dict.fromkeys(wrong)))


def _pieces(ctx: Context, digest: str, kind: Kind) -> dict[str, str]:
    if kind is Kind.MODELLOOP:
        return {part: path for path, part in manifest.open_package(ctx.blobs, digest).files.items()}
    files = manifest.open_snapshot(ctx.blobs, digest).files
    return {part: path for path, file in files.items() for part, _ in file.parts}


def _rooted(files: Mapping[str, StoredFile]) -> dict[str, StoredFile]:
    """Return the files below the one folder that an archive holds, where its root holds nothing else."""
    tops = {path.partition("/")[0] for path in files}
    if MLMODEL in files or len(tops) != 1 or not all("/" in path for path in files):
        return dict(files)
    return {path.partition("/")[2]: file for path, file in files.items()}


def _write(target: Path, data: Iterable[bytes]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as file:
        for piece in data:
            file.write(piece)
