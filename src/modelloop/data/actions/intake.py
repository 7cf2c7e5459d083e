"""An arrival taken in or refused: read, judge, keep, compare, commit.

Bytes first: parts and rows set aside go to blobs under their hash, where they do no harm if the process dies. Then one
transaction writes version, files, cursor and audit entry. Killed at any instant, `ingest` is simply called again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NoReturn

from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from ...ground.core.errors import DataRefused, InvalidInput
from ...ground.core.hashing import hash_json
from ...ground.core.ids import check_name
from ...ground.core.later import polars as pl
from ...ground.core.records import Event
from ...ground.core.toml import plain
from ...ground.store import audit
from ...ground.store.context import Context
from .. import tables
from ..adapters.items import Item, Reading
from ..adapters.reading import read_new
from ..contract.judge import Before, Judge
from ..contract.rules import check_contract, contract_hash, schema_of
from ..records import MAIN, Arrival, CheckResult, DatasetVersion, Ingest, Level, Part, Report, Taken
from ..settings import ContractSettings, Format, Mode, SourceKind, SourceSettings
from ..sources.secrets import Secrets
from ..versions.correcting import for_few_rows
from .committing import commit, digest_of, forget_notes, stale
from .comparing import compared
from .gathering import Gathered, Keeping, gather
from .preparing import aids_for, depends_on, items_of, rows_of_dataset
from .reading import resolve, said, scan_version, store_of, version

Settled = Callable[[Connection, DatasetVersion], None]
"""What else belongs into the transaction of a version."""
KnownFiles = dict[str, tuple[Taken, ...]]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is to be taken in, under what, on top of what."""

    name: str
    source: SourceSettings
    contract: ContractSettings
    root: Path
    branch: str
    message: str
    head: DatasetVersion | None
    items: Sequence[Item]
    """In replace mode only the last is the table; all become known."""
    found: tuple[CheckResult, ...] = ()
    depends: str = ""
    """What the verdict depends on besides: versions that are referred to, code of the project's own checks."""
    by_hand: bool = False
    """A few rows from a person: what is asked of an arrival as a whole does not hold for them."""

    @property
    def digest(self) -> str:
        """Name everything that the verdict follows from: the same arrival refused twice is one."""
        files = [[one.name, one.content] for item in self.items for one in item.all_taken]
        before = self.head.number if self.head else 0
        rules = [contract_hash(self.contract), self.depends]
        return hash_json([self.name, plain(self.source), rules, self.branch, before, files])

    @property
    def read(self) -> Sequence[Item]:
        """Return what is read."""
        one_table = self.source.mode is Mode.REPLACE and self.source.format is not Format.BINARY
        return self.items[-1:] if one_table else self.items


def ingest(
    ctx: Context,
    name: str,
    source: SourceSettings,
    contract: ContractSettings,
    *,
    root: Path,
    branch: str = MAIN,
    message: str = "",
    only_due: bool = False,
) -> Ingest | None:
    """Take in what is new at the source as a new version of its dataset; None if nothing is.

    With mode merge each file makes a version of its own, in order, for a later one may change the rows of an earlier
    one; the last is returned. `only_due`: leave a source that is not a folder alone until its `every` has passed.

    Raises DataRefused with the report in `detail` after setting the rows aside: then no version is made and nothing
    counts as taken in. Raises StaleState if another ingest was first; call again.
    """
    check_name(name, "source")
    check_name(source.dataset, "dataset")
    check_contract(contract)
    if branch != MAIN:
        version(ctx, source.dataset, branch=branch)
    with ctx.db.reading() as connection:
        known = tables.known_files(connection, name)
        asked_before = tables.cursor_of(connection, name)
    cursor, last = asked_before or (None, None)
    polled = source.kind is not SourceKind.FILES
    if only_due and polled and last is not None and abs(ctx.now() - last) < source.every:
        return None
    rows, secrets = partial(rows_of_dataset, ctx), Secrets(os.environ, ctx.home)
    reading = read_new(name, source, root=root, known=known, cursor=cursor, secrets=secrets, dataset_rows=rows)
    groups = [[one] for one in reading.items] if source.mode is Mode.MERGE else [reading.items]
    made = None
    first = _Asked(name, source, contract, root, branch, message, None, (), (), depends_on(ctx, root, contract))
    try:
        for items in groups:
            asked = _with_items(ctx, first, items, known)
            made = _take(ctx, asked, reading if items is groups[-1] else None) or made
    finally:
        if made is None and polled:  # it was asked, also where it was refused
            with ctx.db.transaction() as connection:
                tables.set_cursor(connection, name, cursor, ctx.now())
    return made


