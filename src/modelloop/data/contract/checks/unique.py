"""Rows that repeat a key: a sort of 64-bit numbers finds whom to suspect, and only those are compared exactly.

A single column of whole numbers or times is its own fingerprint; other keys are hashed. Sorting a million numbers costs
a fifth of counting the different ones by a hash table, and a twentieth of marking each that is repeated. Over batches
the sorted fingerprints are kept (8 bytes a row, in runs that double, on disk beyond a budget), with the keys themselves
where a fingerprint is a hash, so that what is called a repetition is one.
"""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, TypeAlias

from ....ground.core.later import numpy as np
from ....ground.core.later import polars as pl
from ...scratch import room

if TYPE_CHECKING:
    import numpy.typing as npt

Prints: TypeAlias = "npt.NDArray[np.integer]"

IN_MEMORY = 2**26
"""Bytes of fingerprints, or of keys, of one set of columns that are held in memory; more goes to a temporary file."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of a batch that are whole (no part is missing), the row of each, and their fingerprints."""

    frame: pl.DataFrame
    rows: pl.Series | None
    """None: every row has one."""
    prints: Prints

    def of_rows(self, places: pl.Series) -> pl.Series:
        """Return the rows of the batch that stand at these places."""
        return places if self.rows is None else self.rows.gather(places)


def keys_of(frame: pl.DataFrame, names: Sequence[str], among: pl.Series | None = None) -> Keys:
    """Return the keys of a batch, or of some of its rows."""
    keys, rows = frame.select(names), among
    if among is not None:
        keys = keys[among]
    if any(column.null_count() for column in keys.get_columns()):
        there = keys.select(pl.all_horizontal(pl.all().is_not_null())).to_series().arg_true()
        keys, rows = keys[there], there if rows is None else rows.gather(there)
    return Keys(keys, rows, fingerprints(keys))


def fingerprints(keys: pl.DataFrame) -> Prints:
    """Return a 64-bit number for each row; equal rows have equal numbers."""
    if _exact(keys):
        return keys.to_series().to_physical().cast(pl.Int64).to_numpy()
    parts = [pl.col(n) + 0.0 if keys.schema[n].is_float() else pl.col(n) for n in keys.columns]  # -0.0 is 0.0
    if len(parts) == 1:
        return keys.select(parts[0].hash()).to_series().to_numpy()
    return keys.select(pl.struct(parts).hash()).to_series().to_numpy()


def repeated(keys: Keys) -> tuple[pl.Series, pl.Series, Prints]:
    """Return the rows whose key other rows have too, those of them that are not the first, and sorted fingerprints."""
    ordered = np.sort(keys.prints)
    twice = _twice(ordered)
    if not len(twice):
        return _none(), _none(), ordered
    suspects = _places(keys.prints, twice)
    some = keys.frame[suspects].select(pl.struct(pl.all()).alias("key")).select(
        pl.col("key").is_duplicated().alias("any"), (~pl.col("key").is_first_distinct()).alias("later")
    )  # fmt: skip
    many, later = suspects.filter(some["any"]), suspects.filter(some["later"])
    return keys.of_rows(many), keys.of_rows(later), ordered


