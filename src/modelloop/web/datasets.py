"""Pages of data: all datasets, one with its versions and reports, and what is different between two versions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from ..data import actions as data
from ..data.records import MAIN, Dataset, DatasetVersion
from ..data.versions.diff import ColumnShift, Diff, RowChange
from ..ground.core.errors import NotFound
from ..ground.core.ids import check_name
from ..ground.http import Call, number
from ..ground.store.context import Context
from .lengths import clip, clipped, more, shown
from .reporting import COLUMNS, tell_refused, tell_report, tell_row, tell_version, verdict

_CELLS = 12


def datasets(call: Call) -> dict[str, Any]:
    """Show all datasets: newest version, what became of the last arrival, which columns drifted."""
    limit = call.limit(100)
    known: dict[str, Dataset | None] = {one.name: one for one in data.datasets(call.ctx)}
    for arrival in data.arrivals(call.ctx, limit=limit):
        known.setdefault(arrival.dataset, None)
    for source in call.project.sources.values():
        known.setdefault(source.dataset, None)
    names = sorted(known)
    return {
        "datasets": [_summary(call.ctx, name, known[name]) for name in names[:limit]],
        "more": more(names, limit),
    }


def dataset(call: Call) -> dict[str, Any]:
    """Show a dataset: versions, the report of one (version=N; else the newest), rows set aside, refused arrivals."""
    name, limit = check_name(call.path["name"], "dataset"), call.limit(50)
    asked = call.query.get("version")
    every = _versions(call.ctx, name)
    chosen = _chosen(call.ctx, name, every, None if asked is None else number(asked, "version"))
    tags: dict[int, list[str]] = defaultdict(list)
    for tag in data.tags(call.ctx, name) if every else ():
        tags[tag.number].append(tag.name)
    of = {one.number: one for one in every}
    told = [tell_version(one, of.get(one.parent or 0), tags[one.number]) for one in every[:limit]]
    refused = [one for one in data.arrivals(call.ctx, name, limit=limit) if one.version is None]
    aside = data.quarantined(call.ctx, name, limit=limit)
    return {
        "dataset": name,
        "last": verdict(every[0] if every else None, refused[0] if refused else None),
        "came": verdict(chosen, None),
        "versions": told,
        "more_versions": more(every, limit),
        "branches": [
            {"name": one.name, "head": one.head, "by": one.by, "at": one.at}
            for one in (data.branches(call.ctx, name) if every else [])[:limit]
        ],
        "chosen": tell_version(chosen, of.get(chosen.parent or 0), tags[chosen.number]) if chosen else None,
        "report": tell_report(chosen.report) if chosen else None,
        "aside": [tell_row(one) for one in aside],
        "more_aside": len(aside) == limit,
        "refused": [tell_refused(one) for one in refused],
        "erasures": [
            {"at": one.at, "by": one.by, "column": one.column, "rows": one.rows, "versions": list(one.versions[:50]),
             "reason": clip(one.reason), "id": one.id}
            for one in data.erasures(call.ctx, name)[:limit]
        ],
    }  # fmt: skip


def diff(call: Call) -> dict[str, Any]:
    """Show what is different between two versions, as a page tells it: bounded, what moved first."""
    name = check_name(call.path["name"], "dataset")
    one, other = (number(call.path[side], "version") for side in ("before", "after"))
    return tell_diff(data.diff(call.ctx, name, one, other, examples=call.limit(20)))


def tell_diff(found: Diff) -> dict[str, Any]:
    """Return a diff, JSON-ready and bounded."""
    columns = sorted(found.columns, key=lambda one: not one.moved)
    changes = found.changes
    by_column = sorted(changes.by_column.items(), key=lambda pair: -pair[1])
    return {
        "dataset": found.dataset,
        "before": found.before,
        "after": found.after,
        "rows": found.rows,
        "added": clipped(found.added, COLUMNS),
        "removed": clipped(found.removed, COLUMNS),
        "retyped": [
            {"column": clip(one.column, 120), "before": one.before, "after": one.after}
            for one in found.retyped[:COLUMNS]
        ],
        "columns": [_shift(one) for one in columns[:COLUMNS] if one.moved],
        "same": sum(not one.moved for one in columns),
        "key": clipped(changes.key, 20),
        "added_rows": changes.added,
        "removed_rows": changes.removed,
        "changed_rows": changes.changed,
        "by_column": [(clip(column, 120), count) for column, count in by_column[:COLUMNS]],
        "examples": [_row(one, changes.key) for one in changes.examples],
    }


def _summary(ctx: Context, name: str, found: Dataset | None) -> dict[str, Any]:
    newest = data.version(ctx, name) if found else None
    refused = next((one for one in data.arrivals(ctx, name, limit=1) if one.version is None), None)
    drift = newest.report.drift if newest else None
    return {
        "name": name,
        "version": newest.number if newest else None,
        "rows": newest.rows if newest else 0,
        "updated_at": newest.made_at if newest else None,
        "by": clip(newest.made_by, 120) if newest else "",
        "message": clip(newest.message) if newest else "",
        "last": verdict(newest, refused),
        "warnings": len(newest.report.broken) if newest else 0,
        "drifted": clipped(drift.drifted, 8) if drift else [],
        "more_drifted": more(drift.drifted, 8) if drift else 0,
        "compared": drift is not None,
    }


def _versions(ctx: Context, name: str) -> list[DatasetVersion]:
    """Return a dataset's versions; none where all that ever came was refused."""
    try:
        return data.versions(ctx, name)
    except NotFound:
        if not data.arrivals(ctx, name, limit=1):
            raise
        return []


def _chosen(ctx: Context, name: str, every: list[DatasetVersion], asked: int | None) -> DatasetVersion | None:
    if asked is not None:
        return data.version(ctx, name, asked)
    return next((one for one in every if one.branch == MAIN), every[0] if every else None)


def _shift(one: ColumnShift) -> dict[str, Any]:
    return {
        "column": clip(one.column, 120),
        "null_rate": one.null_rate,
        "mean": one.mean,
        "quantiles": [list(level) for level in one.quantiles],
        "new": [clip(text, 80) for text in one.new],
        "gone": [clip(text, 80) for text in one.gone],
    }


def _row(one: RowChange, key: tuple[str, ...]) -> dict[str, Any]:
    before, after = one.before or {}, one.after or {}
    both: Mapping[str, Any] = {**before, **after}
    told = [name for name in both if name not in key and (one.what != "changed" or before.get(name) != after.get(name))]
    return {
        "what": one.what,
        "key": [(clip(name, 120), shown(both.get(name))) for name in key],
        "cells": [
            {
                "column": clip(name, 120),
                "before": None if before.get(name) is None else shown(before[name]),
                "after": None if after.get(name) is None else shown(after[name]),
            }
            for name in told[:_CELLS]
        ],
        "more_cells": more(told, _CELLS),
    }
