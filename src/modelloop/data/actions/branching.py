"""Lines of versions: branches to try something on, tags that stay, merges, going back, and what differs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from ...ground.core.errors import Conflict
from ...ground.core.ids import check_name
from ...ground.core.records import Event
from ...ground.store import audit
from ...ground.store.context import Context
from .. import tables
from ..contract.rules import contract_hash, schema_of
from ..records import MAIN, Branch, DatasetVersion, Part, Schema, Tag
from ..settings import ContractSettings
from ..versions import layout
from ..versions.diff import Diff, RowChanges, counted_changes, keyed_changes, schema_changes, shifts
from ..versions.merging import ancestor, line, named, side
from ..versions.merging import merge as three_way
from .committing import commit, digest_of, stale
from .judging import judge_kept, profile_of
from .reading import scan_version, store_of, version, versions

_MESSAGE = 1000


def branch(ctx: Context, dataset: str, name: str, start: int | None = None) -> Branch:
    """Begin a line of versions at a version, the newest of `main` if none is given; raises Conflict if there is one."""
    check_name(name, "branch")
    begun = version(ctx, dataset, start)
    scan_version(ctx, begun)  # one whose rows were let go is no place to begin
    made = Branch(dataset, name, begun.number, ctx.now(), ctx.actor.name)
    values = {"dataset": dataset, "kind": tables.BRANCH, "name": name, "number": made.head, "message": ""}
    try:
        with ctx.db.transaction() as connection:
            tables.lock(connection)
            _not_main(name)
            _still_whole(connection, begun)
            tables.add_ref(connection, {**values, "at": made.at, "by": made.by})
            audit.append(connection, ctx, Event("data.branched", f"data:{dataset}@{name}", {"start": made.head}))
    except IntegrityError as error:
        raise Conflict(
            f"{dataset!r} has a branch {name!r} already.",
            hint="Go on with it, choose another name, or drop it: `modelloop data branch`.",
        ) from error
    return made


def branches(ctx: Context, dataset: str) -> list[Branch]:
    """Return a dataset's branches, `main` first; raises NotFound where there is no such dataset."""
    main = version(ctx, dataset)
    with ctx.db.reading() as connection:
        rows = tables.refs(connection, dataset, tables.BRANCH)
    others = [Branch(dataset, row.name, row.number, row.at, row.by) for row in rows]
    return [Branch(dataset, MAIN, main.number, main.made_at, main.made_by), *others]


def drop_branch(ctx: Context, dataset: str, name: str) -> None:
    """Forget a branch; its versions stay until retention lets them go. Raises NotFound, and Conflict for `main`.

    Files and rows that only this branch took in count as new again: main can take them in.
    """
    _not_main(name)
    head = version(ctx, dataset, branch=name)
    with ctx.db.transaction() as connection:
        tables.lock(connection)
        every = {one.number: one for one in tables.all_versions(connection, dataset)}
        kept = [row.number for row in tables.refs(connection, dataset, tables.BRANCH) if row.name != name]
        main = tables.head(connection, dataset, MAIN)
        reached = set().union(*(line(every, number) for number in [*kept, *([main.number] if main else [])]))
        alone = [number for number in line(every, head.number) if number not in reached]
        tables.forget_taken(connection, dataset, alone)
        tables.drop_ref(connection, dataset, tables.BRANCH, name)
        audit.append(connection, ctx, Event("data.branch_dropped", f"data:{dataset}@{name}", {"head": head.number}))


def tag(
    ctx: Context, dataset: str, name: str, number: int | None = None, *, message: str = "", move: bool = False
) -> Tag:
    """Name a version, the newest of `main` if none is given: retention then keeps it.

    A tag stays where it is: Conflict, unless `move` says that it is to name another version.
    """
    check_name(name, "tag")
    chosen = version(ctx, dataset, number)
    scan_version(ctx, chosen)
    made = Tag(dataset, name, chosen.number, message[:_MESSAGE], ctx.now(), ctx.actor.name)
    values = {"number": made.number, "message": made.message, "at": made.at, "by": made.by}
    with ctx.db.transaction() as connection:
        tables.lock(connection)
        _still_whole(connection, chosen)
        before = tables.ref(connection, dataset, tables.TAG, name)
        if before is not None and before.number == made.number:
            return _tag(before)
        if before is not None and not move:
            raise Conflict(
                f"The tag {name!r} of {dataset!r} names version {before.number}, not {made.number}.",
                hint="Choose another name; --move lets the tag name another version, and is recorded.",
            )
        if before is None:
            tables.add_ref(connection, {"dataset": dataset, "kind": tables.TAG, "name": name, **values})
        else:
            tables.move_ref(connection, dataset, tables.TAG, name, **values)
        detail = {"number": made.number, "before": before.number if before else None, "message": made.message}
        audit.append(connection, ctx, Event("data.tagged", f"data:{dataset}:{name}", detail))
    return made


