"""Verbs of data: take an arrival in or refuse it; read versions, reports and what was set aside.

Bytes first: parts and quarantined rows go to blobs under their hash, where they do no harm if the process dies. Then
one transaction writes version, files and audit entry. Killed at any instant, `ingest` is simply called again.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import polars as pl
from sqlalchemy.exc import IntegrityError

from ..ground.core.errors import BlobMissing, DataRefused, NotFound, StaleState
from ..ground.core.hashing import hash_json
from ..ground.core.ids import check_name
from ..ground.core.records import Event
from ..ground.store import audit
from ..ground.store.context import Context
from . import tables
from .adapters.files import Arrived, new_files
from .arrival import Before, Judged, judge, to_parquet
from .contract import check_contract, contract_hash, schema_of
from .parts import rows_of, scan
from .records import (
    Arrival,
    CheckResult,
    Dataset,
    DatasetVersion,
    Ingest,
    Level,
    Part,
    QuarantinedRow,
    Refused,
    Report,
    Taken,
)
from .settings import ContractSettings, Mode, SourceSettings

KnownFiles = dict[str, tuple[Taken, ...]]


@dataclass(frozen=True, slots=True)
class _Intake:
    """One call of `ingest`: what is asked, what is there, what is new."""

    name: str
    source: SourceSettings
    contract: ContractSettings
    contract_hash: str
    head: DatasetVersion | None
    files: list[Arrived]
    """In replace mode only the last is the table; all become known."""
    found: tuple[CheckResult, ...]

    @property
    def digest(self) -> str:
        files = [[one.name, one.taken.content] for one in self.files]
        before = self.head.number if self.head else 0
        asked = [self.name, self.source.dataset, str(self.source.format), str(self.source.mode), self.contract_hash]
        return hash_json([asked, before, files])


def ingest(ctx: Context, name: str, source: SourceSettings, contract: ContractSettings, *, root: Path) -> Ingest | None:
    """Take in what is new at the source as one version of its dataset; None if nothing is.

    Raises DataRefused with the report in `detail` after setting the rows aside: then no version is made and no file
    counts as taken in. Raises StaleState if another ingest was first; call again.
    """
    check_name(name, "source")
    check_name(source.dataset, "dataset")
    intake = _intake(ctx, name, source, contract, root)
    if not intake.files:
        return None
    with ctx.db.reading() as connection:
        earlier = tables.arrival_of(connection, intake.digest)
    if earlier is not None and earlier.version is None:
        _raise_refused(intake, earlier)
    judged = _judge(ctx, intake)
    return _refuse(ctx, intake, judged) if judged.report.refused else _commit(ctx, intake, judged)


def read(ctx: Context, dataset: str, version: int | None = None) -> pl.LazyFrame:
    """Return the rows of a version (the newest) as a lazy frame; raises NotFound, BlobMissing."""
    return _scan(ctx, _version(ctx, dataset, version))


def version(ctx: Context, dataset: str, number: int | None = None) -> DatasetVersion:
    """Return a version, the newest if no number is given; raises NotFound."""
    return _version(ctx, dataset, number)


def versions(ctx: Context, dataset: str) -> list[DatasetVersion]:
    """Return a dataset's versions, newest first; raises NotFound where there is none."""
    with ctx.db.reading() as connection:
        found = tables.all_versions(connection, dataset)
    return found or [_version(ctx, dataset, None)]


def datasets(ctx: Context) -> list[Dataset]:
    """Return all datasets, by name."""
    with ctx.db.reading() as connection:
        return tables.all_datasets(connection)


def report(ctx: Context, dataset: str, number: int | None = None) -> Report:
    """Return the report of the arrival that made a version; raises NotFound."""
    return _version(ctx, dataset, number).report


def arrivals(ctx: Context, dataset: str | None = None, *, limit: int = 100) -> list[Arrival]:
    """Return arrivals that were refused or of which rows were set aside, newest first, with their reports."""
    with ctx.db.reading() as connection:
        return tables.all_arrivals(connection, dataset, limit)


