"""The work of `modelloop data`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from rich.text import Text

from ...data import actions
from ...data.infer import infer as draft
from ...data.parse import parse
from ...data.records import Ingest, Report
from ...data.settings import Format
from ...ground.core.errors import InvalidInput, NotFound
from ...ground.core.ids import check_name
from ..desk import Desk
from ..face import Answer
from .tables import facts, printed, table

_FORMATS = {
    ".parquet": Format.PARQUET,
    ".csv": Format.CSV,
    ".jsonl": Format.JSONL,
    ".ndjson": Format.JSONL,
}


def listing(desk: Desk) -> Answer:
    """List datasets."""
    found = actions.datasets(desk.ctx)
    rows = [(d.name, d.versions, d.rows, d.updated_at) for d in found]
    return Answer({"datasets": found}, printed(table(("dataset", "version", "rows", "updated"), rows)))


def show(desk: Desk, *, name: str, version: int | None) -> Answer:
    """Show versions and a report."""
    versions = actions.versions(desk.ctx, name)
    chosen = actions.version(desk.ctx, name, version)
    rows = [(v.number, v.rows, v.made_at, v.source, v.digest[:12], v.message) for v in versions]
    parts = [
        table(("version", "rows", "made", "source", "content", "message"), rows),
        Text(f"\nreport of {chosen.name}", style="bold"),
        *_report(chosen.report),
    ]
    return Answer({"dataset": name, "versions": versions, "report": chosen.report}, printed(*parts))


def ingest(desk: Desk, *, source: str | None) -> Answer:
    """Take in what is new."""
    declared = desk.project.sources
    if source is not None and source not in declared:
        raise NotFound(
            f"The project declares no source {source!r}.", hint=f"There are: {', '.join(declared) or 'none'}."
        )
    taken: dict[str, Ingest | None] = {}
    for name in [source] if source else list(declared):
        settings = declared[name]
        contract = desk.project.contracts[settings.contract]
        taken[name] = actions.ingest(desk.ctx, name, settings, contract, root=desk.project_dir)
    rows = [
        (name, got.version.name, got.report.accepted, got.report.quarantined, len(got.files))
        if got
        else (name, "nothing new", None, None, 0)
        for name, got in taken.items()
    ]
    data = {"sources": {name: _told(got) for name, got in taken.items()}}
    return Answer(
        data, printed(table(("source", "version", "rows", "quarantined", "files"), rows, empty="no source declared"))
    )


def quarantine(desk: Desk, *, name: str, limit: int) -> Answer:
    """List rows set aside."""
    found = actions.quarantined(desk.ctx, name, limit=limit)
    rows = [(r.file, r.row, "; ".join(r.reasons), ", ".join(f"{k}={v}" for k, v in r.values.items())) for r in found]
    refused = actions.refused(desk.ctx, name, limit=limit)
    whole = [(one.at, ", ".join(one.files), "; ".join(one.reasons)) for one in refused]
    shown = printed(
        table(("file", "row", "why", "values"), rows, empty="no row was set aside"),
        *([Text("\nrefused as a whole", style="bold"), table(("at", "files", "why"), whole)] if whole else []),
    )
    return Answer({"dataset": name, "rows": found, "refused": refused}, shown)


def infer(_desk: Desk, *, file: Path, name: str) -> Answer:
    """Propose a contract."""
    if not file.is_file():
        raise NotFound(f"There is no file {file}.")
    form = _FORMATS.get(file.suffix.lower())
    if form is None:
        raise InvalidInput(f"{file.name} ends in {file.suffix!r}.", hint=f"Expected one of {', '.join(_FORMATS)}.")
    text = draft(parse(file.read_bytes(), form, file.name), check_name(name, "contract"))
    return Answer({"contract": name, "toml": text}, lambda _console: print(text, file=sys.stdout, end=""))  # noqa: T201 - to be piped


def _told(got: Ingest | None) -> dict[str, Any] | None:
    return (
        None
        if got is None
        else {"version": got.version.name, "rows": got.version.rows, "report": got.report, "files": got.files}
    )


def _report(report: Report) -> list[Any]:
    counts = facts((("arrived", report.rows), ("accepted", report.accepted), ("quarantined", report.quarantined)))
    rows = [
        (check.check, check.column, "holds" if check.holds else "fail", check.violations, check.message)
        for check in report.checks
    ]
    return [counts, table(("check", "column", "", "violations", "message"), rows)]
