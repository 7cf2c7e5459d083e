"""Pipelines that prepare data fill a source that takes files; online tables stand on datasets."""

from __future__ import annotations

from collections.abc import Mapping

from ..data.settings import Format, SourceKind, SourceSettings
from ..deploy.settings import EndpointSettings, OnlineSettings
from ..ground.core.toml import UNREADABLE
from ..ground.core.toml_lines import Path
from ..retrain.settings import PipelineSettings
from .findings import Findings, Names, each, names, readable


def check_fills(
    findings: Findings, pipelines: Mapping[str, PipelineSettings], sources: Mapping[str, SourceSettings]
) -> None:
    """What a pipeline fills is a folder of Parquet files, and it makes no model at the same time."""
    for name, pipeline in each(pipelines):
        path: Path = ("pipelines", name, "fills")
        if pipeline.fills is None or pipeline.fills is UNREADABLE:
            continue
        findings.refer(path, pipeline.fills, names(sources), "write a [sources.NAME] first")
        if pipeline.model is not None:
            findings.add(path, f'"{pipeline.fills}"', "nothing, where `model` is given", "let two pipelines do it")
        source = dict(each(sources)).get(pipeline.fills)
        if source is None or not readable(source.kind, source.format, source.path):
            continue
        if source.kind is not SourceKind.FILES or source.format is not Format.PARQUET or not source.path:
            found = f'"{pipeline.fills}" (kind {source.kind}, format {source.format})'
            findings.add(path, found, 'a source of the kind "files" and the format "parquet" with a folder as its path')


def check_online(
    findings: Findings,
    online: Mapping[str, OnlineSettings],
    endpoints: Mapping[str, EndpointSettings],
    datasets: Names,
) -> None:
    """Online tables are made of datasets that some source fills; endpoints look up tables that are declared."""
    for name, table in each(online):
        path: Path = ("online", name)
        findings.refer((*path, "dataset"), table.dataset, datasets, "a dataset that a [sources.NAME] fills")
        for word in ("key", "values"):
            if getattr(table, word) == ():
                findings.add((*path, word), "nothing", "at least one column")
        if readable(table.key, table.values) and (both := sorted(set(table.key) & set(table.values))):
            findings.add((*path, "values"), f'"{both[0]}"', "columns that are not part of the key")
    for name, endpoint in each(endpoints):
        if endpoint.features is not UNREADABLE:
            for place, table_name in enumerate(endpoint.features):
                where: Path = ("endpoints", name, "features", place)
                findings.refer(where, table_name, names(online), "write an [online.NAME] first")
