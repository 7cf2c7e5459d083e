"""What must hold between the parts of a project file: names that lead somewhere, settings that fit each other.

Each check takes one table of the file and what it refers to. A setting with a mistake of its own is UNREADABLE and
passed over: it is reported already, and whatever hangs on it can be judged when it can be read.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from types import MappingProxyType
from typing import Any, TypeVar

from .data.settings import ColumnSettings, ColumnType, ContractSettings, OnViolation, SourceSettings
from .deploy.settings import EndpointSettings, RolloutSettings
from .evaluate.settings import Check, GateSettings, MetricName, ObjectiveSettings, Task
from .ground.core.ids import is_name
from .ground.core.toml import UNREADABLE, Mistake, suggest
from .ground.core.toml_lines import Lines, Path, dotted
from .monitor.settings import AlertSettings, Channel, MonitorSettings, Severity, SignalKind
from .retrain.settings import PipelineSettings, TriggerOn, TriggerSettings

T = TypeVar("T")
Names = Collection[str] | None
"""Names that may be referred to; None where they cannot all be read."""

TASK_METRICS: Mapping[Task, tuple[MetricName, ...]] = MappingProxyType(
    {
        Task.BINARY: (MetricName.AUC, MetricName.LOG_LOSS, MetricName.BRIER),
        Task.REGRESSION: (MetricName.MAE, MetricName.RMSE, MetricName.R2),
    }
)
_REACH: Mapping[MetricName, tuple[float, float]] = MappingProxyType(
    {
        MetricName.AUC: (0, 1),
        MetricName.BRIER: (0, 1),
        MetricName.LOG_LOSS: (0, float("inf")),
        MetricName.MAE: (0, float("inf")),
        MetricName.RMSE: (0, float("inf")),
        MetricName.R2: (float("-inf"), 1),
    }
)


@dataclass(frozen=True, slots=True)
class Uses:
    """Which of the settings that only some kinds have, one kind needs and may have."""

    needs: tuple[str, ...] = ()
    may: tuple[str, ...] = ()


_GATES: Mapping[str, Uses] = MappingProxyType(
    {
        Check.METRIC: Uses(("bound",), ("metric",)),
        Check.CHAMPION: Uses((), ("metric", "margin")),
        Check.BASELINE: Uses((), ("metric",)),
        Check.SLICE: Uses(("bound", "by"), ("metric",)),
        Check.PARITY: Uses((), ("tolerance",)),
    }
)
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
        TriggerOn.DATA: Uses(("dataset",)),
    }
)
_ALERTS: Mapping[str, Uses] = MappingProxyType({Channel.LOG: Uses(), Channel.WEBHOOK: Uses(("url_from",))})


class Findings:
    """Collects mistakes, each with the line at which the file says it."""

    def __init__(self, lines: Lines, file: str) -> None:
        self._lines = lines
        self._file = file
        self.mistakes: list[Mistake] = []

    def add(self, path: Path, found: str, allowed: str, hint: str = "") -> None:
        """Note one mistake."""
        self.mistakes.append(Mistake(self._lines.of(path), dotted(path), found, allowed, hint, self._file))

    def given(self, path: Path) -> bool:
        """Say whether the file itself says anything at this path."""
        return self._lines.given(path)

    def refer(self, path: Path, name: str | None, known: Names, nothing: str) -> None:
        """Note a name that leads nowhere; `nothing` says what to write where there is nothing to refer to."""
        if name is None or name is UNREADABLE or known is None or name in known:
            return
        self.add(path, f'"{name}"', ", ".join(sorted(known)) or nothing, suggest(name, known))

    def uses(self, path: Path, item: object, kind: str, table: Mapping[str, Uses]) -> None:
        """Note what the kind needs and has not, and what is given although the kind would not look at it."""
        if kind is UNREADABLE:
            return
        own = table[kind]
        for name in own.needs:
            if getattr(item, name) is None:
                self.add((*path, name), "nothing", f'a value ("{kind}" needs one)')
        wanted = {*own.needs, *own.may}
        others = {name for uses in table.values() for name in (*uses.needs, *uses.may)} - wanted
        for name in sorted(others):
            if self.given((*path, name)):
                allowed = f"with it: {', '.join(sorted(wanted))}" if wanted else "nothing of the kind with it"
                self.add((*path, name), f'a setting that "{kind}" does not use', allowed)


def each(table: Mapping[str, T]) -> Iterator[tuple[str, T]]:
    """Walk the entries that can be read."""
    if table is not UNREADABLE:
        yield from ((name, item) for name, item in table.items() if item is not UNREADABLE)


def names(table: Mapping[str, Any]) -> Names:
    """Return the names of a table."""
    return None if table is UNREADABLE else tuple(table)


def values(table: Mapping[str, Any], setting: str) -> Names:
    """Return what a setting says anywhere in a table, None left out."""
    if table is UNREADABLE:
        return None
    found = {UNREADABLE if item is UNREADABLE else getattr(item, setting) for item in table.values()}
    return None if UNREADABLE in found else {value for value in found if value is not None}


def _readable(*parts: object) -> bool:
    return all(part is not None and part is not UNREADABLE for part in parts)


def check_sources(findings: Findings, sources: Mapping[str, SourceSettings], contracts: Names) -> None:
    """Contracts exist; a dataset has one contract, however many sources fill it."""
    promised: dict[str, tuple[str, str]] = {}
    for name, source in each(sources):
        path: Path = ("sources", name)
        findings.refer((*path, "contract"), source.contract, contracts, "write a [contracts.NAME] first")
        _check_length(findings, (*path, "dataset"), source.dataset)
        if source.path == "":
            findings.add((*path, "path"), '""', "a file or a folder")
        if not _readable(source.dataset, source.contract):
            continue
        first, contract = promised.setdefault(source.dataset, (name, source.contract))
        if contract != source.contract:
            hint = f'sources.{first} fills "{source.dataset}" under it'
            findings.add((*path, "contract"), f'"{source.contract}"', f'"{contract}"', hint)


def check_contracts(findings: Findings, contracts: Mapping[str, ContractSettings]) -> None:
    """Keys are columns; what a column promises can be true of its type."""
    for name, contract in each(contracts):
        path: Path = ("contracts", name)
        columns = names(contract.columns)
        if columns is not None and not columns:
            findings.add((*path, "columns"), "no column", "at least one: columns.NAME = {type = ...}")
        for place, key in enumerate(contract.key if contract.key is not UNREADABLE else ()):
            findings.refer((*path, "key", place), key, columns, "a column")
        for column, promise in each(contract.columns):
            _check_column(findings, (*path, "columns", column), promise)
        if contract.on_violation is OnViolation.STOP and findings.given((*path, "max_quarantined")):
            findings.add(
                (*path, "max_quarantined"), 'a setting that "stop" does not use', 'on_violation = "quarantine"'
            )


def _check_column(findings: Findings, path: Path, column: ColumnSettings) -> None:
    if _readable(column.min, column.max) and (column.min or 0) > (column.max or 0):
        findings.add((*path, "min"), f"{column.min:g}", f"at most max, which is {column.max:g}")
    numeric = column.type in (ColumnType.INTEGER, ColumnType.FLOAT)
    for name, fits, kinds in (
        ("min", numeric, "integer and float"),
        ("max", numeric, "integer and float"),
        ("one_of", column.type is ColumnType.STRING, "string"),
        ("pattern", column.type is ColumnType.STRING, "string"),
    ):
        if column.type is not UNREADABLE and getattr(column, name) is not None and not fits:
            findings.add((*path, name), f'a setting for a column of type "{column.type}"', f"only for {kinds}")
    if column.one_of == ():
        findings.add((*path, "one_of"), "an empty array", "at least one value")
    if _readable(column.max_null_rate, column.nullable) and column.max_null_rate and not column.nullable:
        findings.add((*path, "max_null_rate"), f"{column.max_null_rate:g}", "only with nullable = true")
    if _readable(column.pattern):
        _check_pattern(findings, (*path, "pattern"), column.pattern or "")


def _check_pattern(findings: Findings, path: Path, pattern: str) -> None:
    try:
        re.compile(pattern)
    except (re.error, OverflowError) as error:
        findings.add(path, f"no valid pattern: {error}", "a regular expression", "in TOML write it in 'single quotes'")


def check_objective(findings: Findings, objective: ObjectiveSettings) -> None:
    """The headline metric fits the task."""
    if objective is not UNREADABLE:
        _check_metric(findings, ("objective", "metric"), objective.metric, objective.task)


def _check_metric(findings: Findings, path: Path, metric: MetricName | None, task: Task) -> bool:
    if metric is None or not _readable(metric, task) or metric in TASK_METRICS[task]:
        return True
    findings.add(path, f'"{metric}"', ", ".join(TASK_METRICS[task]), f'the task is "{task}"')
    return False


def check_gates(
    findings: Findings, gates: Mapping[str, GateSettings], objective: ObjectiveSettings, served: bool
) -> None:
    """Gates have what their check needs, and a bound that a version can reach. What is served needs a gate."""
    if served and not names(gates) and gates is not UNREADABLE:
        hint = "without a gate every version lacks evidence and none is ever served"
        findings.add(("gates",), "no gate", "at least one [gates.NAME]", hint)
    goal: Any = objective
    task, headline = (UNREADABLE, UNREADABLE) if goal is UNREADABLE else (goal.task, goal.metric)
    for name, gate in each(gates):
        path: Path = ("gates", name)
        findings.uses(path, gate, gate.check, _GATES)
        metric = gate.metric or headline
        fits = _check_metric(findings, (*path, "metric"), gate.metric, task)
        if not fits or gate.bound is None or not _readable(metric, gate.bound):
            continue
        low, high = _REACH[metric]
        if not low <= gate.bound <= high:
            findings.add((*path, "bound"), f"{gate.bound:g}", f"a value that {metric} can have: {low:g} to {high:g}")


def check_pipelines(findings: Findings, pipelines: Mapping[str, PipelineSettings], datasets: Names) -> None:
    """Inputs are datasets that some source fills; arguments are names that Python has, each given once."""
    for name, pipeline in each(pipelines):
        path: Path = ("pipelines", name)
        for argument, dataset in each(pipeline.inputs):
            findings.refer((*path, "inputs", argument), dataset, datasets, "a dataset that a [sources.NAME] fills")
        _check_arguments(findings, (*path, "inputs"), pipeline.inputs, ())
        _check_arguments(findings, (*path, "params"), pipeline.params, names(pipeline.inputs))
        _check_length(findings, (*path, "model"), pipeline.model)
        _check_positive(findings, (*path, "time_limit"), pipeline.time_limit)


def _check_arguments(findings: Findings, path: Path, given: Mapping[str, Any], taken: Names) -> None:
    for argument in names(given) or ():
        if not argument.isidentifier():
            findings.add((*path, argument), f'"{argument}"', "the name of an argument of the function")
        elif argument in (taken or ()):
            findings.add((*path, argument), "an argument given twice", "either an input or a parameter")


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
        _check_positive(findings, (*path, "every"), trigger.every)
        watched = dict(each(monitors)).get(trigger.monitor or "")
        if watched is not None and watched.severity is Severity.NOTE:
            hint = 'a monitor of severity "note" starts nothing'
            findings.add((*path, "monitor"), f'"{trigger.monitor}"', 'a monitor of severity "alert"', hint)
        pipeline = dict(each(pipelines)).get(trigger.pipeline)
        endpoint = dict(each(endpoints)).get(trigger.endpoint)
        if pipeline is not None and endpoint is not None:
            _check_renewal(findings, path, trigger, pipeline, endpoint)


def _check_renewal(
    findings: Findings, path: Path, trigger: TriggerSettings, pipeline: PipelineSettings, endpoint: EndpointSettings
) -> None:
    if UNREADABLE not in (pipeline.model, endpoint.model) and pipeline.model != endpoint.model:
        made = f'versions of "{pipeline.model}"' if pipeline.model else "no versions of a model"
        hint = f'endpoints.{trigger.endpoint} serves "{endpoint.model}"'
        findings.add((*path, "pipeline"), f'"{trigger.pipeline}", which makes {made}', "a pipeline of its model", hint)
    _check_arguments(findings, (*path, "params"), trigger.params, names(pipeline.inputs))


def check_endpoints(findings: Findings, endpoints: Mapping[str, EndpointSettings], models: Names) -> None:
    """Models are made by some pipeline; rollouts can come to an end."""
    for name, endpoint in each(endpoints):
        path: Path = ("endpoints", name)
        nothing = "the model of some [pipelines.NAME]: write model = ... there"
        findings.refer((*path, "model"), endpoint.model, models, nothing)
        if endpoint.rollout is not UNREADABLE:
            _check_rollout(findings, (*path, "rollout"), endpoint.rollout)


def _check_rollout(findings: Findings, path: Path, rollout: RolloutSettings) -> None:
    if rollout.canary is not UNREADABLE:
        for place, (before, share) in enumerate(pairwise((0.0, *rollout.canary))):
            if not before < share <= 1:
                rising = "a share above the one before it, at most 1" if place else "a share above 0, at most 1"
                findings.add((*path, "canary", place), f"{share:g}", rising)
    for name in ("shadow_rows", "canary_rows"):
        rows = getattr(rollout, name)
        if _readable(rows, rollout.max_rows) and rows > rollout.max_rows:
            findings.add(
                (*path, name), f"{rows}", f"at most max_rows, which is {rollout.max_rows}", "else it always goes back"
            )
    if rollout.shadow_fraction == 0 and _readable(rollout.shadow_rows) and rollout.shadow_rows:
        findings.add((*path, "shadow_fraction"), "0", "above 0", "to leave the shadow out write shadow_rows = 0")


def check_monitors(findings: Findings, monitors: Mapping[str, MonitorSettings], endpoints: Names) -> None:
    """Monitors watch endpoints, and have what their signal uses."""
    for name, monitor in each(monitors):
        path: Path = ("monitors", name)
        findings.refer((*path, "endpoint"), monitor.endpoint, endpoints, "write an [endpoints.NAME] first")
        findings.uses(path, monitor, monitor.signal, _MONITORS)
        _check_positive(findings, (*path, "every"), monitor.every)


def check_alerts(findings: Findings, alerts: Mapping[str, AlertSettings]) -> None:
    """A webhook knows its address, and by the name of a variable: the address itself may be a secret."""
    for name, alert in each(alerts):
        path: Path = ("alerts", name)
        findings.uses(path, alert, alert.channel, _ALERTS)
        if _readable(alert.url_from) and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", alert.url_from or ""):
            hint = 'put the address into a variable, say ALERTS_URL, and write url_from = "ALERTS_URL"'
            findings.add((*path, "url_from"), "not a variable's name", "the name of an environment variable", hint)


def _check_positive(findings: Findings, path: Path, length: timedelta | None) -> None:
    if length is not UNREADABLE and length is not None and length <= timedelta(0):
        findings.add(path, "no time at all", "more than nothing")


def _check_length(findings: Findings, path: Path, name: str | None) -> None:
    if name is not UNREADABLE and name is not None and not is_name(name):
        findings.add(path, f'"{name[:20]}..."', "at most 63 letters")
