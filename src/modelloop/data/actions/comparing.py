"""An arrival beside what is known: drift from a reference version, anomalies, the profile of the version to be."""

from __future__ import annotations

from dataclasses import replace

from ...ground.core.errors import NotFound
from ...ground.store.context import Context
from ..contract.rules import schema_of
from ..insight import anomalies
from ..insight.drift import compare
from ..insight.profile import Profile, merge, profile
from ..records import CheckResult, ColumnDrift, DatasetVersion, Finding, Level, SourceDrift
from ..settings import ContractSettings, Mode, Severity
from ..versions import layout
from .gathering import Gathered, with_checks
from .reading import scan_version, store_of, version

PROFILED_ROWS = 5_000_000
"""A merged table up to this size is profiled anew; of a larger one the profiles of its arrivals are merged."""


def compared(
    ctx: Context, contract: ContractSettings, head: DatasetVersion | None, gathered: Gathered, mode: Mode
) -> Gathered:
    """Return what was gathered with drift and findings in its report, and the profile of the table to be."""
    if gathered.report.refused or gathered.profile is None:
        return gathered
    now = gathered.profile
    before = profile_of(ctx, head) if head else None
    drift = _drift(ctx, contract, head, now)
    settings = contract.anomalies
    whole_sample = now if len(gathered.sample) == now.rows else None
    findings = anomalies.find(gathered.sample, contract, before, now=whole_sample) if settings else ()
    checks = [*_drift_checks(contract, drift), *_finding_checks(findings, settings.severity if settings else None)]
    report = with_checks(replace(gathered.report, findings=findings, drift=drift), checks)
    if report.refused:
        return replace(gathered, report=report)
    gathered = replace(gathered, report=report)
    if head is None or mode is Mode.REPLACE:
        whole: Profile | None = now
    elif mode is Mode.APPEND and before is not None:
        whole = merge(before, now)
    else:
        whole = _anew(ctx, contract, gathered) or (merge(before, now) if before else None)
    return replace(gathered, stored_profile=ctx.blobs.put(whole.to_bytes()) if whole else None)


def profile_of(ctx: Context, found: DatasetVersion) -> Profile | None:
    """Return the profile of all rows of a version; None where none was made."""
    return Profile.from_bytes(ctx.blobs.get(found.profile)) if found.profile else None


def _anew(ctx: Context, contract: ContractSettings, gathered: Gathered) -> Profile | None:
    """Profile the whole table; None if it is large."""
    if sum(one.live for one in gathered.parts) > PROFILED_ROWS:
        return None
    return profile(layout.scan(gathered.parts, schema_of(contract), store_of(ctx)))


def _drift(ctx: Context, contract: ContractSettings, head: DatasetVersion | None, now: Profile) -> SourceDrift | None:
    if contract.drift is None or head is None:
        return None
    asked = contract.drift.reference
    try:
        reference = _reference(ctx, head, asked)
    except NotFound:  # a tag that nobody has set yet
        return None
    known = profile_of(ctx, reference) or profile(scan_version(ctx, reference))
    return compare(known, now, contract.drift, reference.name)


def _reference(ctx: Context, head: DatasetVersion, asked: str) -> DatasetVersion:
    if asked == "previous":
        return head
    if asked == "first":
        return version(ctx, head.dataset, 1)
    if asked.isdecimal():
        return version(ctx, head.dataset, int(asked))
    return version(ctx, head.dataset, tag=asked)


def _drift_checks(contract: ContractSettings, drift: SourceDrift | None) -> list[CheckResult]:
    if drift is None or contract.drift is None:
        return []
    return [
        CheckResult(
            "drift",
            one.name,
            Level.TABLE,
            1,
            _differs(one, drift),
            severity=contract.drift.severity,
        )
        for one in drift.columns
        if one.drifted
    ]


def _differs(one: ColumnDrift, drift: SourceDrift) -> str:
    numbers = f"distance {one.distance:.3g} (margin {drift.margin:g}), p {one.p_value:.2g}"
    return f"differs from {drift.reference}: {numbers}"


def _finding_checks(findings: tuple[Finding, ...], severity: Severity | None) -> list[CheckResult]:
    if severity is None:
        return []
    return [
        CheckResult(one.kind, one.column, Level.TABLE, one.rows, one.message, one.examples, severity)
        for one in findings
        if not one.done
    ]
