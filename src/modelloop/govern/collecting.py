"""Garbage collection of the whole store: what nothing needs is put aside, and deleted when nobody asked for it.

Two steps, so that it may run while others write. First, bytes that nothing names, and that are older than the grace
period, move into the trash; whoever reads or writes them there gets them back. A grace period later everything is
looked through again: what is needed by then comes back, the rest is deleted for good.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from ..data import actions as data
from ..ground.core.clock import iso
from ..ground.core.errors import BlobMissing, Conflict, NotFound
from ..ground.core.records import Event
from ..ground.store import audit
from ..ground.store.context import Context
from ..ground.store.reach import HASH, Reach, reach
from ..ground.store.trash import Stored
from ..register import actions as register

GRACE = timedelta(hours=24)
"""Whoever stores bytes names them in the facts within this time."""


@dataclass(frozen=True, slots=True)
class Heap:
    """Some bytes of the store."""

    count: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Collected:
    """What a collection found and did, or would do."""

    dry_run: bool
    deleted: Heap
    """Lay aside for a grace period, and nothing needed it."""
    aside: Heap
    """Nothing needs it now: put aside."""
    back: Heap
    """Lay aside, and is needed."""
    waiting: Heap
    """Lies aside, its grace period is not over."""
    young: Heap
    """Nothing needs it yet; it was written within the grace period."""
    kept: Mapping[str, Heap] = field(default_factory=dict)
    """What is needed, by who needs it: a table, a document, or rows of data."""
    digests: tuple[str, ...] = ()
    """What was put aside, or would be."""


def collect(ctx: Context, *, dry_run: bool = False, grace: timedelta = GRACE) -> Collected:
    """Free the bytes that nothing needs. May be killed at any instant, and run beside writers and other collections.

    Raises Conflict, having moved nothing, where the list of files of a version is missing, and StoreUnavailable where
    it is damaged: what such a version needs could not be known.
    """
    until = ctx.now() - grace
    aside = ctx.blobs.trash.entries()
    content = {one.digest: one for one in ctx.blobs.stored()}
    sizes = {one.digest: one.size for one in (*aside, *content.values())}
    found = _needed(ctx, sizes)
    unnamed = set(sizes) - set(found.by)
    held = data.held_in_rows(ctx, unnamed) if unnamed else set()
    unneeded = unnamed - held
    old = [one for one in aside if _moment(one) <= until]
    dead, alive = _parted(old, unneeded)
    doomed, young = _by_age([one for one in content.values() if one.digest in unneeded], until)
    if not dry_run:
        _finish(ctx, dead, alive)
        _put_aside(ctx, doomed)
    return Collected(
        dry_run=dry_run,
        deleted=_heap(dead),
        aside=_heap(doomed),
        back=_heap(alive),
        waiting=_heap([one for one in aside if _moment(one) > until]),
        young=_heap(young),
        kept=_kept(found, held, content.values()),
        digests=tuple(sorted(one.digest for one in doomed)),
    )


def why(ctx: Context, digest: str) -> list[str]:
    """Return why bytes stay, in sentences; raises NotFound where they are not in the store."""
    if HASH.fullmatch(digest.encode()) is None:
        raise NotFound(f"{digest[:80]!r} names no bytes.", hint="Expected 64 hex digits.")
    aside = {one.digest: one for one in ctx.blobs.trash.entries()}
    content = {one.digest: one for one in ctx.blobs.stored()}
    one = content.get(digest) or aside.get(digest)
    if one is None:
        raise NotFound(f"No bytes {digest[:12]} are in the store.", hint="They were deleted, or never stored.")
    sizes = {each.digest: each.size for each in (*aside.values(), *content.values())}
    found = _needed(ctx, sizes)
    if digest in found.by:
        return [_sentence(step) for step in found.path(digest)]
    if digest in data.held_in_rows(ctx, {digest}):
        return ["Rows of a data version, or rows set aside, hold them as an item."]
    if one.batch:
        return [f"Nothing needs them: they lie aside since {iso(_moment(one))} and go a grace period later."]
    return [f"Nothing needs them: written {iso(one.since)}, they are put aside when older than the grace period."]


def _needed(ctx: Context, sizes: Mapping[str, int]) -> Reach:
    every = (version for model in register.models(ctx) for version in register.versions(ctx, model))
    for version in every:
        lost = [digest for digest in (version.digest, version.package) if digest is not None and digest not in sizes]
        if lost:
            raise Conflict(
                f"The list of files of {version.name} ({lost[0][:12]}) is missing: what it needs is not known.",
                hint="Restore it from a backup, or delete the version. Nothing was moved.",
            )
    return reach(ctx.db, ctx.blobs, sizes)


def _parted(old: list[Stored], unneeded: Collection[str]) -> tuple[list[Stored], list[Stored]]:
    dead = [one for one in old if one.digest in unneeded]
    return dead, [one for one in old if one.digest not in unneeded]


def _by_age(found: list[Stored], until: datetime) -> tuple[list[Stored], list[Stored]]:
    return [one for one in found if one.since <= until], [one for one in found if one.since > until]


def _finish(ctx: Context, dead: list[Stored], alive: list[Stored]) -> None:
    for one in alive:
        ctx.blobs.trash.bring_back(one)
    if dead:
        _note(ctx, "store.deleted", dead)
    for one in dead:
        ctx.blobs.trash.delete(one)


def _put_aside(ctx: Context, doomed: list[Stored]) -> None:
    if not doomed:
        return
    _note(ctx, "store.put_aside", doomed)
    batch = f"{int(ctx.now().timestamp() * 1000):013}"
    for one in doomed:
        ctx.blobs.trash.put_aside(one.digest, batch)


def _note(ctx: Context, action: str, some: list[Stored]) -> None:
    """Write into the audit log what is about to be done: who dies in between has said so, and does it the next time."""
    heap = _heap(some)
    with ctx.db.transaction() as connection:
        audit.append(connection, ctx, Event(action, "store", {"count": heap.count, "bytes": heap.bytes}))


def _moment(one: Stored) -> datetime:
    """Return when bytes were put aside, as their batch says."""
    if not (one.batch.isascii() and one.batch.isdecimal()):
        raise BlobMissing(f"The trash holds a batch {one.batch[:40]!r} that no collection made.")
    return datetime.fromtimestamp(int(one.batch) / 1000, UTC)


def _heap(some: Collection[Stored]) -> Heap:
    return Heap(len(some), sum(one.size for one in some))


def _kept(found: Reach, held: Collection[str], content: Collection[Stored]) -> dict[str, Heap]:
    counts: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for one in content:
        path = found.path(one.digest)
        if not path and one.digest not in held:
            continue
        root = path[-1] if path else "rows of data"
        name = root.partition(".")[0] if not root.startswith("document") else "documents"
        counts[name] += 1
        sizes[name] += one.size
    return {name: Heap(counts[name], sizes[name]) for name in sorted(counts)}


def _sentence(step: str) -> str:
    if step.startswith("within "):
        return f"They are named within {step.removeprefix('within ')}, which is needed:"
    if step.startswith("document "):
        return f"The {step} names them."
    return f"The facts name them in {step}."
