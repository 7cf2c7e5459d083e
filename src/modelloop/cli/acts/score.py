"""The work of `modelloop score`."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ...deploy.actions.scoring import Wish, score_dataset, scorings
from ...deploy.scoring import ERROR, Scoring
from ..desk import Desk
from ..face import Answer
from .tables import printed, table


def score(
    desk: Desk, *, version: str, dataset: str, into: str, keep: tuple[str, ...], chunk: int, processes: int
) -> Answer:
    """Score with a bar on the terminal."""
    wish = Wish(version, dataset, into, keep or None, chunk, processes)
    quiet = desk.face.json or not sys.stderr.isatty()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True, quiet=quiet), transient=True) as bar:
        task = bar.add_task(f"{version} scores {dataset}", total=None)
        made = score_dataset(desk.ctx, wish, lambda done, rows: bar.update(task, completed=done, total=rows))
    return Answer(made, printed(_said(made)))


def listing(desk: Desk) -> Answer:
    """List batch scorings."""
    found = scorings(desk.ctx)
    rows = [(one.id, one.version, *_places(one), one.rows, one.failed, _end(one)) for one in found]
    heads = ("scoring", "version", "scored", "into", "rows", "without a score", "finished")
    return Answer({"scorings": found}, printed(table(heads, rows, empty="nothing was scored yet")))


def _said(made: Scoring) -> str:
    failed = f"; {made.failed:,} rows have no score, {ERROR} says why" if made.failed else ""
    read, into = _places(made)
    return f"{made.version} scored {made.rows:,} rows of {read} into {into}{failed}"


def _places(one: Scoring) -> tuple[str, str]:
    return f"{one.dataset}:{one.number}", f"{one.into}:{one.made or '?'}"


def _end(one: Scoring) -> str:
    return "under way, or cut off: ask again" if one.finished_at is None else f"{one.finished_at:%Y-%m-%d %H:%M}"
