"""Sources and contracts: what is promised can be kept, and what is referred to is there."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import partial

from ..data.contract.promises import mistakes
from ..data.settings import ContractSettings, Mode, Severity, SourceSettings
from ..data.sources.origins import source_mistakes
from ..ground.core.errors import ExtraMissing
from ..ground.core.toml import UNREADABLE
from ..ground.core.toml_lines import Path
from .findings import Findings, Names, check_length, each, names, readable, said


def check_sources(findings: Findings, sources: Mapping[str, SourceSettings], contracts: Names) -> None:
    """Contracts exist; a dataset has one contract, however many sources fill it."""
    promised: dict[str, tuple[str, str]] = {}
    for name, source in each(sources):
        path: Path = ("sources", name)
        findings.refer((*path, "contract"), source.contract, contracts, "write a [contracts.NAME] first")
        check_length(findings, (*path, "dataset"), source.dataset)
        for wrong in source_mistakes(source, partial(said, findings, path)):
            findings.add((*path, *wrong.path), wrong.found, wrong.allowed, wrong.hint)
        if not readable(source.dataset, source.contract):
            continue
        first, contract = promised.setdefault(source.dataset, (name, source.contract))
        if contract != source.contract:
            hint = f'sources.{first} fills "{source.dataset}" under it'
            findings.add((*path, "contract"), f'"{source.contract}"', f'"{contract}"', hint)


def check_contracts(
    findings: Findings, contracts: Mapping[str, ContractSettings], sources: Mapping[str, SourceSettings] = UNREADABLE
) -> None:
    """What a contract promises fits together and can be checked; what it refers to is there."""
    for name, contract in each(contracts):
        path: Path = ("contracts", name)
        for wrong in mistakes(contract):
            findings.add((*path, *wrong.path), wrong.found, wrong.allowed, wrong.hint)
        _check_conditions(findings, path, contract)
        _check_references(findings, path, contract, (contracts, sources))
        for source, one in each(sources):
            merges = one.contract == name and one.mode is Mode.MERGE
            if merges and contract.key is not UNREADABLE and not contract.key:
                hint = f"sources.{source} merges by key"
                findings.add((*path, "key"), "nothing", 'columns that name a row: key = ["COLUMN"]', hint)
        warns = contract.on_violation is Severity.STOP and not _sets_aside(contract)
        if warns and findings.given((*path, "max_quarantined")):
            findings.add(
                (*path, "max_quarantined"), 'a setting that "stop" does not use', 'on_violation = "quarantine"'
            )


def _sets_aside(contract: ContractSettings) -> bool:
    """Say whether some check sets rows aside though the contract stops."""
    said: list[Severity | None] = [one.severity for _, one in each(contract.columns)]
    said += [one.severity for _, one in each(contract.rows)]
    said += [one.severity for _, one in each(contract.custom)]
    return any(one not in (None, Severity.STOP) for one in said)


def _check_conditions(findings: Findings, path: Path, contract: ContractSettings) -> None:
    """Conditions can be evaluated; only a project that has some waits for the engine that evaluates them."""
    if contract.rows is UNREADABLE or not contract.rows or contract.columns is UNREADABLE:
        return
    columns, rows = dict(each(contract.columns)), dict(each(contract.rows))
    if len(columns) != len(contract.columns) or not all(readable(one.type) for one in columns.values()):
        return
    from ..data.contract.rules import condition_mistakes  # noqa: PLC0415 - polars

    texts = {name: one.condition for name, one in rows.items() if readable(one.condition)}
    with suppress(ExtraMissing):  # control needs no engine for tables: the worker, which has one, tells
        wrongs = condition_mistakes(texts, {name: one.type for name, one in columns.items()})
        for name, wrong in wrongs:
            findings.add((*path, "rows", name, "condition"), wrong, "an SQL expression over the columns of the row")


def _check_references(
    findings: Findings,
    path: Path,
    contract: ContractSettings,
    project: tuple[Mapping[str, ContractSettings], Mapping[str, SourceSettings]],
) -> None:
    """A referenced dataset is one that a source fills, and the column one of its contract."""
    contracts, sources = project
    if contracts is UNREADABLE or sources is UNREADABLE:
        return
    filled = {one.dataset: one.contract for _, one in each(sources) if readable(one.dataset, one.contract)}
    for name, column in each(contract.columns):
        if not readable(column.references):
            continue
        dataset, _, wanted = (column.references or "").partition(".")
        where: Path = (*path, "columns", name, "references")
        findings.refer(where, dataset, tuple(filled), "a dataset that a [sources.NAME] fills")
        there = contracts.get(filled.get(dataset, ""))
        if there is not None and there is not UNREADABLE:
            known = names(there.columns)
            findings.refer(where, wanted, known, "a column")