def _with_items(ctx: Context, asked: _Asked, items: Sequence[Item], known: KnownFiles) -> _Asked:
    """Return what is asked of these items, on top of what is there now.

    Raises StaleState where another ingest took one of them in since it was found to be new: judged beside its own
    rows, it would be refused for repeating them.
    """
    head = _head(ctx, asked.source.dataset, asked.branch)
    with ctx.db.reading() as connection:
        now = tables.known_files(connection, asked.name, items[0].name if len(items) == 1 else None)
    if any(set(now.get(one.name, ())) != set(known.get(one.name, ())) for one in items):
        raise stale(asked.source.dataset, head)
    return replace(asked, head=head, items=items, found=tuple(_grown(asked.source, items, known)))


def take_rows(  # noqa: PLR0913 - each is named by the caller
    ctx: Context,
    name: str,
    source: SourceSettings,
    contract: ContractSettings,
    frame: pl.DataFrame,
    *,
    root: Path,
    label: str,
    settle: Settled,
    branch: str = MAIN,
    message: str = "",
) -> Ingest:
    """Take in rows that a person gives, as text, under the contract: added, or merged by key where the source merges.

    `label` stands for the file in the report; `settle` is called in the transaction of the new version. Raises
    DataRefused if a row is bad, and then takes in none.
    """
    check_contract(contract)
    mode = Mode.MERGE if source.mode is Mode.MERGE else Mode.APPEND
    by_hand = SourceSettings(path="", dataset=source.dataset, contract=source.contract, mode=mode)
    content = hash_json([frame.columns, [list(row) for row in frame.iter_rows()]])
    item = Item(label, Taken(label, content, int(frame.estimated_size()), 0), lambda: iter([frame]))
    head = _head(ctx, source.dataset, branch)
    asked = _Asked(name, by_hand, contract, root, branch, message, head, [item], by_hand=True)
    judged = _gather(ctx, asked)
    if judged.report.refused or judged.report.quarantined:
        raise DataRefused(
            f"Of {len(frame)} rows {judged.report.quarantined} still break the contract {source.contract!r}: "
            f"{'; '.join(map(said, judged.report.broken[:5]))}.",
            hint="Correct them, or drop them; none was taken in.",
            detail={"dataset": source.dataset, "report": judged.report.to_json()},
        )
    return _commit(ctx, asked, judged, None, settle)


def _head(ctx: Context, dataset: str, branch: str) -> DatasetVersion | None:
    with ctx.db.reading() as connection:
        return tables.head(connection, dataset, branch)


def _grown(source: SourceSettings, items: Sequence[Item], known: KnownFiles) -> list[CheckResult]:
    """In append mode a file never changes: its rows would come in twice."""
    if source.mode is not Mode.APPEND or source.kind not in (SourceKind.FILES, SourceKind.OBJECTS):
        return []
    told = "was taken in before with other content; give new rows a file of their own, or use mode replace or merge"
    return [
        CheckResult("unchanged", one.name, Level.TABLE, 1, f"{one.name} {told}") for one in items if one.name in known
    ]


def _take(ctx: Context, asked: _Asked, reading: Reading | None) -> Ingest | None:
    if not asked.items:
        return None
    with ctx.db.reading() as connection:
        earlier = tables.arrival_of(connection, asked.digest)
    if earlier is not None and earlier.version is None:
        _raise_refused(asked, earlier)
    gathered = _gather(ctx, asked)
    if not gathered.arrived and reading is not None and asked.source.kind in (SourceKind.SQL, SourceKind.DATASET):
        return None
    if gathered.report.refused:
        _refuse(ctx, asked, gathered)
    return _commit(ctx, asked, gathered, reading)


def _gather(ctx: Context, asked: _Asked) -> Gathered:
    """Judge what arrived, keep its good rows, compare it with what is known."""
    head, mode = asked.head, asked.source.mode
    contract = for_few_rows(asked.contract) if asked.by_hand else asked.contract
    if mode is Mode.MERGE and not contract.key:
        raise InvalidInput(
            f"The source {asked.name!r} merges by key, and the contract {asked.source.contract!r} has none.",
            hint='Write key = ["COLUMN"] into the contract, or use mode append or replace.',
        )
    goes_on = head is not None and mode is not Mode.REPLACE
    before = Before(
        rows=head.rows if head and goes_on else 0,
        schema=head.schema if head and goes_on else None,
        report=head.report if head else None,
    )
    known = scan_version(ctx, head) if head and mode is Mode.APPEND else None
    written: set[str] = set()
    store = store_of(ctx, written)
    judge = Judge(
        contract,
        before,
        aids_for(ctx, asked.root, contract, known, put=store.put, items=_items(ctx, asked)),
        asked.found,
    )
    parts: tuple[Part, ...] = head.parts if head else ()
    keeping = Keeping(mode, parts, schema_of(contract), key=contract.key, store=store)
    gathered = compared(ctx, contract, head, gather(asked.read, judge, keeping), mode)
    return replace(gathered, written=frozenset(written))


