"""The work of `modelloop data` on versions: lines, names, differences, and what is let go."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from rich.text import Text

from ...data import actions
from ...data.contract.declared import declared
from ...data.records import DatasetVersion
from ...data.versions.diff import Diff, RowChange
from ...ground.core.errors import InvalidInput
from ...ground.core.later import polars as pl
from ...retrain.actions.housekeeping import named_by_runs, trained_on
from ..desk import Desk
from ..face import Answer
from .data import write_new
from .tables import facts, printed, table

_WRITERS: dict[str, Callable[[pl.DataFrame, io.BytesIO], Any]] = {
    ".parquet": lambda frame, out: frame.write_parquet(out),
    ".csv": lambda frame, out: frame.write_csv(out),
    ".jsonl": lambda frame, out: frame.write_ndjson(out),
}


def versions(desk: Desk, *, name: str) -> Answer:
    """List versions."""
    found = actions.versions(desk.ctx, name)
    rows = [(v.number, v.branch, v.rows, v.made_at, v.made_by, v.source, v.digest[:12], _said(v)) for v in found]
    columns = ("version", "branch", "rows", "made", "by", "source", "content", "message")
    return Answer({"dataset": name, "versions": found}, printed(table(columns, rows)))


def export(desk: Desk, *, name: str, file: Path, load: tuple[str, ...]) -> Answer:
    """Write rows to a file."""
    writer = _WRITERS.get(file.suffix.lower())
    if writer is None:
        raise InvalidInput(f"{file.name} ends in {file.suffix!r}.", hint=f"Expected one of {', '.join(_WRITERS)}.")
    if load and file.suffix.lower() != ".parquet":
        raise InvalidInput("Only Parquet holds bytes.", hint="Export to a .parquet file, or leave --load out.")
    found = actions.resolve(desk.ctx, name)
    frame = actions.read(desk.ctx, found.dataset, found.number, load=load).collect()
    out = io.BytesIO()
    writer(frame, out)
    write_new(file, out.getvalue())
    data = {"version": found.name, "rows": len(frame), "file": file}
    return Answer(data, printed(Text(f"{len(frame):,} rows of {found.name} are in {file}.")))


def diff(desk: Desk, *, name: str, other: str, limit: int) -> Answer:
    """Show what is different."""
    before, after = (actions.resolve(desk.ctx, text) for text in (name, other))
    if before.dataset != after.dataset:
        raise InvalidInput(f"{before.name} and {after.name} are of different datasets.")
    found = actions.diff(desk.ctx, before.dataset, before.number, after.number, examples=limit)
    return Answer(found, printed(*_told(found)))


def branches(desk: Desk, *, name: str) -> Answer:
    """List branches."""
    found = actions.branches(desk.ctx, name)
    rows = [(one.name, one.head, one.at, one.by) for one in found]
    return Answer({"dataset": name, "branches": found}, printed(table(("branch", "version", "at", "by"), rows)))


def branch(desk: Desk, *, name: str, branch: str, drop: bool) -> Answer:
    """Begin a branch, or forget it."""
    start = actions.resolve(desk.ctx, name)
    if drop:
        actions.drop_branch(desk.ctx, start.dataset, branch)
        return Answer({"dataset": start.dataset, "dropped": branch}, printed(Text(f"{branch} is forgotten.")))
    made = actions.branch(desk.ctx, start.dataset, branch, start.number)
    return Answer(made, printed(Text(f"{made.dataset}@{made.name} begins at {start.name}.")))


def merge(desk: Desk, *, name: str, branch: str, into: str, message: str) -> Answer:
    """Merge a branch."""
    contract = declared(desk.project.sources, desk.project.contracts, name).contract
    made = actions.merge(desk.ctx, name, branch, contract=contract, into=into, message=message, root=desk.project_dir)
    return _made(made, f"{made.name} has what {branch} changed: {made.rows:,} rows.")


def tags(desk: Desk, *, name: str) -> Answer:
    """List tags."""
    found = actions.tags(desk.ctx, name)
    rows = [(one.name, one.number, one.at, one.by, one.message) for one in found]
    columns = ("tag", "version", "at", "by", "message")
    return Answer({"dataset": name, "tags": found}, printed(table(columns, rows, empty="no tag")))


def tag(desk: Desk, *, name: str, tag: str, message: str, move: bool, drop: bool) -> Answer:
    """Name a version, or forget the name."""
    found = actions.resolve(desk.ctx, name)
    if drop:
        actions.untag(desk.ctx, found.dataset, tag)
        return Answer({"dataset": found.dataset, "dropped": tag}, printed(Text(f"{tag} is forgotten.")))
    made = actions.tag(desk.ctx, found.dataset, tag, found.number, message=message, move=move)
    return Answer(made, printed(Text(f"{made.dataset}:{made.name} is version {made.number}.")))


def restore(desk: Desk, *, name: str, branch: str, message: str) -> Answer:
    """Make an old version the newest."""
    found = actions.resolve(desk.ctx, name)
    made = actions.restore(desk.ctx, found.dataset, found.number, message=message, branch=branch)
    return _made(made, f"{made.name} is {found.name} again: {made.rows:,} rows.")


def prune(desk: Desk, *, name: str, days: float | None, versions: int | None) -> Answer:
    """Let old versions go."""
    retention = declared(desk.project.sources, desk.project.contracts, name).contract.retention
    if days is not None or versions is not None:
        retention = replace(retention, keep=None if days is None else timedelta(days=days), versions=versions)
    pruned = actions.prune(desk.ctx, name, retention, keep=trained_on(desk.ctx)[name])
    removed = actions.sweep(desk.ctx, referenced=lambda digests: named_by_runs(desk.ctx, digests))
    listed = ", ".join(map(str, pruned)) or "none"
    said = f"Versions let go: {listed}. {removed} files of bytes were removed; others wait for an hour."
    return Answer({"dataset": name, "pruned": pruned, "removed": removed}, printed(Text(said)))


def erase(desk: Desk, *, name: str, column: str, value: str, reason: str) -> Answer:
    """Take a person's rows out."""
    text = sys.stdin.readline().rstrip("\n") if value == "-" else value
    done = actions.erase(desk.ctx, name, column, text, reason=reason)
    pairs = [
        ("erasure", done.id),
        ("rows", done.rows),
        ("versions", ", ".join(map(str, done.versions)) or "none"),
        ("value", f"known only by its keyed hash {done.fingerprint[:12]}"),
    ]
    return Answer(done, printed(facts(pairs)))