def refused(ctx: Context, dataset: str, *, limit: int = 100) -> list[Refused]:
    """Return the arrivals of which nothing was taken in, newest first."""
    found = [one for one in arrivals(ctx, dataset, limit=limit) if one.version is None]
    return [Refused(one.id, one.at, one.report.files, tuple(map(_said, one.report.broken))) for one in found]


def quarantined(ctx: Context, dataset: str, *, limit: int = 1000) -> list[QuarantinedRow]:
    """Return rows that were set aside, each with its reasons, newest arrival first; raises NotFound."""
    rows: list[QuarantinedRow] = []
    for arrival in arrivals(ctx, dataset) or _no_arrival(ctx, dataset):
        if arrival.blob is not None and len(rows) < limit:
            rows += rows_of(ctx.blobs.get(arrival.blob), dataset, arrival.id, arrival.version)
    return rows[:limit]


def _no_arrival(ctx: Context, dataset: str) -> tuple[Arrival, ...]:
    _version(ctx, dataset, None)
    return ()


def _version(ctx: Context, dataset: str, number: int | None) -> DatasetVersion:
    with ctx.db.reading() as connection:
        found = tables.head(connection, dataset) if number is None else tables.numbered(connection, dataset, number)
        if found is not None:
            return found
        newest = tables.head(connection, dataset)
        names = [one.name for one in tables.all_datasets(connection)]
    if newest is not None:
        raise NotFound(f"The dataset {dataset!r} has no version {number}.", hint=f"It has 1 to {newest.number}.")
    raise NotFound(f"There is no dataset {dataset[:80]!r}.", hint=f"There are: {', '.join(names) or 'none yet'}.")


def _intake(ctx: Context, name: str, source: SourceSettings, contract: ContractSettings, root: Path) -> _Intake:
    check_contract(contract)
    with ctx.db.reading() as connection:
        head = tables.head(connection, source.dataset)
        known = tables.known_files(connection, name)
    files = new_files(name, source, root, known)
    found = tuple(_grown(source, files, known))
    return _Intake(name, source, contract, contract_hash(contract), head, files, found)


def _grown(source: SourceSettings, files: list[Arrived], known: KnownFiles) -> list[CheckResult]:
    """In append mode a file never changes: its rows would come in twice."""
    if source.mode is Mode.REPLACE:
        return []
    said = "was taken in before with other content; give new rows a file of their own, or use mode replace"
    return [
        CheckResult("unchanged", one.name, Level.TABLE, 1, f"{one.name} {said}") for one in files if one.name in known
    ]


def _judge(ctx: Context, intake: _Intake) -> Judged:
    head, files = intake.head, [(one.name, one.data) for one in intake.files]
    if intake.source.mode is Mode.REPLACE or head is None:
        before = Before(report=head.report if head else None)
        files = files[-1:] if intake.source.mode is Mode.REPLACE else files
    else:
        keys = list(intake.contract.key)
        had = set(keys) <= {column for column, _ in head.schema}
        known = _scan(ctx, head).select(keys).collect() if keys and had else None
        before = Before(head.rows, head.schema, head.report, known)
    return judge(files, intake.source.format, intake.contract, before, intake.found)


def _refuse(ctx: Context, intake: _Intake, judged: Judged) -> NoReturn:
    arrival = _arrival(ctx, intake, judged, None)
    broken = {f"{one.check} {one.column}".strip(): one.violations for one in arrival.report.broken}
    detail = {"source": intake.name, "arrival": arrival.id, "files": list(arrival.report.files), "broken": broken}
    try:
        with ctx.db.transaction() as connection:
            tables.add_arrival(connection, arrival, intake.digest)
            audit.append(connection, ctx, Event("data.refused", f"data:{intake.source.dataset}", detail))
    except IntegrityError:
        pass  # another ingest refused the same arrival at the same time, and recorded it
    _raise_refused(intake, arrival)


