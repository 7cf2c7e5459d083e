"""The work of `modelloop import mlflow`, `modelloop export`, and of `modelloop run` for an MLflow project."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.text import Text

from ...exchange.exporting import export_store
from ...exchange.importing import import_store
from ...exchange.opening import open_store
from ...exchange.records import Imported
from ..desk import Desk
from ..face import Answer
from .tables import printed, table

SHOWN = 20
"""So many differences are printed; --json has all."""


def import_mlflow(desk: Desk, *, source: str, artifacts: Path | None, strict: bool) -> Answer:
    """Bring a store in and show the proof."""
    ctx = desk.ctx
    console = Console(stderr=True, quiet=desk.face.json)
    with closing(open_store(source, artifacts)) as store, console.status("reading") as status:
        report = import_store(ctx, store, status.update)
    failed = not report.equal or (strict and bool(report.missing))
    rows = [(line.what, line.there, line.here, line.equal, _word(line.there, line.equal)) for line in report.lines]
    columns = ("", "there", "here", "equal", "")
    parts = [table(columns, rows, title=f"{report.source} and this project", empty="the store is empty")]
    parts += _listed("differs", report.differs, "red")
    parts += _listed("missing", report.missing, "yellow")
    parts += [Text(note, style="dim") for note in report.notes]
    parts.append(_verdict(report))
    return Answer({**asdict(report), "equal": report.equal}, printed(*parts), code=int(failed))


def export(desk: Desk, *, folder: Path, experiment: str | None) -> Answer:
    """Write everything out."""
    made = export_store(desk.ctx, folder, experiment=experiment)
    rows = [(name, count) for name, count in made.counts.items()]
    said = Text(f"{made.files} files, {made.size:,} bytes, are in {folder}. README.md says what is what.")
    return Answer(asdict(made), printed(table(("", "lines"), rows), said))


def _word(there: int, equal: int) -> str:
    return "holds" if there == equal else "differs"


def _listed(word: str, found: Sequence[str], style: str) -> list[Text]:
    more = [f"... and {len(found) - SHOWN} more (--json lists all)"] if len(found) > SHOWN else []
    return [Text(f"{word}: {one}", style=style) for one in (*found[:SHOWN], *more)]


def _verdict(report: Imported) -> Text:
    new = ", ".join(f"{count} {what}" for what, count in report.written.items()) or "nothing: all was here"
    if report.equal:
        return Text(f"Both sides are equal. Written: {new}.", style="green")
    return Text(f"The two sides differ. Written: {new}.", style="red")