def _items(ctx: Context, asked: _Asked) -> frozenset[str]:
    """Return the binary columns whose bytes are kept already: of rows set aside, and of another dataset's version."""
    if asked.by_hand:
        return items_of(schema_of(asked.contract))
    is_dataset = asked.source.kind is SourceKind.DATASET
    return items_of(resolve(ctx, asked.source.of or "").schema) if is_dataset else frozenset()


def _refuse(ctx: Context, asked: _Asked, gathered: Gathered) -> NoReturn:
    arrival = _arrival(ctx, asked, gathered)
    broken = {f"{one.check} {one.column}".strip(): one.violations for one in arrival.report.broken}
    detail = {"source": asked.name, "arrival": arrival.id, "files": list(arrival.report.files), "broken": broken}
    try:
        with ctx.db.transaction() as connection:
            _add_arrival(ctx, connection, arrival, asked)
            tables.add_unused(connection, set(gathered.written), ctx.now())
            audit.append(connection, ctx, Event("data.refused", f"data:{asked.source.dataset}", detail))
    except IntegrityError:
        pass  # another ingest refused the same arrival at the same time, and recorded it
    _raise_refused(asked, arrival)


def _raise_refused(asked: _Asked, arrival: Arrival) -> NoReturn:
    stopping = [one for one in arrival.report.broken if one.stops] or list(arrival.report.broken)
    told = "; ".join(map(said, stopping[:5]))
    more = f"; and {len(stopping) - 5} more" if len(stopping) > 5 else ""
    rows = arrival.report.quarantined
    counted = "1 row" if rows == 1 else f"{rows} rows"
    listed = f"`modelloop data quarantine {asked.source.dataset}` lists {counted} with all reasons. " * (rows > 0)
    raise DataRefused(
        f"Source {asked.name!r} breaks the contract {asked.source.contract!r} and was not taken in: {told}{more}.",
        hint=f"{listed}Replace the file by a good one, or change the contract; nothing of it was kept as data.",
        detail={"arrival": arrival.id, "dataset": arrival.dataset, "report": arrival.report.to_json()},
    )


def _commit(
    ctx: Context, asked: _Asked, gathered: Gathered, reading: Reading | None, settle: Settled | None = None
) -> Ingest:
    draft = _next_version(ctx, asked, gathered)
    names = [one.name for one in asked.items]
    arrival = _arrival(ctx, asked, gathered) if gathered.set_aside else None
    detail = {"source": asked.name, "files": names, "rows": draft.rows, "digest": draft.digest, **_counts(draft.report)}
    try:
        with ctx.db.transaction() as connection:
            made = commit(ctx, connection, draft, asked.head, written=gathered.written)
            if settle is None:
                tables.add_files(
                    connection, asked.name, made, [taken for one in asked.items for taken in one.all_taken]
                )
            if reading is not None and asked.source.kind is not SourceKind.FILES:
                tables.set_cursor(connection, asked.name, reading.cursor_after(), ctx.now())
            if arrival is not None:
                _add_arrival(ctx, connection, replace(arrival, version=made.number), asked)
            if settle is not None:
                settle(connection, made)
            audit.append(connection, ctx, Event("data.ingested", f"data:{made.name}", detail))
    except IntegrityError as error:  # another ingest took the same files in
        raise stale(draft.dataset, asked.head) from error
    return Ingest(made, made.report, tuple(names))


def _next_version(ctx: Context, asked: _Asked, gathered: Gathered) -> DatasetVersion:
    schema, parts = schema_of(asked.contract), gathered.parts
    rows, report, contract = sum(one.live for one in parts), gathered.report, contract_hash(asked.contract)
    counted = "1 row" if report.accepted == 1 else f"{report.accepted} rows"
    said_so = asked.message or f"{counted} from {asked.name}"
    return DatasetVersion(
        dataset=asked.source.dataset,
        number=0,  # given by the commit
        digest=digest_of(schema, parts, contract),
        rows=rows,
        parts=parts,
        schema=schema,
        contract_hash=contract,
        parent=asked.head.number if asked.head else None,
        report=report,
        message=said_so,
        made_at=ctx.now(),
        made_by=ctx.actor.name,
        source=asked.name,
        branch=asked.branch,
        key=asked.contract.key,
        profile=gathered.stored_profile,
    )


def _arrival(ctx: Context, asked: _Asked, gathered: Gathered) -> Arrival:
    blob = ctx.blobs.put(gathered.set_aside) if gathered.set_aside else None
    return Arrival(ctx.id("arr"), asked.source.dataset, asked.name, None, gathered.report, blob, ctx.now())


def _add_arrival(ctx: Context, connection: Connection, arrival: Arrival, asked: _Asked) -> None:
    tables.lock(connection)
    forget_notes(ctx, connection, {arrival.blob} if arrival.blob else ())
    tables.add_arrival(connection, arrival, asked.digest)


def _counts(report: Report) -> dict[str, int]:
    return {"arrived": report.rows, "accepted": report.accepted, "quarantined": report.quarantined}
