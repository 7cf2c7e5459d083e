"""Monitors, alerts, triggers, the pool: what is watched leads somewhere, and what starts by itself can."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from ..deploy.settings import EndpointSettings
from ..ground.core.toml import UNREADABLE
from ..ground.core.toml_lines import Path
from ..ground.pool.settings import PoolKind, PoolSettings
from ..monitor.settings import AlertSettings, Channel, MonitorSettings, Severity, SignalKind
from ..retrain.calendar import mistake
from ..retrain.settings import PipelineSettings, TriggerOn, TriggerSettings
from .findings import Findings, Names, Uses, check_arguments, check_positive, each, names, readable

_MONITORS: Mapping[str, Uses] = MappingProxyType(
    {
        SignalKind.QUALITY: Uses((), ("label_delay", "tolerance", "alpha")),
        SignalKind.INPUT_DRIFT: Uses((), ("threshold",)),
        SignalKind.SCORE_DRIFT: Uses((), ("threshold",)),
    }
)

_TRIGGERS: Mapping[str, Uses] = MappingProxyType(
    {
        TriggerOn.ALERT: Uses(("monitor",)),
        TriggerOn.SCHEDULE: Uses(("every",)),
        TriggerOn.DATA: Uses(("dataset",), ("overlap",)),
        TriggerOn.CRON: Uses(("cron",), ("time_zone", "missed", "overlap")),
    }
)

_POOL: Mapping[str, Uses] = MappingProxyType({PoolKind.LOCAL: Uses(), PoolKind.RAY: Uses((), ("address",))})

_ALERTS: Mapping[str, Uses] = MappingProxyType({Channel.LOG: Uses(), Channel.WEBHOOK: Uses(("url_from",))})


def check_triggers(
    findings: Findings,
    triggers: Mapping[str, TriggerSettings],
    *,
    pipelines: Mapping[str, PipelineSettings],
    endpoints: Mapping[str, EndpointSettings],
    monitors: Mapping[str, MonitorSettings],
    datasets: Names,
) -> None:
    """Triggers lead from something that can happen to a pipeline that makes versions for their endpoint."""
    for name, trigger in each(triggers):
        path: Path = ("triggers", name)
        findings.uses(path, trigger, trigger.on, _TRIGGERS)
        findings.refer((*path, "pipeline"), trigger.pipeline, names(pipelines), "write a [pipelines.NAME] first")
        findings.refer((*path, "endpoint"), trigger.endpoint, names(endpoints), "write an [endpoints.NAME] first")
        findings.refer((*path, "monitor"), trigger.monitor, names(monitors), "write a [monitors.NAME] first")
        findings.refer((*path, "dataset"), trigger.dataset, datasets, "a dataset that a [sources.NAME] fills")
        check_positive(findings, (*path, "every"), trigger.every)
        _check_calendar(findings, path, trigger)
        watched = dict(each(monitors)).get(trigger.monitor or "")
        if watched is not None and watched.severity is Severity.NOTE:
            hint = 'a monitor of severity "note" starts nothing'
            findings.add((*path, "monitor"), f'"{trigger.monitor}"', 'a monitor of severity "alert"', hint)
        pipeline = dict(each(pipelines)).get(trigger.pipeline)
        endpoint = dict(each(endpoints)).get(trigger.endpoint or "")
        if pipeline is not None and endpoint is not None:
            _check_renewal(findings, path, trigger, pipeline, endpoint)


def _check_calendar(findings: Findings, path: Path, trigger: TriggerSettings) -> None:
    if (
        readable(trigger.cron, trigger.time_zone)
        and trigger.cron
        and (wrong := mistake(trigger.cron, trigger.time_zone))
    ):
        findings.add((*path, "cron"), wrong, "a cron expression of five fields, in a time zone")
    if trigger.endpoint is None and readable(trigger.on) and trigger.on in (TriggerOn.ALERT, TriggerOn.SCHEDULE):
        findings.add((*path, "endpoint"), "nothing", "the endpoint whose model is to be renewed")


def _check_renewal(
    findings: Findings, path: Path, trigger: TriggerSettings, pipeline: PipelineSettings, endpoint: EndpointSettings
) -> None:
    if UNREADABLE not in (pipeline.model, endpoint.model) and pipeline.model != endpoint.model:
        made = f'versions of "{pipeline.model}"' if pipeline.model else "no versions of a model"
        hint = f'endpoints.{trigger.endpoint} serves "{endpoint.model}"'
        findings.add((*path, "pipeline"), f'"{trigger.pipeline}", which makes {made}', "a pipeline of its model", hint)
    check_arguments(findings, (*path, "params"), trigger.params, names(pipeline.inputs))


def check_monitors(findings: Findings, monitors: Mapping[str, MonitorSettings], endpoints: Names) -> None:
    """Monitors watch endpoints, and have what their signal uses."""
    for name, monitor in each(monitors):
        path: Path = ("monitors", name)
        findings.refer((*path, "endpoint"), monitor.endpoint, endpoints, "write an [endpoints.NAME] first")
        findings.uses(path, monitor, monitor.signal, _MONITORS)
        check_positive(findings, (*path, "every"), monitor.every)


def check_alerts(findings: Findings, alerts: Mapping[str, AlertSettings]) -> None:
    """A webhook knows its address, and by the name of a variable: the address itself may be a secret."""
    for name, alert in each(alerts):
        path: Path = ("alerts", name)
        findings.uses(path, alert, alert.channel, _ALERTS)
        if readable(alert.url_from) and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", alert.url_from or ""):
            hint = 'put the address into a variable, say ALERTS_URL, and write url_from = "ALERTS_URL"'
            findings.add((*path, "url_from"), "not a variable's name", "the name of an environment variable", hint)


def check_pool(findings: Findings, pool: PoolSettings) -> None:
    """An address belongs to a cluster."""
    if pool is not UNREADABLE:
        findings.uses(("pool",), pool, pool.kind, _POOL)
