"""Erasure: what runs kept of somebody's data is let go of, and that it was is written down."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from ...core.errors import BlobMissing, Conflict
from ...core.records import Event
from ...store import audit
from ...store.context import Context
from .. import tables
from ..codecs import from_text
from ..records import RunState
from . import erased
from .looking import run_row

_FILES = ("bytes", "bytearray")


def forget_results(ctx: Context, run_ids: Iterable[str], *, spared: Callable[[str], bool] | None = None) -> int:
    """Drop what runs kept: results of steps and pipeline, values shown of arguments, artifacts, what was printed.

    Returns how many results were dropped. That the runs took place, with which code and what came of them, stays; steps
    are carried out anew when they are asked for again. Bytes that no other run refers to are removed. A file (plain
    bytes, an artifact) may be part of a registered model as well: it is removed only where `spared` is given and says
    that nobody else refers to it. Raises Conflict for a run that has not ended.
    """
    runs = sorted(set(run_ids))
    with ctx.db.transaction() as connection:
        for run_id in runs:
            row = run_row(connection, run_id)
            if not RunState(row.state).ended:
                raise Conflict(f"{run_id} has not ended: it is {row.state}.", hint="Wait for it, or cancel it first.")
        trees, files = _bytes_of(ctx, connection, runs)
        steps = [step for run_id in runs for step in tables.step_rows(connection, run_id)]
        for step in steps:
            erased.change_parts(connection, step.id, {**step.key_parts, "shown": {}})
        count = erased.forget(connection, runs, {step.key for step in steps})
        doomed = trees | (files if spared is not None else set())
        for run_id in runs:
            audit.append(connection, ctx, Event("run.forgotten", run_id))
    for digest in sorted(doomed - mentioned(ctx, doomed)):
        if spared is None or not spared(digest):
            ctx.blobs.remove(digest)
    return count


def mentioned(ctx: Context, digests: Collection[str]) -> set[str]:
    """Return those of the digests that a run still names: as a result, an artifact, or within a result."""
    with ctx.db.reading() as connection:
        found = {digest for digest in digests if erased.named_elsewhere(connection, digest)}
        large = erased.large_trees(connection) if found != set(digests) else []
    for name in large:
        with suppress(BlobMissing):
            found |= {digest for _, digest in _blobs_in(from_text(ctx.blobs.get(name)))} & set(digests)
    return found


def _bytes_of(ctx: Context, connection: Any, runs: Sequence[str]) -> tuple[set[str], set[str]]:
    """Return the bytes that results consist of: tables, arrays, objects and their trees; and plain files."""
    trees: set[str] = set()
    files = {row.digest for row in tables.artifact_rows(connection, runs)}
    for row in erased.outputs_of(connection, runs):
        text = row.output
        if text is None and row.output_digest is not None:
            trees.add(row.output_digest)
            with suppress(BlobMissing):  # cleared away before
                text = ctx.blobs.get(row.output_digest)
        for tag, digest in _blobs_in(from_text(text)) if text is not None else ():
            (files if tag in _FILES else trees).add(digest)
    return trees, files


def _blobs_in(tree: Any) -> Iterator[tuple[str, str]]:
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            if isinstance(node.get("blob"), str):
                yield str(node.get("$")), node["blob"]
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node
