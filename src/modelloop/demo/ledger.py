"""What was answered and what came true, month by month, beside what the first model would have said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from ..ground.core.later import numpy as np
from ..ground.core.later import polars as pl
from ..ground.stats.two_sample import auc
from ..ground.store.blobs import Blobs
from ..prepare.columns import from_frame
from ..register.package import LoadedPackage, load
from .screen import Month
from .traffic import Answer


class Ledger:
    """Keeps all answers with the truth the player knows. Pure bookkeeping: nothing in the loop reads it."""

    def __init__(self, folder: Path) -> None:
        self._blobs = f"file://{folder / '.modelloop' / 'blobs'}"
        self._rows: list[pl.DataFrame] = []
        self._first: LoadedPackage | None = None
        self._told: set[str] = set()
        self.months: list[Month] = []

    def first_model(self, digest: str) -> None:
        """Remember the package that went live first."""
        if self._first is None:
            self._first = load(Blobs(self._blobs), digest)

    def add(self, answers: Sequence[Answer]) -> None:
        """Write down what was answered."""
        for answer in answers:
            self._rows.append(answer.board.rows.with_columns(pl.Series("answered", answer.scores)))

    def months_before(self, day: datetime) -> Iterator[Month]:
        """Yield months that ended before `day` and were not yielded yet."""
        if not self._rows or self._first is None:
            return
        month = (day.replace(day=1) - timedelta(days=1)).strftime("%Y-%m")
        if month in self._told or month < "2013-03":
            return
        rows = pl.concat(self._rows)
        known = rows.filter((pl.col("hour").dt.strftime("%Y-%m") == month) & pl.col("late").is_not_null())
        self._rows = [rows.filter(pl.col("hour").dt.strftime("%Y-%m") > month)]
        self._told.add(month)
        if known.is_empty():
            return
        truth = known["late"].to_numpy()
        inputs = [column.name for column in self._first.signature.inputs]
        static = self._first.scorer.score(from_frame(known, inputs))
        name = datetime.strptime(month + "-01", "%Y-%m-%d").strftime("%B")  # noqa: DTZ007 - a name, not a time
        told = Month(
            name, known.height, auc(truth, static), auc(truth, known["answered"].to_numpy().astype(np.float64))
        )
        self.months.append(told)
        yield told

    def means(self) -> tuple[float, float] | None:
        """Return the mean metric over the months: of the first model, and of the loop."""
        if not self.months:
            return None
        return float(np.mean([m.static for m in self.months])), float(np.mean([m.loop for m in self.months]))
