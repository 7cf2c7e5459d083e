"""Score a version of a dataset with a version of a model, into a dataset: in parallel, resumable, with lineage.

Heavy: whoever scores imports it by name. Each piece is kept as it is done, so a scoring that was killed goes on where
it was when it is asked for again; the same scoring again, once finished, is the one that was made.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from multiprocessing import get_context
from pathlib import Path

from ...data import actions as data
from ...data.records import DatasetVersion
from ...data.settings import Format, Mode, SourceSettings
from ...ground.core.errors import Conflict, InvalidInput, NotFound, StaleState, WorkerDied
from ...ground.core.hashing import hash_json
from ...ground.core.ids import check_name
from ...ground.core.later import polars as pl
from ...ground.core.records import Event
from ...ground.flow.process import die_with_parent
from ...ground.store import audit
from ...ground.store.blobs import Blobs
from ...ground.store.context import Context
from ...register import actions as register
from ...register.package import LoadedPackage, load
from ...register.parity import Runtime
from ...train.outside.process import ProcessRuntime
from ...train.outside.records import Gone
from .. import tables
from ..scoring import LIMITS, Patient, Scoring, check, contract_of, failures, needed, pieces, score_piece

CHUNK = 50_000
"""Rows of a piece: small enough to lose little, large enough that a piece's bookkeeping costs nothing."""
AHEAD = 2
"""Pieces read for each process beyond the one that it works on."""

Progress = Callable[[int, int], None]
"""Rows done, rows in all."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be scored."""

    version: str
    """`model:number`"""
    dataset: str
    """NAME, NAME:VERSION or NAME:TAG"""
    into: str
    keep: tuple[str, ...] | None = None
    """Columns of the dataset that stand beside the scores; its key (or all, where it has none) if left out."""
    chunk: int = CHUNK
    processes: int = 0
    """0: as many as there are cores."""


def score_dataset(ctx: Context, wish: Wish, progress: Progress = lambda _done, _all: None) -> Scoring:
    """Score, or go on with a scoring that was begun; return it with the version of `into` that it came to.

    Raises InvalidInput where the dataset lacks inputs, Conflict where the version cannot be loaded to score, WorkerDied
    where a process died (what was done is kept: ask again).
    """
    check_name(wish.into, "dataset")
    source, package, kept = _opened(ctx, wish)
    begun = _begin(ctx, wish, package, source, kept)
    if begun.finished_at is not None:
        progress(begun.rows, begun.rows)
        return begun
    _score_all(ctx, begun, kept, wish.processes or os.cpu_count() or 1, progress)
    return _finish(ctx, begun, source.key if set(source.key) <= set(kept) else ())


def scoring(ctx: Context, scoring_id: str) -> Scoring:
    """Return one scoring; raises NotFound."""
    with ctx.db.reading() as connection:
        row = tables.find(connection, tables.scoring, id=scoring_id)
    if row is None:
        raise NotFound(f"There is no scoring {scoring_id[:60]!r}.", hint="`modelloop score list` shows them.")
    return _record(dict(row))


def scorings(ctx: Context, *, limit: int = 100) -> list[Scoring]:
    """Return batch scorings, newest first."""
    with ctx.db.reading() as connection:
        return [_record(dict(row)) for row in tables.scorings(connection, limit)]


def _record(row: dict[str, object]) -> Scoring:
    return Scoring(**{name: row[name] for name in Scoring.__slots__})  # type: ignore[arg-type]


def _opened(ctx: Context, wish: Wish) -> tuple[DatasetVersion, LoadedPackage, tuple[str, ...]]:
    version = register.get_version(ctx, wish.version)
    if version.package is None:
        why = version.refusal or "no package was made of it yet"
        raise Conflict(f"{version.name} cannot score: {why}", hint=f"`modelloop models show {version.name}` says more.")
    package = load(ctx.blobs, version.package, name=version.name)
    try:
        package.golden()
    except Gone as error:
        raise Conflict(f"{version.name} cannot score. {error.message}", hint="Look into its model.") from error
    finally:
        package.close()  # the crew's processes start their own
    source = data.resolve(ctx, wish.dataset)
    if source.dataset == wish.into:
        raise InvalidInput(f"{wish.into!r} cannot be scored into itself.", hint="Choose another --into.")
    known = [name for name, _ in source.schema]
    kept = wish.keep if wish.keep is not None else (source.key or tuple(known))
    check(package.signature, known, kept)
    if wish.chunk < 1:
        raise InvalidInput(f"Pieces of {wish.chunk} rows.", hint="At least 1.")
    return source, package, tuple(kept)


