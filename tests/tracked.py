"""Places that runs go to, for tests that hold for each: the fake server, a project's own store, control."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fake_mlflow import TOKEN, FakeMlflow
from modelloop import app
from modelloop.ground.core.settings import read_settings
from modelloop.ground.store.context import Context
from modelloop.train.tracking.actions import artifacts, runs, searching
from modelloop.train.tracking.actions.experiments import get_experiment
from modelloop.train.tracking.records import Owner

PROJECT = """
[project]
name = "tracked"
owner = "the tests"

[objective]
question = "Is it kept?"
task = "binary"
metric = "auc"
meaning = "How often it is kept."
label = "late"
"""


@dataclass
class Seen:
    """A run as it is where it went."""

    status: str
    experiment: str
    name: str
    points: list[tuple[str, str, int]]
    """Name, repr of the value, step; sorted."""
    params: dict[str, str]
    tags: dict[str, str]
    files: dict[str, bytes] = field(default_factory=dict)

    def series(self, name: str) -> list[tuple[int, float]]:
        """Return step and value of one metric, in order."""
        return sorted((step, float(value)) for each, value, step in self.points if each == name)

    @property
    def own(self) -> set[str]:
        """The names of metrics that were logged, not measured."""
        return {name for name, _, _ in self.points if not name.startswith("system/")}


@dataclass
class Place:
    """Where a run goes in a test."""

    to: str
    look: Callable[[str], Seen]
    all: Callable[[], list[str]]
    """Return the ids of all runs there."""


def make_project(folder: Path) -> Path:
    """Write a project that can be opened."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "modelloop.toml").write_text(PROJECT)
    return folder


def fake_place(fake: FakeMlflow) -> Place:
    """Return the fake server as a place."""
    return Place(fake.url, lambda run: seen_at(fake, run), lambda: list(fake.runs))


def seen_at(fake: FakeMlflow, run: str) -> Seen:
    """Return a run of the fake server."""
    kept = fake.runs[run]
    names = {number: name for name, number in fake.experiments.items()}
    points = sorted((name, value, step) for name, value, step, _ in kept.points)
    return Seen(kept.status, names[kept.experiment], kept.name, points, kept.params, kept.tags, kept.files)


def store_place(folder: Path) -> Place:
    """Return a project's own store as a place."""
    return Place(str(folder), lambda run: seen_in(folder, run), lambda: ids_in(folder))


@contextmanager
def opened(folder: Path) -> Iterator[Context]:
    """Open a project's store."""
    ctx = app.open_context(folder, settings=read_settings({}, folder))
    try:
        yield ctx
    finally:
        ctx.db.close()


def seen_in(folder: Path, run: str) -> Seen:
    """Return a run of a project's store."""
    with opened(folder) as ctx:
        found = runs.get_run(ctx, run)
        points = [
            (name, repr(point.value), point.step)
            for name in found.metrics
            for point in runs.history(ctx, run, name).items
        ]
        owner = Owner("run", run)
        files = {path: b"".join(artifacts.read(ctx, owner, path)[1]) for path in _paths(ctx, owner, "")}
        name = get_experiment(ctx, found.experiment).name
        return Seen(
            found.status, name, found.name, sorted(points), dict(found.params), dict(found.tags), files
        )  # fmt: skip


def ids_in(folder: Path) -> list[str]:
    """Return the ids of all runs of a project's store, the oldest first."""
    with opened(folder) as ctx:
        numbers = [experiment.id for experiment in searching.search_experiments(ctx).items]
        found = searching.find_runs(ctx, numbers).items
        return sorted(one.id for one in found)


def _paths(ctx: Context, owner: Owner, folder: str) -> Iterator[str]:
    for one in artifacts.list_artifacts(ctx, owner, folder):
        if one.is_dir:
            yield from _paths(ctx, owner, one.path)
        else:
            yield one.path


def environ(**more: str) -> dict[str, str]:
    """Return an environment for a process that logs."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MODELLOOP_")}
    return {**kept, "MODELLOOP_TRACKING_TOKEN": TOKEN, "PYTHONDONTWRITEBYTECODE": "1", **more}