def _raise_refused(intake: _Intake, arrival: Arrival) -> NoReturn:
    broken = arrival.report.broken
    told = "; ".join(map(_said, broken[:5]))
    more = f"; and {len(broken) - 5} more" if len(broken) > 5 else ""
    rows = arrival.report.quarantined
    listed = f"`modelloop data quarantine {intake.source.dataset}` lists {_counted(rows)} with all reasons. " * (
        rows > 0
    )
    raise DataRefused(
        f"Source {intake.name!r} breaks the contract {intake.source.contract!r} and was not taken in: {told}{more}.",
        hint=f"{listed}Replace the file by a good one, or change the contract; nothing of it was kept as data.",
        detail={"arrival": arrival.id, "dataset": arrival.dataset, "report": arrival.report.to_json()},
    )


def _commit(ctx: Context, intake: _Intake, judged: Judged) -> Ingest:
    made = _next_version(ctx, intake, judged)
    names = [one.name for one in intake.files]
    arrival = _arrival(ctx, intake, judged, made.number) if judged.report.quarantined else None
    detail = {"source": intake.name, "files": names, "rows": made.rows, "digest": made.digest, **_counts(judged.report)}
    try:
        with ctx.db.transaction() as connection:
            now = tables.head(connection, made.dataset)
            if (now.number if now else 0) != made.number - 1:
                _raise_stale(made)
            tables.add_version(connection, made)
            tables.add_files(connection, intake.name, made, [one.taken for one in intake.files])
            if arrival is not None:
                tables.add_arrival(connection, arrival, intake.digest)
            audit.append(connection, ctx, Event("data.ingested", f"data:{made.name}", detail))
    except IntegrityError:
        _raise_stale(made)
    return Ingest(made, made.report, tuple(names))


def _next_version(ctx: Context, intake: _Intake, judged: Judged) -> DatasetVersion:
    head, schema = intake.head, schema_of(intake.contract)
    part = Part(ctx.blobs.put(to_parquet(judged.good)), len(judged.good), schema)
    kept = head.parts if head and intake.source.mode is Mode.APPEND else ()
    parts = (*kept, part)
    return DatasetVersion(
        dataset=intake.source.dataset,
        number=head.number + 1 if head else 1,
        digest=hash_json([schema, [[one.digest, one.rows] for one in parts], intake.contract_hash]),
        rows=sum(one.rows for one in parts),
        parts=parts,
        schema=schema,
        contract_hash=intake.contract_hash,
        parent=head.number if head else None,
        report=judged.report,
        message=f"{len(judged.good)} rows of {len(intake.files)} files from {intake.name}",
        made_at=ctx.now(),
        made_by=ctx.actor.name,
        source=intake.name,
    )


def _arrival(ctx: Context, intake: _Intake, judged: Judged, number: int | None) -> Arrival:
    blob = ctx.blobs.put(to_parquet(judged.bad)) if len(judged.bad) else None
    return Arrival(ctx.id("arr"), intake.source.dataset, intake.name, number, judged.report, blob, ctx.now())


def _scan(ctx: Context, found: DatasetVersion) -> pl.LazyFrame:
    return scan([(part, _where(ctx, part.digest)) for part in found.parts], found.schema)


def _where(ctx: Context, digest: str) -> Path | bytes:
    path = ctx.blobs.path(digest)
    if path is None:
        return ctx.blobs.get(digest)
    if not path.is_file():
        raise BlobMissing(f"The part {digest} is not in {ctx.blobs.url}.")
    return path


def _said(check: CheckResult) -> str:
    return f"{check.column} {check.check}: {check.message}".strip().rstrip(".")


def _counted(rows: int) -> str:
    return "1 row" if rows == 1 else f"{rows} rows"


def _counts(report: Report) -> dict[str, int]:
    return {"arrived": report.rows, "accepted": report.accepted, "quarantined": report.quarantined}


def _raise_stale(made: DatasetVersion) -> NoReturn:
    raise StaleState(f"Another ingest made {made.name} while this one was reading.", hint="Ingest again.")
