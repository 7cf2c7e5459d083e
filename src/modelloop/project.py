"""The project file as one frozen record, composed of what each stage lets it say."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from . import project_checks as checks
from .data.settings import ContractSettings, SourceSettings
from .deploy.settings import EndpointSettings, OnlineSettings
from .evaluate.settings import GateSettings, ObjectiveSettings, OwnMetricSettings
from .ground.core.errors import ModelloopError, NotFound
from .ground.core.toml import Mistake, draft, invalid, setting
from .ground.pool.settings import PoolSettings
from .monitor.settings import AlertSettings, MonitorSettings
from .retrain.settings import PipelineSettings, TriggerSettings

FILE = "modelloop.toml"
_NAME = "[a-z][a-z0-9_-]{0,62}"


@dataclass(frozen=True, slots=True)
class ProjectSettings:
    """Whose project this is."""

    name: str = setting("the project's name", pattern=_NAME)
    owner: str = setting("the person or team who answers for it")
    description: str = setting("what it is for, in a sentence or two", default="")


@dataclass(frozen=True, slots=True)
class Project:
    """Everything that `modelloop.toml` declares."""

    project: ProjectSettings = setting("whose it is")
    objective: ObjectiveSettings = setting("what it is for and its headline metric")
    sources: Mapping[str, SourceSettings] = setting("where raw data comes from", factory=dict, pattern=_NAME)
    contracts: Mapping[str, ContractSettings] = setting("what datasets promise", factory=dict, pattern=_NAME)
    pipelines: Mapping[str, PipelineSettings] = setting("what makes candidates", factory=dict, pattern=_NAME)
    triggers: Mapping[str, TriggerSettings] = setting("what starts pipelines by itself", factory=dict, pattern=_NAME)
    gates: Mapping[str, GateSettings] = setting("what a version must meet", factory=dict, pattern=_NAME)
    metrics: Mapping[str, OwnMetricSettings] = setting(
        "what decisions are worth, in the project's own words", factory=dict, pattern=_NAME
    )
    endpoints: Mapping[str, EndpointSettings] = setting(
        "what is served, and how it changes", factory=dict, pattern=_NAME
    )
    online: Mapping[str, OnlineSettings] = setting(
        "datasets of which gateways look up rows by key", factory=dict, pattern=_NAME
    )
    monitors: Mapping[str, MonitorSettings] = setting("what is watched", factory=dict, pattern=_NAME)
    alerts: Mapping[str, AlertSettings] = setting("who hears of it", factory=dict, pattern=_NAME)
    pool: PoolSettings = setting("where steps are carried out, and what it costs", factory=PoolSettings)


def read_project(path: Path) -> Project:
    """Read a project file (or the one in a folder); raises NotFound, or ProjectFileInvalid with all its mistakes."""
    file = path / FILE if path.is_dir() else path
    try:
        data = file.read_bytes()
    except OSError as error:
        raise NotFound(
            f"There is no project file at {file} ({error.strerror}).",
            hint="Go to the folder of your project, or start one here: modelloop init",
        ) from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found = f"a byte that is not UTF-8 (0x{data[error.start]:02x})"
        hint = "save the file as UTF-8"
        raise invalid([Mistake(line, "", found, "", hint, file.name)]) from error
    return parse_project(text, file=file.name)


class ProjectFile:
    """A project file as a process that goes on reads it: what it says now, or said before it was broken. Thread-safe.

    A changed file is taken up at the next `look`. One with mistakes, or one that is gone, is told in the log and in
    `trouble`, and what was said before goes on.
    """

    def __init__(self, project_dir: Path, project: Project | None = None, *, log: logging.Logger) -> None:
        """`project`: what was read already; without, the file is read, which raises as `read_project` does."""
        self._file = project_dir / FILE
        self._log = log
        self._lock = threading.Lock()
        self._stamp = _stamp(self._file)  # before it is read: what changes meanwhile is read once more
        self._project = project or read_project(self._file)
        self.trouble = ""
        """Why the file as it is cannot be used; empty where it is used."""

    def look(self) -> Project:
        """Return what the file says, read again if it was changed."""
        with self._lock:
            stamp = _stamp(self._file)
            if stamp != self._stamp:
                self._stamp = stamp
                self._read()
            return self._project

    def _read(self) -> None:
        try:
            self._project = read_project(self._file)
        except ModelloopError as error:
            told = "the project file was changed and cannot be used, so the one before goes on"
            self._log.error("%s: %s", told, error)
            self.trouble = f"{told[0].upper()}{told[1:]}: {error.message}"
        else:
            self._log.info("the project file was read again")
            self.trouble = ""


def _stamp(file: Path) -> tuple[int, int]:
    """Return what changes with the file; the same while it cannot be seen."""
    try:
        found = file.stat()
    except OSError:
        return (0, 0)
    return (found.st_mtime_ns, found.st_size)


def parse_project(text: str, *, file: str = FILE) -> Project:
    """Read the text of a project file; raises ProjectFileInvalid with all mistakes, also those between its parts."""
    read = draft(text, Project, file=file)
    if read.value is None:
        raise invalid(read.mistakes)
    findings = checks.Findings(read.lines, file)
    _check(read.value, findings)
    if read.mistakes or findings.mistakes:
        raise invalid((*read.mistakes, *findings.mistakes))
    return read.value


def _check(project: Project, findings: checks.Findings) -> None:
    datasets = checks.values(project.sources, "dataset")
    endpoints = checks.names(project.endpoints)
    checks.check_sources(findings, project.sources, checks.names(project.contracts))
    checks.check_contracts(findings, project.contracts, project.sources)
    checks.check_objective(findings, project.objective)
    checks.check_metrics(findings, project.metrics)
    checks.check_gates(
        findings, project.gates, project.objective, served=bool(endpoints), own=checks.names(project.metrics)
    )
    checks.check_pipelines(findings, project.pipelines, datasets)
    checks.check_fills(findings, project.pipelines, project.sources)
    checks.check_online(findings, project.online, project.endpoints, datasets)
    checks.check_endpoints(findings, project.endpoints, checks.values(project.pipelines, "model"))
    checks.check_monitors(findings, project.monitors, endpoints)
    checks.check_alerts(findings, project.alerts)
    checks.check_pool(findings, project.pool)
    checks.check_triggers(
        findings,
        project.triggers,
        pipelines=project.pipelines,
        endpoints=project.endpoints,
        monitors=project.monitors,
        datasets=datasets,
    )
