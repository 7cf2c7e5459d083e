"""Somebody at the intake: takes in each week's files, as `modelloop data ingest` does, and sees what was set aside.

Nothing is decided here either: contracts say what comes in, what waits for a person, and what is refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from .. import app
from ..data import actions as data
from ..data.records import Ingest, Report
from ..data.settings import Severity
from ..data.versions.correcting import name_of
from ..ground.core.errors import DataRefused, StaleState
from ..ground.store.context import Context
from ..project import Project
from ..retrain.actions.housekeeping import trained_on
from .screen import DataYear, Screen

ANSWERS = 5
"""Times that somebody who was told "another was first" tries again."""


class Intake:
    """The person. Used from one thread."""

    def __init__(self, ctx: Context, project: Project, folder: Path, screen: Screen) -> None:
        self._ctx, self._project, self._folder, self._screen = ctx, project, folder, screen
        self._drifted: set[str] = set()

    def arrive(self, day: datetime) -> list[Ingest]:
        """Take in what is new at every source, and tell what is worth a line."""
        taken = [got for name in self._project.sources if (got := self._take(name, day)) is not None]
        for got in taken:
            self._tell(got.version.name, got.report, day)
        return taken

    def correct(self, dataset: str, column: str, day: datetime, told: str) -> None:
        """Take the newest waiting row in after all, without the value that cannot be."""
        source = self._project.sources[dataset]
        row = data.quarantined(self._ctx, dataset, waiting=True)[0]
        done = data.correct(
            self._ctx, dataset, source, self._project.contracts[source.contract],
            root=self._folder, row=name_of(row), changes={column: None},
        )  # fmt: skip
        if done.version is not None:
            self._screen.event(day, f"{told}: {done.version.name}", "magenta")

    def tidy(self) -> list[DataYear]:
        """Let old versions go, as `modelloop data prune` would, and count what became of every dataset."""
        return [self._year(source.dataset, source.contract) for source in self._project.sources.values()]

    def _take(self, name: str, day: datetime) -> Ingest | None:
        source = self._project.sources[name]
        contract = self._project.contracts[source.contract]
        for left in reversed(range(ANSWERS)):
            try:
                return data.ingest(self._ctx, name, source, contract, root=self._folder)
            except StaleState:  # the worker takes data in, too, when an episode begins
                if not left:
                    raise
            except DataRefused as error:
                broken = Report.from_json(error.detail["report"]).broken
                said = "; ".join(one.message.rstrip(".") for one in broken if one.stops)
                self._screen.event(day, f"REFUSED, nothing of it is taken in: {said}", "yellow")
                return None
        return None

    def _tell(self, version: str, report: Report, day: datetime) -> None:
        for check in (one for one in report.broken if one.severity is Severity.QUARANTINE):
            where, _, found = (check.examples or ("somewhere: another",))[0].rpartition(": ")
            rows = "a row waits" if check.violations == 1 else f"{check.violations} rows wait"
            said = f"{rows} for a person, {where}: {check.column} {found}, {check.message.partition(';')[0]}"
            self._screen.event(day, f"{version} is in, but {said}", "yellow")
        dataset = version.partition(":")[0]
        if report.drift is not None and report.drift.drifted and dataset not in self._drifted:
            self._drifted.add(dataset)
            few, more = report.drift.drifted[:3], len(report.drift.drifted) - 3
            named = ", ".join(few) + (f" and {more} more" if more > 0 else "")
            told = f"note:  {version} differs from {report.drift.reference} in {named}: a warning in its report"
            self._screen.event(day, f"{told}, told here once", "dim")

    def _year(self, dataset: str, contract: str) -> DataYear:
        used = trained_on(self._ctx)[dataset]
        data.prune(self._ctx, dataset, self._project.contracts[contract].retention, keep=used)
        versions, rows = data.versions(self._ctx, dataset), data.quarantined(self._ctx, dataset)
        warned = Counter(name for one in versions for name in _warned(one.report))
        return DataYear(
            dataset=dataset,
            rows=versions[0].rows,
            versions=len(versions),
            set_aside=len(rows),
            readmitted=sum(row.settled == "readmitted" for row in rows),
            refused=tuple(file for one in data.refused(self._ctx, dataset) for file in one.files),
            warned=dict(warned.most_common()),
            trained_on=tuple(sorted(used)),
            let_go=tuple(sorted(one.number for one in versions if one.pruned)),
        )


@contextmanager
def intake(folder: Path, screen: Screen) -> Iterator[Intake]:
    """Open the project as the command line does, beside its processes."""
    ctx = app.open_context(folder)
    try:
        yield Intake(ctx, app.open_project(folder), folder, screen)
    finally:
        ctx.db.close()


def _warned(report: Report) -> set[str]:
    return {one.check for one in report.broken if one.severity is Severity.WARN}
