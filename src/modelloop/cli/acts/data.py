"""The work of `modelloop data`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.text import Text

from ...data import actions
from ...data.contract.declared import declared
from ...data.contract.infer import infer as draft
from ...data.records import Ingest, Report
from ...data.versions.correcting import RowName, from_csv, to_csv
from ...ground.core.errors import Conflict, InvalidInput, NotFound
from ...ground.core.ids import check_name
from ..desk import Desk
from ..face import Answer
from .tables import facts, printed, table

EVERY = 10**9


def listing(desk: Desk) -> Answer:
    """List datasets."""
    found = actions.datasets(desk.ctx)
    rows = [(d.name, d.versions, d.rows, d.updated_at) for d in found]
    return Answer({"datasets": found}, printed(table(("dataset", "version", "rows", "updated"), rows)))


def show(desk: Desk, *, name: str, version: int | None) -> Answer:
    """Show versions and a report."""
    chosen = actions.resolve(desk.ctx, name if version is None else f"{name}:{version}")
    name = chosen.dataset
    versions = actions.versions(desk.ctx, name)
    rows = [(v.number, v.rows, v.made_at, v.source, v.digest[:12], v.message) for v in versions]
    parts = [
        table(("version", "rows", "made", "source", "content", "message"), rows),
        Text(f"\nreport of {chosen.name}", style="bold"),
        *_report(chosen.report),
    ]
    return Answer({"dataset": name, "versions": versions, "report": chosen.report}, printed(*parts))


def ingest(desk: Desk, *, source: str | None, branch: str, message: str) -> Answer:
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
        taken[name] = actions.ingest(
            desk.ctx, name, settings, contract, root=desk.project_dir, branch=branch, message=message
        )
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


def quarantine(desk: Desk, *, name: str, limit: int, waiting: bool, export: Path | None) -> Answer:
    """List rows set aside, or write those that wait to a file."""
    if export is not None:
        rows = actions.quarantined(desk.ctx, name, limit=EVERY, waiting=True)
        write_new(export, to_csv(rows).encode())
        told = f"{len(rows)} rows are in {export}. Correct them there, then: modelloop data readmit {name} {export}"
        return Answer({"dataset": name, "rows": len(rows), "file": export}, printed(Text(told)))
    found = actions.quarantined(desk.ctx, name, limit=limit, waiting=waiting)
    listed = [
        (r.file, r.row, "; ".join(r.reasons), r.settled or "waits", ", ".join(f"{k}={v}" for k, v in r.values.items()))
        for r in found
    ]
    refused = actions.refused(desk.ctx, name, limit=limit)
    whole = [(one.at, ", ".join(one.files), "; ".join(one.reasons)) for one in refused]
    shown = printed(
        table(("file", "row", "why", "", "values"), listed, empty="no row was set aside"),
        *([Text("\nrefused as a whole", style="bold"), table(("at", "files", "why"), whole)] if whole else []),
    )
    return Answer({"dataset": name, "rows": found, "refused": refused}, shown)


def readmit(desk: Desk, *, name: str, file: Path | None, source: str | None) -> Answer:
    """Judge rows that were set aside again."""
    of = declared(desk.project.sources, desk.project.contracts, name, source)
    corrections = None if file is None else _corrections(desk, name, file)
    done = actions.readmit(
        desk.ctx, of.name, of.source, of.contract, root=desk.project_dir,
        rows=None if corrections is None else list(corrections), corrections=corrections,
    )  # fmt: skip
    still = [(row.file, row.row, "; ".join(row.reasons)) for row in done.still]
    said = f"{done.rows} rows are in {done.version.name}." if done.version else "No row is good; nothing was taken in."
    shown = printed(Text(said), *([table(("file", "row", "why not"), still)] if still else []))
    made = done.version.name if done.version else None
    return Answer({"version": made, "rows": done.rows, "still": done.still}, shown, code=int(done.version is None))


def drop(desk: Desk, *, name: str, file: Path | None, reason: str) -> Answer:
    """Settle rows that were set aside."""
    rows = None if file is None else list(_corrections(desk, name, file))
    count = actions.drop(desk.ctx, name, rows, reason=reason)
    return Answer({"dataset": name, "dropped": count}, printed(Text(f"{count} rows of {name} are dropped.")))


def write_new(file: Path, data: bytes) -> None:
    """Write a file that is not there yet; raises Conflict where it is."""
    try:
        with file.open("xb") as out:
            out.write(data)
    except FileExistsError as error:
        raise Conflict(f"{file} is there already.", hint="Choose another name, or remove it.") from error


def _corrections(desk: Desk, name: str, file: Path) -> dict[RowName, dict[str, str | None]]:
    if not file.is_file():
        raise NotFound(f"There is no file {file}.")
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{file} is not UTF-8: {error}.", hint="Save it as CSV in UTF-8.") from error
    return from_csv(text, actions.quarantined(desk.ctx, name, limit=EVERY, waiting=True))


def infer(desk: Desk, *, place: str, name: str, secrets: Mapping[str, str], **said: Any) -> Answer:
    """Propose a contract."""
    source = actions.proposed(place, secrets=secrets, **{what: value for what, value in said.items() if value})
    if source.path is not None and not Path(source.path).exists():
        raise NotFound(f"There is no file {source.path}.")
    home = desk.settings.home if secrets else Path()
    text = draft(actions.first_rows(source, root=Path.cwd(), home=home), check_name(name, "contract"))
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
        (check.check, check.column, "holds" if check.holds else str(check.severity), check.violations, check.message)
        for check in report.checks
    ]
    return [counts, table(("check", "column", "", "violations", "message"), rows)]