def _made(made: DatasetVersion, said: str) -> Answer:
    return Answer({"version": made.name, "rows": made.rows, "digest": made.digest}, printed(Text(said)))


def _said(version: DatasetVersion) -> str:
    marks = [f"pruned {version.pruned}"] * bool(version.pruned) + ["rows erased"] * bool(version.erased)
    return "; ".join([version.message, *marks])


def _told(found: Diff) -> list[Any]:
    changes, key = found.changes, ", ".join(found.changes.key) or "no key: rows are counted"
    pairs = [
        ("rows", f"{found.rows[0]:,} -> {found.rows[1]:,}"),
        ("columns added", ", ".join(found.added) or "none"),
        ("columns removed", ", ".join(found.removed) or "none"),
        ("columns retyped", ", ".join(f"{c.column} {c.before} -> {c.after}" for c in found.retyped) or "none"),
        (f"rows by key ({key})", f"{changes.added} added, {changes.removed} removed, {changes.changed} changed"),
        ("changed in", ", ".join(f"{name} {count}" for name, count in changes.by_column.items()) or "no column"),
    ]
    moved = [
        (one.column, _pair(one.null_rate), _pair(one.mean), ", ".join(one.new[:5]), ", ".join(one.gone[:5]))
        for one in found.columns
        if one.moved
    ]
    shifted = table(("column", "missing", "mean", "new", "gone"), moved, empty="every distribution is the same")
    rows = [(one.what, _row(one, first=True), _row(one, first=False)) for one in changes.examples]
    return [facts(pairs), shifted, table(("", "before", "after"), rows, empty="no row differs")]


def _pair(two: tuple[float | None, float | None]) -> str:
    return " -> ".join("–" if one is None else f"{one:.4g}" for one in two)


def _row(change: RowChange, *, first: bool) -> str:
    mine, other = (change.before, change.after) if first else (change.after, change.before)
    if mine is None:
        return ""
    shown = mine if other is None else {name: value for name, value in mine.items() if value != other.get(name)}
    return ", ".join(f"{name}={value}" for name, value in shown.items())