def tags(ctx: Context, dataset: str) -> list[Tag]:
    """Return a dataset's tags, by name; raises NotFound where there is no such dataset."""
    version(ctx, dataset)
    with ctx.db.reading() as connection:
        return [_tag(row) for row in tables.refs(connection, dataset, tables.TAG)]


def untag(ctx: Context, dataset: str, name: str) -> None:
    """Forget a tag; raises NotFound."""
    named_version = version(ctx, dataset, tag=name)
    with ctx.db.transaction() as connection:
        tables.lock(connection)
        tables.drop_ref(connection, dataset, tables.TAG, name)
        detail = {"number": named_version.number}
        audit.append(connection, ctx, Event("data.untagged", f"data:{dataset}:{name}", detail))


def restore(ctx: Context, dataset: str, number: int, *, message: str = "", branch: str = MAIN) -> DatasetVersion:
    """Make a version anew as the newest of a branch; those between stay. No row is copied."""
    wanted, head = version(ctx, dataset, number), version(ctx, dataset, branch=branch)
    scan_version(ctx, wanted)
    made = replace(
        wanted,
        parent=head.number,
        merged=None,
        message=(message or f"restored {wanted.name}")[:_MESSAGE],
        made_at=ctx.now(),
        made_by=ctx.actor.name,
        branch=branch,
    )
    with ctx.db.transaction() as connection:
        done = commit(ctx, connection, made, head)
        _still_whole(connection, wanted)
        detail = {"restored": number, "rows": done.rows, "digest": done.digest, "message": done.message}
        audit.append(connection, ctx, Event("data.restored", f"data:{done.name}", detail))
    return done


def merge(
    ctx: Context,
    dataset: str,
    branch: str,
    *,
    contract: ContractSettings,
    into: str = MAIN,
    message: str = "",
    root: Path | None = None,
) -> DatasetVersion:
    """Bring what a branch changed into another, as a new version there.

    Where the other has not moved, that is the branch's table; else rows are merged by the contract's key, and Conflict
    names rows that both changed differently. The merged table is judged under the contract before it is committed:
    DataRefused says what it breaks. `root`: the project's folder, for checks written in Python.
    """
    theirs, ours = version(ctx, dataset, branch=branch), version(ctx, dataset, branch=into)
    begun = _common(ctx, theirs, ours)
    written: set[str] = set()
    parts, schema = theirs.parts, theirs.schema
    if begun.number != ours.number:
        schema = schema_of(contract)
        parts = _merged_parts((begun, ours, theirs), schema, contract.key or ours.key, store_of(ctx, written))
    frame = layout.scan(parts, schema, store_of(ctx))
    made = replace(
        theirs,
        digest=digest_of(schema, parts, contract_hash(contract)),
        rows=sum(part.live for part in parts),
        parts=parts,
        schema=schema,
        contract_hash=contract_hash(contract),
        parent=ours.number,
        report=judge_kept(ctx, f"{dataset}@{branch}", frame, contract, root),
        message=(message or f"merged {branch} ({theirs.name})")[:_MESSAGE],
        made_at=ctx.now(),
        made_by=ctx.actor.name,
        branch=into,
        merged=theirs.number,
        key=contract.key,
        profile=theirs.profile if parts == theirs.parts else profile_of(ctx, frame),
        erased=(),
    )
    with ctx.db.transaction() as connection:
        done = commit(ctx, connection, made, ours, written=written)
        _still_whole(connection, theirs)
        detail = {"branch": branch, "merged": theirs.number, "base": begun.number, "rows": done.rows}
        audit.append(connection, ctx, Event("data.merged", f"data:{done.name}", {**detail, "digest": done.digest}))
    return done