def _begin(ctx: Context, wish: Wish, package: LoadedPackage, source: DatasetVersion, kept: Sequence[str]) -> Scoring:
    digest = package.package.digest
    key = hash_json([digest, source.dataset, source.number, source.digest, wish.into, list(kept), wish.chunk])
    with ctx.db.transaction() as connection:
        row = tables.find(connection, tables.scoring, key=key)
        if row is None:
            made = {
                "id": ctx.id("scoring"),
                "key": key,
                "version": wish.version,
                "package": digest,
                "dataset": source.dataset,
                "number": source.number,
                "into": wish.into,
                "rows": source.rows,
                "chunk": wish.chunk,
                "started_at": ctx.now(),
                "finished_at": None,
                "made": None,
                "failed": 0,
                "actor": ctx.actor.name,
            }
            tables.insert_new(connection, tables.scoring, [made])
            row = tables.find(connection, tables.scoring, key=key)
    assert row is not None
    return _record(dict(row))


def _score_all(ctx: Context, begun: Scoring, kept: Sequence[str], processes: int, progress: Progress) -> None:
    with ctx.db.reading() as connection:
        done = {row["place"]: int(row["rows"]) for row in tables.scored_of(connection, begun.id)}
    finished = sum(done.values())
    progress(finished, begun.rows)
    package = load(ctx.blobs, begun.package)
    wanted = list(dict.fromkeys([*needed(package.signature), *kept]))
    rows = data.read(ctx, begun.dataset, begun.number).select(wanted)
    waiting = (
        (place, frame) for place, frame in enumerate(pieces(rows, begun.chunk)) if place not in done and frame.height
    )
    crew = ProcessPoolExecutor(processes, get_context("spawn"), initializer=die_with_parent, initargs=(os.getpid(),))
    work = partial(_work, (ctx.blobs.url, begun.package))
    try:
        with crew:
            for place, piece in _worked(
                partial(crew.submit, work), waiting, begun.version, kept, chunk=begun.chunk, most=processes * AHEAD
            ):
                finished += _keep(ctx, begun.id, place, piece)
                progress(finished, begun.rows)
    except (BrokenProcessPool, Gone) as error:
        raise _died(begun, finished, error) from error


def _died(begun: Scoring, finished: int, error: Exception) -> WorkerDied:
    """Return what is told where a process died: which rows it was about, where that is known, and what is kept."""
    kept = f"{finished:,} of {begun.rows:,} rows are kept."
    if not isinstance(error, Gone):
        return WorkerDied(f"A process that scored died; {kept}", hint="Ask again: it goes on there.")
    first = int(error.detail.get("start", 0))
    rows = f"rows {first + 1:,} to {first + int(error.detail.get('rows', begun.chunk)):,}"
    return WorkerDied(
        f"{error.message.rstrip('.')} ({rows} of {begun.dataset}:{begun.number}); {kept}",
        hint="Ask again: it goes on there. If these rows do it, score a version of the dataset without them.",
        detail=error.detail,
    )


def _worked(
    submit: Callable[..., Future[bytes]],
    waiting: Iterator[tuple[int, pl.DataFrame]],
    version: str,
    kept: Sequence[str],
    *,
    chunk: int,
    most: int,
) -> Iterator[tuple[int, bytes]]:
    """Yield pieces as they are done, never more than `most` of them under way.

    Where one cannot be done, no other is begun; those under way are yielded still, and then it is raised.
    """
    under_way: dict[Future[bytes], int] = {}
    wrong: BaseException | None = None
    for place, frame in waiting:
        under_way[submit(_shipped(frame), version, tuple(kept), place * chunk)] = place
        if len(under_way) < most:
            continue
        done, wrong = _ended(under_way)
        yield from done
        if wrong is not None:
            break
    while under_way:
        done, error = _ended(under_way)
        wrong = wrong or error
        yield from done
    if wrong is not None:
        raise wrong


