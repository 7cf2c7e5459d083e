"""Endpoints: what answers can come to be, rollouts can come to an end, and what is kept contradicts nothing."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from ..deploy.settings import Durability, EndpointSettings, RolloutSettings, Strategy
from ..ground.core.toml import UNREADABLE
from ..ground.core.toml_lines import Path
from .findings import Findings, Names, each, readable, said

_ONLY = {"canary": Strategy.CANARY, "test_share": Strategy.AB_TEST}
"""Settings that one strategy alone looks at."""


def check_endpoints(findings: Findings, endpoints: Mapping[str, EndpointSettings], models: Names) -> None:
    """Models are made by some pipeline; rollouts can come to an end; what is logged contradicts nothing."""
    for name, endpoint in each(endpoints):
        path: Path = ("endpoints", name)
        nothing = "the model of some [pipelines.NAME]: write model = ... there"
        if endpoint.registered is not True:
            findings.refer((*path, "model"), endpoint.model, models, nothing)
        if endpoint.rollout is not UNREADABLE:
            _check_rollout(findings, (*path, "rollout"), endpoint.rollout)
            _check_strategy(findings, (*path, "rollout"), endpoint.rollout)
        _check_kept(findings, path, endpoint)


def _check_rollout(findings: Findings, path: Path, rollout: RolloutSettings) -> None:
    if rollout.canary is not UNREADABLE:
        for place, (before, share) in enumerate(pairwise((0.0, *rollout.canary))):
            if not before < share <= 1:
                rising = "a share above the one before it, at most 1" if place else "a share above 0, at most 1"
                findings.add((*path, "canary", place), f"{share:g}", rising)
    for name in ("shadow_rows", "canary_rows"):
        rows = getattr(rollout, name)
        if readable(rows, rollout.max_rows) and rows > rollout.max_rows:
            findings.add(
                (*path, name), f"{rows}", f"at most max_rows, which is {rollout.max_rows}", "else it always goes back"
            )
    if rollout.shadow_fraction == 0 and readable(rollout.shadow_rows) and rollout.shadow_rows:
        findings.add((*path, "shadow_fraction"), "0", "above 0", "to leave the shadow out write shadow_rows = 0")
    if readable(rollout.max_hours, rollout.least_seconds) and 0 < rollout.max_hours * 3600 <= rollout.least_seconds:
        allowed = f"more than least_seconds, which is {rollout.least_seconds:g} s"
        findings.add((*path, "max_hours"), f"{rollout.max_hours:g}", allowed, "else it always goes back")


def _check_strategy(findings: Findings, path: Path, rollout: RolloutSettings) -> None:
    """What a strategy needs can be done with it, and what only another one looks at is not given."""
    strategy = rollout.strategy
    if strategy is UNREADABLE:
        return
    for name, only in _ONLY.items():
        if strategy is not only and said(findings, path, name):
            found = f'a setting that "{strategy}" does not use'
            findings.add((*path, name), found, f'it only with strategy = "{only}"')
    if strategy is Strategy.BLUE_GREEN and said(findings, path, "max_latency_ratio"):
        found, hint = 'a setting that "blue_green" does not use', "the versions never answer at the same time"
        findings.add((*path, "max_latency_ratio"), found, "max_latency_ms", hint)
    share = rollout.test_share
    if strategy is Strategy.AB_TEST and readable(share) and not 0 < share < 1:
        findings.add((*path, "test_share"), f"{share:g}", "between 0 and 1, both versions are asked")


def _check_kept(findings: Findings, path: Path, endpoint: EndpointSettings) -> None:
    """What must not be written is not what something else needs in writing."""
    log = endpoint.log
    if log is UNREADABLE or not readable(log.drop, log.mask):
        return
    if readable(log.required, log.durability) and log.required and log.durability is Durability.BUFFERED:
        why = "buffered records are written after the answer, when nothing can be refused any more"
        findings.add((*path, "log", "required"), "true with buffered", 'it only with "process" or "disk"', why)
    kept = dict.fromkeys(log.drop, "log.drop") | dict.fromkeys(log.mask, "log.mask")
    for place, name in enumerate(log.mask):
        if name in log.drop:
            findings.add((*path, "log", "mask", place), f'"{name}" in both', "either drop or mask")
    slices = endpoint.rollout.slices if endpoint.rollout is not UNREADABLE else ()
    for place, name in enumerate(slices if slices is not UNREADABLE else ()):
        if name in kept:
            where = (*path, "rollout", "slices", place)
            found = f'"{name}", which {kept[name]} keeps out of the log'
            findings.add(where, found, "columns that may be written", "a slice's value stands beside each prediction")
    if readable(endpoint.outcome_key) and endpoint.outcome_key in log.drop:
        found = f'"{endpoint.outcome_key}", which log.drop leaves out'
        hint = "mask it: outcomes are joined by the same keyed hash"
        findings.add((*path, "outcome_key"), found, "a column that is kept", hint)