@dataclass(slots=True, weakref_slot=True)
class Seen:
    """The keys of earlier batches, or of a dataset."""

    _runs: list[Prints] = field(default_factory=list)
    """Sorted; each is less than half as long as the one before it."""
    _kept: list[pl.LazyFrame] = field(default_factory=list)
    """The keys themselves, where fingerprints are hashes."""
    _bytes: int = 0

    def add(self, keys: Keys, ordered: Prints | None = None, *, keep: bool = True) -> None:
        """Remember the keys of a batch; `keep` is false where the keys can be read again."""
        run = np.sort(keys.prints) if ordered is None else ordered
        while self._runs and len(self._runs[-1]) < 2 * len(run):
            run = np.sort(np.concatenate([self._runs.pop(), run]), kind="stable")
        self._runs.append(self._shelved(run))
        if keep and not _exact(keys.frame):
            self._keep(keys.frame)

    def keep(self, source: pl.LazyFrame) -> None:
        """Remember where keys can be read again."""
        self._kept.append(source)

    def again(self, keys: Keys) -> pl.Series:
        """Return the places, among `keys`, of those that were seen before."""
        ordered = np.sort(keys.prints)
        hits = [ordered[_within(run, ordered)] for run in self._runs if len(run)]
        known = np.unique(np.concatenate(hits)) if hits else ordered[:0]
        if not len(known):
            return _none()
        places = _places(keys.prints, known)
        if _exact(keys.frame):
            return places
        return self._proved(keys.frame[places], places)

    def _proved(self, suspects: pl.DataFrame, places: pl.Series) -> pl.Series:
        """Return the places of the suspects whose very key was seen; two keys may share a fingerprint."""
        marked = suspects.with_columns(places.alias("__place"))
        held = suspects.unique()
        found = [
            kept.join(held.lazy(), on=suspects.columns, how="semi").unique().collect(engine="streaming")
            for kept in self._kept
        ]
        there = pl.concat(found).unique()
        return marked.join(there, on=suspects.columns, how="semi", maintain_order="left").get_column("__place")

    def _shelved(self, run: Prints) -> Prints:
        if run.nbytes <= IN_MEMORY:
            return run
        with self._file() as file:
            run.tofile(file)
        return np.memmap(file, dtype=run.dtype, mode="r", shape=run.shape)

    def _keep(self, frame: pl.DataFrame) -> None:
        self._bytes += int(frame.estimated_size())
        if self._bytes <= IN_MEMORY:
            self._kept.append(frame.lazy())
            return
        with self._file() as file:
            frame.write_ipc(file, compression="zstd")
        self._kept.append(pl.scan_ipc(file.name))

    @contextmanager
    def _file(self) -> Iterator[IO[Any]]:
        """Let a file be written that goes when this object goes."""
        with room("Keys of the rows before"):
            file = tempfile.NamedTemporaryFile(prefix="modelloop-keys-")  # noqa: SIM115 - closed with the object
            try:
                yield file
                file.flush()
            except BaseException:
                with suppress(OSError):  # what was not written is tried once more
                    file.close()
                raise
        weakref.finalize(self, file.close)


def seen_in(known: pl.LazyFrame, names: Sequence[str], schema: dict[str, pl.DataType]) -> Seen:
    """Return the keys of a dataset, read batch by batch."""
    seen = Seen()
    typed = known.select(pl.col(name).cast(schema[name]) for name in names)
    for batch in typed.collect_batches(chunk_size=1_000_000, maintain_order=False):
        seen.add(keys_of(batch, names), keep=False)
    seen.keep(typed)
    return seen


def _exact(keys: pl.DataFrame) -> bool:
    return keys.width == 1 and (keys.dtypes[0].is_integer() or keys.dtypes[0].is_temporal())


def _twice(ordered: Prints) -> Prints:
    same = ordered[1:] == ordered[:-1]
    return np.unique(ordered[1:][same]) if same.any() else ordered[:0]


def _places(prints: Prints, wanted: Prints) -> pl.Series:
    return pl.Series(prints).is_in(pl.Series(wanted).implode()).arg_true()


def _within(run: Prints, ordered: Prints) -> npt.NDArray[np.bool_]:
    """Say which of some sorted numbers are in a sorted run."""
    at = np.searchsorted(run, ordered)
    at[at == len(run)] = len(run) - 1
    return np.asarray(run[at] == ordered)


def _none() -> pl.Series:
    return pl.Series(dtype=pl.UInt32)


def both(one: pl.Series, other: pl.Series) -> pl.Series:
    """Return the rows in either, each once, ascending."""
    if not len(one) or not len(other):
        return one if len(one) else other
    return pl.concat([one, other]).unique().sort()


def parts_of(names: Sequence[str], found: dict[tuple[str, ...], pl.Series]) -> Iterator[pl.Series]:
    """Walk the repeated rows of sets of columns that these columns contain: no other rows can repeat all of them."""
    yield from (rows for part, rows in found.items() if set(part) <= set(names))