def diff(ctx: Context, dataset: str, a: int, b: int, *, examples: int = 10) -> Diff:
    """Return what is different between two versions: columns, counts, distributions, and rows by key (without a key,
    how many rows only one of them has)."""
    before, after = version(ctx, dataset, a), version(ctx, dataset, b)
    frames = [scan_version(ctx, one) for one in (before, after)]
    added, removed, retyped = schema_changes(before.schema, after.schema)
    kept = tuple((name, kind) for name, kind in after.schema if dict(before.schema).get(name) == kind)
    columns = [name for name, _ in kept]
    key = [name for name in (after.key or before.key) if name in columns]
    key = key if len(key) == len(after.key or before.key) and before.key in ((), after.key) else []
    return Diff(
        dataset,
        a,
        b,
        (before.rows, after.rows),
        added,
        removed,
        retyped,
        shifts(frames[0], frames[1], kept),
        _row_changes(ctx, (before, after), kept, key, examples),
    )


def _row_changes(
    ctx: Context, two: tuple[DatasetVersion, DatasetVersion], kept: Schema, key: list[str], examples: int
) -> RowChanges:
    (before, after), store = two, store_of(ctx)
    if not key or not {"change", "columns"}.isdisjoint(key):
        frames = [layout.scan(parts, kept, store) for parts in _unshared(before, after)]
        return counted_changes(frames[0], frames[1], examples=examples)
    whole = [layout.scan(one.parts, kept, store) for one in two]
    found = layout.rows_changed(before.parts, after.parts, kept, key, store).collect()
    return keyed_changes(found, key, whole[0], whole[1], examples=examples)


def _merged_parts(
    three: tuple[DatasetVersion, DatasetVersion, DatasetVersion],
    schema: Schema,
    key: tuple[str, ...],
    store: layout.Store,
) -> tuple[Part, ...]:
    begun, ours, theirs = three
    if not key:
        raise Conflict(
            f"{ours.dataset!r} has no key, and both {ours.branch} and {theirs.branch} have changed since {begun.name}.",
            hint="Rows are merged by key: give the contract one, or restore the version that is wanted.",
        )
    sides = []
    for now in (ours, theirs):
        before, after = _unshared(begun, now)
        sides.append(side(layout.scan(before, schema, store), layout.scan(after, schema, store), key))
    merged = three_way(sides[0], sides[1], key)
    if merged.conflicts:
        raise Conflict(
            f"{merged.conflicts} rows were changed differently in {ours.branch} and {theirs.branch}: "
            + "; ".join(", ".join(f"{name}={value}" for name, value in one.items()) for one in merged.keys),
            hint="Make them the same on one side, or restore the version that is wanted.",
            detail={
                "conflicts": merged.conflicts,
                "keys": [{k: str(v) for k, v in one.items()} for one in merged.keys],
            },
        )
    parts = ours.parts
    if len(merged.rows):
        parts, _ = layout.upsert(parts, merged.rows, schema, key, store)
    if len(merged.gone):
        parts, _ = layout.remove(parts, schema, store, named(merged.gone))
    return parts


def _common(ctx: Context, theirs: DatasetVersion, ours: DatasetVersion) -> DatasetVersion:
    known = {one.number: one for one in versions(ctx, ours.dataset)}
    begun = ancestor(known, ours.number, theirs.number)
    if begun is None:
        raise Conflict(f"{theirs.name} and {ours.name} have no version in common.")
    if begun == theirs.number:
        raise Conflict(
            f"There is nothing to merge: {ours.branch} has everything of {theirs.name} already.",
            hint="Commit to the branch first.",
        )
    scan_version(ctx, known[begun])
    return known[begun]


def _unshared(one: DatasetVersion, other: DatasetVersion) -> tuple[list[Part], list[Part]]:
    """Rows of a part that both have are the same in both: it need not be read."""
    mine, theirs = set(one.parts), set(other.parts)
    once = len(mine) == len(one.parts) and len(theirs) == len(other.parts)
    if not once:
        return list(one.parts), list(other.parts)
    return [part for part in one.parts if part not in theirs], [part for part in other.parts if part not in mine]


def _still_whole(connection: Connection, read: DatasetVersion) -> None:
    """A version that was looked at may have lost rows, to retention or an erasure, before its parts are used again."""
    now = tables.numbered(connection, read.dataset, read.number)
    if now is None or now.pruned or now.erased != read.erased:
        raise stale(read.dataset, read)


def _tag(row: object) -> Tag:
    fields = {name: getattr(row, name) for name in ("dataset", "name", "number", "message", "at", "by")}
    return Tag(**fields)


def _not_main(name: str) -> None:
    if name == MAIN:
        raise Conflict(f"{MAIN!r} is there from the beginning, and stays.", hint="Choose another name.")