def _ended(under_way: dict[Future[bytes], int]) -> tuple[list[tuple[int, bytes]], BaseException | None]:
    """Wait for some; return the pieces that are done, and what went wrong with one that is not."""
    done, wrong = [], None
    for future in wait(under_way, return_when=FIRST_COMPLETED).done:
        place = under_way.pop(future)
        if (error := future.exception()) is None:
            done.append((place, future.result()))
        else:
            wrong = wrong or error
    return done, wrong


def _shipped(frame: pl.DataFrame) -> bytes:
    return bytes(frame.write_ipc(None).getvalue())


@lru_cache(maxsize=1)
def _held(blobs_url: str, digest: str, version: str) -> tuple[LoadedPackage, Runtime]:
    """Return the package that a process of the crew holds from one piece to the next, and how it is asked."""
    package = load(Blobs(blobs_url), digest, name=version, limits=LIMITS)
    return package, Patient(package.scorer) if isinstance(package.scorer, ProcessRuntime) else package.scorer


def _work(place: tuple[str, str], shipped: bytes, version: str, kept: Sequence[str], first: int) -> bytes:
    """Score one piece, in a process of the crew; `place` is the store's address and the package's hash, `first` the
    place of the piece's first row in the dataset."""
    package, runtime = _held(*place, version)
    try:
        return score_piece(runtime, package.signature, version, pl.read_ipc(shipped), kept)
    except Gone as error:
        error.detail["start"] = first + int(error.detail.get("start", 0))
        raise


def _keep(ctx: Context, scoring_id: str, place: int, piece: bytes) -> int:
    digest = ctx.blobs.put(piece)
    rows, failed = failures(piece)
    row = {"scoring": scoring_id, "place": place, "digest": digest, "rows": rows, "failed": failed}
    with ctx.db.transaction() as connection:
        tables.insert_new(connection, tables.scored, [row])
    return rows


def _finish(ctx: Context, begun: Scoring, key: Sequence[str]) -> Scoring:
    """Make the pieces one version of the dataset, then say that the scoring is over."""
    with ctx.db.reading() as connection:
        done = tables.scored_of(connection, begun.id)
    if sum(row["rows"] for row in done) != begun.rows:
        raise StaleState(f"Pieces of {begun.id} are missing.", hint="Ask again: they are scored anew.")
    if not done:
        raise InvalidInput(f"{begun.dataset}:{begun.number} has no rows.", hint="There is nothing to score.")
    made = _dataset(ctx, begun, [row["digest"] for row in done], key)
    failed = sum(int(row["failed"]) for row in done)
    ended = {"finished_at": ctx.now(), "made": made, "failed": failed}
    facts = {
        "version": begun.version,
        "package": begun.package,
        "dataset": f"{begun.dataset}:{begun.number}",
        "into": f"{begun.into}:{made}",
        "rows": begun.rows,
        "failed": failed,
    }
    with ctx.db.transaction() as connection:
        if tables.change(connection, tables.scoring, {"id": begun.id, "finished_at": None}, ended):
            audit.append(connection, ctx, Event("dataset.scored", f"dataset:{begun.into}:{made}", facts))
    return scoring(ctx, begun.id)


def _dataset(ctx: Context, begun: Scoring, digests: Sequence[str], key: Sequence[str]) -> int:
    with _folder(ctx) as folder, _folder(ctx) as apart:
        for place, digest in enumerate(digests):
            (apart / f"{place:06d}.parquet").write_bytes(ctx.blobs.get(digest))
        pl.scan_parquet(sorted(apart.iterdir())).sink_parquet(folder / f"{begun.id}.parquet")
        contract = contract_of(ctx.blobs.get(digests[0]), key)
        source = SourceSettings(
            path=".", dataset=begun.into, contract="scores", format=Format.PARQUET, mode=Mode.REPLACE
        )
        message = f"{begun.version} scored {begun.dataset}:{begun.number} ({begun.id})"
        # Where it was killed between the dataset and its own end, the files are known already, and nothing is added.
        data.ingest(ctx, _source_name(begun), source, contract, root=folder, message=message)
    found = [one for one in data.versions(ctx, begun.into) if one.message == message]
    return found[-1].number


def _source_name(begun: Scoring) -> str:
    return f"score-{begun.id.rpartition('_')[2].lower()}"


@contextmanager
def _folder(ctx: Context) -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="scored-", dir=ctx.home))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
