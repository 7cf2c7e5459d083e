"""Artifacts through the server: streamed in both directions, and visible only when they are whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any, ParamSpec, TypeVar
from urllib.parse import quote

from ..ground.core.errors import Conflict, NotFound
from ..ground.core.rights import Right
from ..ground.store.context import Context
from ..register import actions as register
from ..register import manifest
from ..register.records import Kind, StoredFile
from ..train.tracking.actions import artifacts, models, runs
from ..train.tracking.records import Artifact, Owner
from . import documents
from . import messages as m
from .bodies import needs
from .places import Place, clean, file, place
from .register import number
from .replies import EMPTY, encode
from .routing import FILES, PLACES, ROOT, Call, Gone, Route, Stream

P = ParamSpec("P")
R = TypeVar("R")
BLOCK = 1 << 20
"""What goes through a thread, or into the socket, at once."""
_DOWNLOAD = [
    (b"content-type", b"application/octet-stream"),
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; sandbox"),
]


async def upload(stream: Stream) -> bytes:
    """Take a file of any size. Until its last byte came, nothing of it is seen; what was sent before stays."""
    owner, path = _writable(place(stream.words[0]))
    taken = await _run(stream, artifacts.open_upload, stream.ctx, owner, path)
    whole = False
    try:
        async for block in _blocks(stream):
            await _run(stream, taken.write, block)
        await _run(stream, taken.commit)
        whole = True
    finally:
        if not whole:
            await _run(stream, taken.abort)
    return EMPTY


async def download(stream: Stream) -> None:
    """Give a file."""
    await _give(stream, place(stream.words[0]))


async def download_of_run(stream: Stream) -> None:
    """Give a file of a run, named in the query."""
    asked: m.OneFile = stream.message
    await _give(stream, Place(Owner("run", needs(asked.run_id or asked.run_uuid, "run_id")), file(asked.path)))


async def download_of_version(stream: Stream) -> None:
    """Give a file of a registered version, named in the query."""
    asked: m.OneFile = stream.message
    await _give(stream, Place(None, file(asked.path), needs(asked.name, "name"), number(asked.version)))


async def download_of_model(stream: Stream) -> None:
    """Give a file of a logged model, named in the query."""
    asked: m.OneFile = stream.message
    await _give(stream, Place(Owner("model", stream.words[0]), file(asked.artifact_file_path)))


def list_folder(call: Call) -> bytes:
    """List a folder that an artifact URI names; paths are told as seen from it."""
    asked: m.ListArtifacts = call.message or m.ListArtifacts()
    there = place((asked.path or "").strip("/"))
    return encode({"files": documents.files(_listed(call.ctx, there), below=there.path)})


def list_of_run(call: Call) -> bytes:
    """List a folder of a run."""
    asked: m.ListArtifacts = call.message
    run = runs.get_run(call.ctx, needs(asked.run_id or asked.run_uuid, "run_id"))
    found = _listed(call.ctx, Place(Owner("run", run.id), clean((asked.path or "").rstrip("/"))))
    return encode({"root_uri": documents.run_uri(run.experiment, run.id), "files": documents.files(found)})


def list_of_model(call: Call) -> bytes:
    """List a folder of a logged model."""
    asked: m.ListArtifacts = call.message or m.ListArtifacts()
    model = models.get_model(call.ctx, call.words[0])
    found = _listed(call.ctx, Place(Owner("model", model.id), clean((asked.artifact_directory_path or "").rstrip("/"))))
    return encode({"root_uri": documents.model_uri(model.experiment, model.id), "files": documents.files(found)})


def delete(call: Call) -> bytes:
    """Delete a file, or a folder with all in it."""
    owner, path = _writable(place(call.words[0]))
    artifacts.delete(call.ctx, owner, path)
    return EMPTY


def _writable(there: Place) -> tuple[Owner, str]:
    if there.owner is None:
        raise Conflict(
            f"{there.model}:{there.number} is a registered version: its files never change.",
            hint="Log a new model and register that.",
        )
    return there.owner, file(there.path)


def _listed(ctx: Context, there: Place) -> list[Artifact]:
    if there.owner is not None:
        return list(artifacts.list_artifacts(ctx, there.owner, there.path))
    return folder({name: one.size for name, one in _of_version(ctx, there).items()}, there.path)


def folder(sizes: Mapping[str, int], path: str) -> list[Artifact]:
    """Return what lies just below a folder, out of all files by whole path."""
    start = f"{path}/" if path else ""
    found: dict[str, Artifact] = {}
    for name, size in sizes.items():
        if name.startswith(start):
            first, slash, _ = name[len(start) :].partition("/")
            found.setdefault(first, Artifact(start + first, 0 if slash else size, is_dir=bool(slash)))
    return [found[name] for name in sorted(found)]


def _read(ctx: Context, there: Place) -> tuple[int, Iterator[bytes]]:
    path = file(there.path)
    if there.owner is not None:
        return artifacts.read(ctx, there.owner, path)
    found = _of_version(ctx, there).get(path)
    if found is None:
        raise NotFound(f"{there.model}:{there.number} has no file {path[:100]!r}.", hint="List what is there.")
    return found.size, manifest.read_pieces(ctx.blobs, found)


def _of_version(ctx: Context, there: Place) -> Mapping[str, StoredFile]:
    version = register.of_number(ctx, there.model, there.number)
    if version.kind is Kind.MLFLOW:
        return manifest.open_snapshot(ctx.blobs, version.digest).files
    return register.as_snapshot(ctx, version).files


async def _give(stream: Stream, there: Place) -> None:
    size, pieces = await _run(stream, _read, stream.ctx, there)
    piece = await _run(stream, next, pieces, b"")
    name = quote(there.path.rpartition("/")[2], safe="")
    headers = [
        *_DOWNLOAD,
        (b"content-length", str(size).encode()),
        (b"content-disposition", f"attachment; filename*=UTF-8''{name}".encode()),
    ]
    stream.started = True
    await stream.send({"type": "http.response.start", "status": 200, "headers": headers})
    left = asyncio.ensure_future(stream.receive())  # a client that goes away makes this end
    try:
        while piece and not _left(left):
            for start in range(0, len(piece), BLOCK):
                block = piece[start : start + BLOCK]
                await stream.send({"type": "http.response.body", "body": block, "more_body": True})
            piece = await _run(stream, next, pieces, b"")
    finally:
        left.cancel()
    await stream.send({"type": "http.response.body", "body": b""})


def _left(receiving: asyncio.Future[Mapping[str, Any]]) -> bool:
    return receiving.done() and receiving.result()["type"] == "http.disconnect"


async def _blocks(stream: Stream) -> AsyncIterator[bytes]:
    """Yield the body in blocks that are worth a thread's while."""
    held = bytearray()
    more = True
    while more:
        part = await stream.receive()
        if part["type"] != "http.request":
            raise Gone
        held += part.get("body", b"")
        more = bool(part.get("more_body"))
        if len(held) >= BLOCK or (held and not more):
            yield bytes(held)
            held.clear()


async def _run(stream: Stream, function: Callable[P, R], *args: P.args, **options: P.kwargs) -> R:
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(stream.desk.readers, lambda: function(*args, **options))


_LIST = m.ListArtifacts
ROUTES = (
    Route("PUT", "artifacts/{*}", Right.RUN, places=FILES, stream=upload),
    Route("GET", "artifacts/{*}", Right.READ, places=FILES, stream=download),
    Route("DELETE", "artifacts/{*}", Right.RUN, places=FILES, answer=delete),
    Route("GET", "artifacts", Right.READ, _LIST, places=FILES, answer=list_folder),
    Route("GET", "artifacts/list", Right.READ, _LIST, answer=list_of_run),
    Route("GET", "logged-models/{}/artifacts/directories", Right.READ, _LIST, answer=list_of_model),
    Route("GET", "logged-models/{}/artifacts/files", Right.READ, m.OneFile, places=PLACES, stream=download_of_model),
    Route("GET", "get-artifact", Right.READ, m.OneFile, places=ROOT, stream=download_of_run),
    Route("GET", "model-versions/get-artifact", Right.READ, m.OneFile, places=ROOT, stream=download_of_version),
)
