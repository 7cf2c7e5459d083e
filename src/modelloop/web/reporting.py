"""The report of an arrival, and rows that were set aside, as pages and their JSON twins tell them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..data.records import Arrival, CheckResult, ColumnDrift, DatasetVersion, Finding, QuarantinedRow, Report
from ..data.records import SourceDrift as Drift
from ..data.settings import Severity
from .lengths import clip, clipped, more, pairs

CHECKS = 200
COLUMNS = 200
OTHERS = 100
VALUES = 10
_ORDER = {Severity.STOP: 0, Severity.QUARANTINE: 1, Severity.WARN: 2}


def verdict(version: DatasetVersion | None, refused: Arrival | None) -> dict[str, Any]:
    """Return what became of the last arrival: `what` is one of refused, rows set aside, taken in, nothing yet."""
    if refused is not None and (version is None or refused.at > version.made_at):
        return {"what": "refused", "at": refused.at, "text": reasons(refused.report), "rows": refused.report.rows}
    if version is None:
        return {"what": "nothing yet", "at": None, "text": "", "rows": 0}
    aside = version.report.quarantined
    text = f"{aside:,} of {version.report.rows:,} rows" if aside else ""
    what = "rows set aside" if aside else "taken in"
    return {"what": what, "at": version.made_at, "text": text, "rows": version.report.rows}


def reasons(report: Report) -> str:
    """Return why an arrival was refused, in a line."""
    broken = sorted(report.broken, key=lambda one: not one.stops)
    told = "; ".join(clip(f"{_said(one)}: {one.message}".rstrip("."), 200) for one in broken[:3])
    return told + (f"; and {len(broken) - 3} more" if len(broken) > 3 else "")


def tell_report(report: Report) -> dict[str, Any]:
    """Return a report: what is broken first, the worst before the rest."""
    broken = sorted(report.broken, key=lambda one: (_ORDER[one.severity], one.column, one.check))
    holding = [one for one in report.checks if one.holds]
    return {
        "rows": report.rows,
        "accepted": report.accepted,
        "quarantined": report.quarantined,
        "refused": report.refused,
        "files": [clip(name, 120) for name in report.files[:12]],
        "more_files": more(report.files, 12),
        "broken": [_check(one) for one in broken[:CHECKS]],
        "more_broken": more(broken, CHECKS),
        "holding": [_check(one) for one in holding[:CHECKS]],
        "holds": len(holding),
        "columns": [
            {
                "name": clip(one.name, 120),
                "type": one.type,
                "null_rate": one.null_rate,
                "mean": one.mean,
                "low": None if one.low is None else clip(one.low, 80),
                "high": None if one.high is None else clip(one.high, 80),
            }
            for one in report.columns[:COLUMNS]
        ],
        "more_columns": more(report.columns, COLUMNS),
        "changes": [
            {"what": c.what, "column": clip(c.column, 120), "before": clip(c.before, 120), "after": clip(c.after, 120)}
            for c in report.changes[:OTHERS]
        ],
        "findings": [_finding(one) for one in report.findings[:OTHERS]],
        "drift": _drift(report.drift) if report.drift else None,
    }


def tell_version(one: DatasetVersion, before: DatasetVersion | None, tags: Sequence[str]) -> dict[str, Any]:
    """Return a version without its rows and report; `before`: its parent."""
    return {
        "number": one.number,
        "name": one.name,
        "branch": one.branch,
        "tags": list(tags[:20]),
        "rows": one.rows,
        "more_rows": one.rows - before.rows if before else None,
        "columns": len(one.schema),
        "digest": one.digest,
        "contract": one.contract_hash,
        "made_at": one.made_at,
        "made_by": clip(one.made_by, 120),
        "source": clip(one.source, 120),
        "message": clip(one.message),
        "parent": one.parent,
        "merged": one.merged,
        "key": list(one.key[:20]),
        "quarantined": one.report.quarantined,
        "broken": len(one.report.broken),
        "drifted": len(one.report.drift.drifted) if one.report.drift else 0,
        "erased": len(one.erased),
        "pruned": clip(one.pruned),
    }


def tell_row(row: QuarantinedRow) -> dict[str, Any]:
    """Return a row that was set aside: the columns that its reasons speak of come first."""
    said = " ".join(row.reasons)
    ordered = dict(sorted(row.values.items(), key=lambda pair: pair[0] not in said))
    return {
        "arrival": row.arrival,
        "version": row.version,
        "file": clip(row.file, 200),
        "row": row.row,
        "reasons": clipped(row.reasons, 10),
        "values": [(name, None if ordered[full] is None else text) for full, (name, text) in _named(ordered)],
        "more_values": more(ordered, VALUES),
        "settled": row.settled or "waits",
    }


def tell_refused(one: Arrival) -> dict[str, Any]:
    """Return an arrival of which nothing was taken in."""
    return {
        "arrival": one.id,
        "dataset": one.dataset,
        "source": clip(one.source, 120),
        "at": one.at,
        "rows": one.report.rows,
        "files": [clip(name, 120) for name in one.report.files[:5]],
        "more_files": more(one.report.files, 5),
        "reasons": reasons(one.report),
        "broken": [_check(check) for check in one.report.broken[:20]],
        "more_broken": more(one.report.broken, 20),
    }


def _named(values: dict[str, str | None]) -> list[tuple[str, tuple[str, str]]]:
    return list(zip(values, pairs(values, VALUES), strict=False))


def _said(one: CheckResult) -> str:
    return f"{one.column} {one.check.replace('_', ' ')}".strip()


def _check(one: CheckResult) -> dict[str, Any]:
    return {
        "check": one.check,
        "column": clip(one.column, 200),
        "severity": str(one.severity),
        "level": str(one.level),
        "violations": one.violations,
        "message": clip(one.message),
        "examples": [clip(text, 200) for text in one.examples[:5]],
    }


def _finding(one: Finding) -> dict[str, Any]:
    return {
        "kind": one.kind.replace("_", " "),
        "column": clip(one.column, 200),
        "rows": one.rows,
        "message": clip(one.message),
        "examples": [clip(text, 200) for text in one.examples[:5]],
        "done": one.done,
    }


def _drift(found: Drift) -> dict[str, Any]:
    ordered = sorted(found.columns, key=lambda one: (not one.drifted, one.p_value, -one.distance))
    return {
        "reference": found.reference,
        "rows": found.rows,
        "false_alarms": found.false_alarms,
        "margin": found.margin,
        "drifted": [clip(name, 120) for name in found.drifted[:COLUMNS]],
        "columns": [_column(one) for one in ordered[:COLUMNS]],
        "more_columns": more(ordered, COLUMNS),
    }


def _column(one: ColumnDrift) -> dict[str, Any]:
    return {
        "name": clip(one.name, 120),
        "distance": one.distance,
        "p_value": one.p_value,
        "drifted": one.drifted,
        "psi": one.psi,
        "ks": one.ks,
        "wasserstein": one.wasserstein,
        "null_rate": one.null_rate,
        "new_values": one.new_values,
        "error": clip(one.error),
    }
