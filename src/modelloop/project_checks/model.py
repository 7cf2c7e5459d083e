"""Objective, gates, pipelines: a version can come to be and pass."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ..evaluate.formula import read as read_formula
from ..evaluate.metrics import MEASURES, headlines_of, measure_of, metrics_of
from ..evaluate.records import Direction
from ..evaluate.settings import Check, GateSettings, MetricName, ObjectiveSettings, OwnMetricSettings, Task
from ..ground.core.errors import InvalidInput
from ..ground.core.toml import UNREADABLE
from ..ground.core.toml_lines import Path
from ..retrain.settings import PipelineSettings
from .findings import Findings, Names, Uses, check_arguments, check_length, check_positive, each, names, readable

TASK_METRICS: Mapping[Task, tuple[MetricName, ...]] = MappingProxyType(
    {task: tuple(MetricName(name) for name in metrics_of(task)) for task in Task}
)

_GATES: Mapping[str, Uses] = MappingProxyType(
    {
        Check.METRIC: Uses(("bound",), ("metric", "own")),
        Check.CHAMPION: Uses((), ("metric", "own", "margin")),
        Check.BASELINE: Uses((), ("metric", "own")),
        Check.SLICE: Uses(("bound", "by"), ("metric", "own")),
        Check.PARITY: Uses((), ("tolerance",)),
    }
)


def check_objective(findings: Findings, objective: ObjectiveSettings) -> None:
    """The headline metric fits the task, and can be served and steered by."""
    if objective is UNREADABLE:
        return
    path: Path = ("objective", "metric")
    fits = _check_metric(findings, path, objective.metric, objective.task)
    if fits and readable(objective.metric, objective.task) and objective.metric not in headlines_of(objective.task):
        hint = "its sign, or a single row, decides it: show it with `also`"
        findings.add(path, f'"{objective.metric}"', ", ".join(headlines_of(objective.task)), hint)
    if objective.also is not UNREADABLE:
        for place, metric in enumerate(objective.also):
            _check_metric(findings, ("objective", "also", place), metric, objective.task)
    terms = objective.terms
    if objective.task is Task.RANKING and terms is not UNREADABLE and terms.query is None:
        findings.add(("objective", "terms", "query"), "nothing", "the column of the query that a row is an answer to")


def _check_metric(findings: Findings, path: Path, metric: MetricName | None, task: Task) -> bool:
    if metric is None or not readable(metric, task) or metric in TASK_METRICS.get(task, (metric,)):
        return True
    findings.add(path, f'"{metric}"', ", ".join(TASK_METRICS[task]), f'the task is "{task}"')
    return False


def check_metrics(findings: Findings, metrics: Mapping[str, OwnMetricSettings]) -> None:
    """Formulas can be read, and no name is that of a metric everybody knows."""
    for name, metric in each(metrics):
        path: Path = ("metrics", name)
        if name in MEASURES:
            findings.add(path, f'the name "{name}"', "a name that no known metric has")
        if metric.formula is UNREADABLE:
            continue
        try:
            read_formula(metric.formula)
        except InvalidInput as error:
            findings.add((*path, "formula"), f'"{metric.formula[:60]}"', "a formula", error.message)


def check_gates(
    findings: Findings,
    gates: Mapping[str, GateSettings],
    objective: ObjectiveSettings,
    served: bool,
    own: Names = frozenset(),
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
        if gate.own is not None:
            findings.refer((*path, "own"), gate.own, own, "a metric of the project's own: write [metrics.NAME]")
            if gate.metric is not None:
                findings.add((*path, "metric"), f'"{gate.metric}" beside own', "one of the two")
            continue
        fits = _check_metric(findings, (*path, "metric"), gate.metric, task)
        _check_bound(findings, path, gate, gate.metric or headline, fits=fits, task=task)


def _check_bound(
    findings: Findings, path: Path, gate: GateSettings, metric: MetricName, *, fits: bool, task: Task
) -> None:
    if not fits or gate.bound is None or not readable(metric, gate.bound):
        return
    measure = measure_of(str(metric), task if readable(task) else None)
    low, high = measure.least, measure.most
    if measure.metric.direction is Direction.ZERO:
        low = 0.0
    if not low <= gate.bound <= high:
        findings.add((*path, "bound"), f"{gate.bound:g}", f"a value that {metric} can have: {low:g} to {high:g}")


def check_pipelines(findings: Findings, pipelines: Mapping[str, PipelineSettings], datasets: Names) -> None:
    """Inputs are datasets that some source fills; arguments are names that Python has, each given once."""
    for name, pipeline in each(pipelines):
        path: Path = ("pipelines", name)
        for argument, dataset in each(pipeline.inputs):
            findings.refer((*path, "inputs", argument), dataset, datasets, "a dataset that a [sources.NAME] fills")
        check_arguments(findings, (*path, "inputs"), pipeline.inputs, ())
        check_arguments(findings, (*path, "params"), pipeline.params, names(pipeline.inputs))
        check_length(findings, (*path, "model"), pipeline.model)
        check_positive(findings, (*path, "time_limit"), pipeline.time_limit)
