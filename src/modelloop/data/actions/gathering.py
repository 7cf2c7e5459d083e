"""The rows of an arrival on their way: judged batch by batch, the good ones kept as parts, the bad ones set aside."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...ground.core.errors import DataRefused
from ...ground.core.later import polars as pl
from ..adapters.items import Item
from ..contract.judge import Judge
from ..insight.describe import to_parquet
from ..insight.profile import Profile, merge, profile
from ..records import CheckResult, Level, Part, Report, Schema
from ..scratch import room
from ..settings import Mode
from ..versions import layout
from ..versions.layout import Store
from ..versions.layout.shapes import dtypes

PART_ROWS, PART_BYTES = 1_000_000, 2**27
"""What is held until it becomes a part."""
WHOLE_ROWS, WHOLE_BYTES = 4_000_000, 2**29
"""Up to so much of a replaced table is compared with what was there; a larger one is written anew."""
SAMPLE_ROWS, SAMPLE_BYTES = 1_000_000, 2**28
"""The first so many good rows are looked at for anomalies."""
_ASIDE_ROWS = 200_000


@dataclass(frozen=True, slots=True)
class Gathered:
    """What an arrival came to. Where the report says refused, `parts` are those of before."""

    report: Report
    parts: tuple[Part, ...]
    profile: Profile | None
    """Of the good rows."""
    sample: pl.DataFrame
    set_aside: bytes | None
    """Parquet of file, row, reasons, values; None if no row was to blame."""
    arrived: int
    stored_profile: str | None = None
    """Blob: the profile of the table to be."""
    written: frozenset[str] = frozenset()
    """Blobs that were put on the way; some of them no version needs."""


class Keeping:
    """Good rows on their way to parts."""

    def __init__(
        self, mode: Mode, before: tuple[Part, ...], schema: Schema, *, key: tuple[str, ...], store: Store
    ) -> None:
        self.mode, self.before, self.schema, self.key, self.store = mode, before, schema, key, store
        self._waiting = _Held()
        self._parts, self._spilled = before, False

    def add(self, good: pl.DataFrame) -> None:
        """Hold a batch; write what is held once it is enough."""
        self._waiting.add(good)
        if self.mode is not Mode.REPLACE or self._spilled:
            if self._waiting.has(PART_ROWS, PART_BYTES):
                self._flush()
        elif self._waiting.has(WHOLE_ROWS, WHOLE_BYTES):
            self._parts, self._spilled = (), True
            self._flush()

    def close(self) -> tuple[Part, ...]:
        """Write the rest; return the parts of the new version."""
        self._flush()
        return self._parts

    def _flush(self) -> None:
        frame = self._waiting.taken(self.schema)
        if self.mode is Mode.REPLACE and not self._spilled:
            self._parts = layout.replace(self.before, frame, self.schema, self.key, self.store)
        elif self.mode is Mode.MERGE and len(frame):
            self._parts, _ = layout.upsert(self._parts, frame, self.schema, self.key, self.store)
        else:
            for piece in frame.iter_slices(PART_ROWS):
                self._parts = layout.append(self._parts, piece, self.schema, self.store)


class _Held:
    """Batches that wait, and how many rows and bytes they are."""

    def __init__(self) -> None:
        self._frames: list[pl.DataFrame] = []
        self._rows = self._bytes = 0

    def add(self, frame: pl.DataFrame) -> None:
        if len(frame):
            self._frames.append(frame)
            self._rows += len(frame)
            self._bytes += int(frame.estimated_size())

    def has(self, rows: int, size: int) -> bool:
        return self._rows >= rows or self._bytes >= size

    def taken(self, schema: Schema) -> pl.DataFrame:
        frames, self._frames = self._frames, []
        self._rows = self._bytes = 0
        return pl.concat(frames) if frames else pl.DataFrame(schema=dtypes(schema))


class Aside:
    """Rows that were set aside, in memory while they are few."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._files = folder, 0
        self._held: list[pl.DataFrame] = []

    def add(self, bad: pl.DataFrame) -> None:
        """Take a batch."""
        if len(bad):
            self._held.append(bad)
        if sum(map(len, self._held)) >= _ASIDE_ROWS:
            with room("Rows that are set aside"):
                pl.concat(self._held).write_parquet(self._folder / f"{self._files:06}.parquet")
            self._files += 1
            self._held.clear()

    def close(self) -> bytes | None:
        """Return all as Parquet, in the order in which they came."""
        if not self._files:
            return to_parquet(pl.concat(self._held)) if self._held else None
        earlier = pl.scan_parquet(sorted(self._folder.glob("*.parquet")))
        buffer = io.BytesIO()
        frames = [earlier, pl.concat(self._held).lazy()] if self._held else [earlier]
        pl.concat(frames).sink_parquet(buffer, compression="zstd", compression_level=3)
        return buffer.getvalue()


def gather(items: Sequence[Item], judge: Judge, keeping: Keeping) -> Gathered:
    """Read, judge and keep all items as one arrival."""
    arrived, sample = 0, _Sample()
    stats: Profile | None = None
    with room("Rows that are set aside"):
        place = tempfile.TemporaryDirectory(prefix="modelloop-aside-")
    with place as folder:
        aside = Aside(Path(folder))
        for raw, item, row in _batches(items, judge):
            sifted = judge.take(raw, item.name, row)
            arrived += len(raw)
            keeping.add(sifted.good)
            aside.add(sifted.bad)
            sample.add(sifted.good)
            batch = profile(sifted.good)
            stats = batch if stats is None else merge(stats, batch)
        report = judge.report([item.name for item in items])
        if report.refused:
            return Gathered(report, keeping.before, None, sample.frame(), aside.close(), arrived)
        return Gathered(report, keeping.close(), stats, sample.frame(), aside.close(), arrived)


def _batches(items: Sequence[Item], judge: Judge) -> Iterator[tuple[pl.DataFrame, Item, int]]:
    """Yield batch, item and the number of its first row; what cannot be read, or changed meanwhile, is noted."""
    for item in items:
        row = 1
        try:
            for raw in item.batches():
                yield raw, item, row
                row += len(raw)
            item.confirm()
        except DataRefused as error:
            judge.refuse(CheckResult("readable", item.name, Level.TABLE, 1, error.message))


def with_checks(report: Report, checks: Sequence[CheckResult]) -> Report:
    """Return the report with further checks, refused if one of them stops the arrival."""
    if not checks:
        return report
    every = tuple(sorted((*report.checks, *checks), key=lambda one: one.holds))
    refused = report.refused or any(one.stops for one in checks)
    return replace(report, checks=every, refused=refused, accepted=0 if refused else report.accepted)


class _Sample:
    """The first good rows."""

    def __init__(self) -> None:
        self._frames: list[pl.DataFrame] = []
        self._rows, self._bytes = SAMPLE_ROWS, SAMPLE_BYTES

    def add(self, good: pl.DataFrame) -> None:
        if self._rows > 0 and self._bytes > 0 and len(good):
            self._frames.append(good.head(self._rows))
            self._rows -= len(good)
            self._bytes -= int(good.estimated_size())

    def frame(self) -> pl.DataFrame:
        return pl.concat(self._frames) if self._frames else pl.DataFrame()
