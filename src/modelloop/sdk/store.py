"""A run's way to the project's own store: directly, through tracking's actions, with no server in between."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from .. import app
from ..ground.core.errors import Conflict, NotFound, NotReady
from ..ground.store.context import Context
from ..train.tracking.actions import artifacts, experiments, logging, runs
from ..train.tracking.records import Batch, Metric, Owner, Param, Tag, TrackedRun, TrackedState
from .destination import CLIENT_ID, Header, Home, Point

_PIECE = 1024 * 1024


class Store:
    """A Destination on facts and bytes. Opened here, closed here."""

    def __init__(self, project: Path, ctx: Context | None = None) -> None:
        self._own = ctx is None
        self._ctx = ctx or app.open_context(project)
        self.moved = 0

    def open(self, header: Header, *, again: bool) -> Home:
        """Make the run where it is not there yet. Its id is ours, so `again` needs no search."""
        del again
        if header.resumed:
            return _home(runs.update_run(self._ctx, header.run, status=TrackedState.RUNNING))
        if header.attached:
            return self._attached(header)
        experiment = experiments.ensure_experiment(self._ctx, header.experiment)
        tags = {**header.tags, CLIENT_ID: header.run}
        try:
            return _home(
                runs.create_run(
                    self._ctx,
                    experiment,
                    name=header.name,
                    user=header.user,
                    start_ms=header.start_ms,
                    tags=tags,
                    run_id=header.run,
                )
            )
        except Conflict:
            return _home(runs.get_run(self._ctx, header.run))

    def write(self, home: Home, points: Sequence[Point], params: Mapping[str, str], tags: Mapping[str, str]) -> None:
        """Add to a run in one transaction."""
        batch = Batch(
            home.run,
            [Metric(name, value, step, at) for name, value, step, at in points],
            [Param(name, value) for name, value in params.items()],
            [Tag(name, value) for name, value in tags.items()],
        )
        (error,) = logging.apply(self._ctx, [batch])
        if error is not None:
            raise error

    def upload(self, home: Home, path: str, source: Path | bytes) -> None:
        """Keep a file with the run."""
        with artifacts.open_upload(self._ctx, Owner("run", home.run), path) as upload:
            for piece in [source] if isinstance(source, bytes) else self._pieces(source):
                upload.write(piece)
            upload.commit()

    def finish(self, home: Home, status: str, end_ms: int) -> None:
        """End the run."""
        runs.update_run(self._ctx, home.run, status=TrackedState(status), end_ms=end_ms)

    def steps(self, run: str) -> Mapping[str, int]:
        """Return the last step of each metric."""
        return {metric.name: metric.step for metric in runs.get_run(self._ctx, run).metrics.values()}

    def url(self, home: Home) -> str:  # noqa: ARG002 - the store has no page
        """Return nothing: pages are control's."""
        return ""

    def close(self) -> None:
        """Let the database go."""
        if self._own:
            self._ctx.db.close()

    def _pieces(self, path: Path) -> Iterator[bytes]:
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                self.moved += len(piece)
                yield piece

    def _attached(self, header: Header) -> Home:
        try:
            return _home(runs.get_run(self._ctx, header.run))
        except NotFound as error:  # its first process has not sent it yet
            raise NotReady(f"Run {header.run} has not arrived in the store yet.") from error


def _home(run: TrackedRun) -> Home:
    return Home(run.id, str(run.experiment))
