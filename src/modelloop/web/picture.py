"""The loop in one look: what each stage has and does, the headline metric, the endpoints. Pure: facts in, JSON out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ..data.records import Arrival, Dataset
from ..deploy.records import EndpointState, GatewayReport, Live, Rollout, Route, Stage
from ..ground.core.records import Verdict
from ..ground.flow.records import Run, RunState
from ..monitor.records import Alert, Signal
from ..project import Project
from ..register.records import ModelVersion
from ..retrain.records import Episode, EpisodeState, Turn
from .chart import chart, ring
from .pages import figure, version_link
from .reporting import tell_refused
from .telling import tell

SILENT = timedelta(seconds=15)
"""A gateway or worker that has said nothing for so long is taken for gone."""
SHOWN_EPISODES = 40


@dataclass(frozen=True, slots=True)
class Facts:
    """What the stages say, as their actions return it. Lists are newest first."""

    project: Project
    now: datetime
    datasets: Sequence[Dataset] = ()
    arrivals: Sequence[Arrival] = ()
    """The last of each dataset that was refused, or of which rows were set aside."""
    runs: Sequence[Run] = ()
    versions: Sequence[ModelVersion] = ()
    endpoints: Sequence[EndpointState] = ()
    routes: Mapping[str, Route] = field(default_factory=dict)
    rollouts: Sequence[Rollout] = ()
    lives: Sequence[Live] = ()
    reports: Sequence[GatewayReport] = ()
    predictions: int = 0
    outcomes: int = 0
    signals: Sequence[Signal] = ()
    alerts: Sequence[Alert] = ()
    episodes: Sequence[Episode] = ()
    turn: Turn | None = None
    trouble: str = ""
    """What is wrong with the project file as it is now; `project` is then what it said before."""


def picture(facts: Facts) -> dict[str, Any]:
    """Return everything the first page shows."""
    stages = [
        {"word": word, "href": _page(facts, word), **made(facts)}
        for word, made in (
            ("data", _data),
            ("label", _label),
            ("prepare", _prepare),
            ("train", _train),
            ("evaluate", _evaluate),
            ("register", _register),
            ("deploy", _deploy),
            ("monitor", _monitor),
            ("retrain", _retrain),
        )
    ]
    promotions = [(live.event_time, f":{_number(live.version)}") for live in facts.lives if live.event_time is not None]
    runs, rollouts = {run.id: run for run in facts.runs}, {rollout.id: rollout for rollout in facts.rollouts}
    return {
        "project": facts.project.project,
        "objective": facts.project.objective,
        "number": facts.turn.number if facts.turn else 0,
        "busy": facts.turn is not None and facts.turn.busy,
        "stages": stages,
        "headline": headline(facts),
        "endpoints": [_endpoint(facts, name) for name in facts.project.endpoints],
        "alerts": sorted(
            facts.alerts, key=lambda alert: (alert.resolved_at is not None, -alert.event_time.timestamp())
        )[:5],
        "refused": [tell_refused(arrival) for arrival in _refused(facts)],
        "episodes": [
            tell(episode, runs.get(episode.run or ""), rollouts.get(episode.rollout or ""))
            for episode in facts.episodes[:SHOWN_EPISODES]
        ],
        "chart": chart(_quality(facts), promotions),
        "ring": ring(stages),
        "troubles": _troubles(facts),
    }


_PAGES = {
    "data": "/data",
    "train": "/runs",
    "deploy": "#endpoints",
    "monitor": "#quality",
    "retrain": "/triggers",
}


def _page(facts: Facts, word: str) -> str | None:
    """Return where more is told of a stage."""
    newest = max(facts.versions, key=lambda version: version.made_at, default=None)
    if word in ("evaluate", "register") and newest:
        return version_link(newest.name)
    if word == "monitor" and sum(signal.value is not None for signal in _quality(facts)) < 2:
        return None
    return _PAGES.get(word)


def headline(facts: Facts) -> dict[str, Any]:
    """Return the one number: of the last window with outcomes, before that of the champion on rows it had not seen."""
    metric = facts.project.objective.metric
    named = {"metric": _METRIC_NAMES.get(metric, metric.upper().replace("_", " ")), "state": "ok"}
    measured = next((signal for signal in _quality(facts)[::-1] if signal.value is not None), None)
    champion = _champion(facts)
    if measured is not None and measured.value is not None:
        span = f"{_day(measured.window.start)} to {_day(measured.window.end)}"
        reach = (
            ""
            if measured.low is None or measured.high is None
            else f", {figure(measured.low)} to {figure(measured.high)}"
        )
        state = (
            "alarm" if measured.verdict is Verdict.FAIL and measured.version == (champion and champion.name) else "ok"
        )
        about = f"{measured.version} on {measured.rows:,} answers from {span}{reach}"
        return {**named, "value": measured.value, "text": figure(measured.value), "about": about, "state": state}
    if champion is not None and champion.headline is not None:
        about = f"{champion.name} on rows it had not seen; no window of its answers is complete yet"
        return {**named, "value": champion.headline, "text": figure(champion.headline), "about": about}
    return {**named, "value": None, "text": "–", "about": "no version answers yet"}


_METRIC_NAMES = {
    "auc": "AUC",
    "log_loss": "log loss",
    "brier": "Brier score",
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
    "r2": "R²",
}


def _data(facts: Facts) -> dict[str, Any]:
    rows = sum(dataset.rows for dataset in facts.datasets)
    newest = max(facts.datasets, key=lambda dataset: (dataset.versions, dataset.rows), default=None)
    lines = [f"{_many(len(facts.datasets), 'dataset')}, {_short(rows)} rows"]
    lines = [*lines, f"{newest.name} v{newest.versions}"] if newest else ["nothing came in yet"]
    refused = [arrival.dataset for arrival in _refused(facts)]
    if refused:
        lines = [lines[0], f"{refused[0]} was refused" if len(refused) == 1 else f"{len(refused)} were refused"]
    return _stage(len(facts.datasets), lines, alarm=bool(refused))


def _refused(facts: Facts) -> list[Arrival]:
    """Return last arrivals that were refused, where nothing came in since."""
    taken = {dataset.name: dataset.updated_at for dataset in facts.datasets}
    return [
        one
        for one in facts.arrivals
        if one.version is None and (one.dataset not in taken or one.at > taken[one.dataset])
    ]


def _label(facts: Facts) -> dict[str, Any]:
    lines = [_many(facts.outcomes, "outcome"), f"of {_short(facts.predictions)} answered rows"]
    return _stage(_short(facts.outcomes), lines if facts.outcomes else ["no outcome came yet"], idle=not facts.outcomes)


def _prepare(facts: Facts) -> dict[str, Any]:
    inputs = next((run.inputs for run in facts.runs if run.inputs), {})
    lines = [f"{_many(len(inputs), 'table')} prepared", "one code, train and serve"]
    return _stage(len(inputs), lines if inputs else ["nothing prepared yet"])


def _train(facts: Facts) -> dict[str, Any]:
    states = Counter(run.state for run in facts.runs)
    working = states[RunState.RUNNING] + states[RunState.QUEUED]
    lines = [f"{states[RunState.DONE]} done", f"{states[RunState.FAILED]} failed"][: 1 + bool(states[RunState.FAILED])]
    doing = [f"{states[RunState.RUNNING]} running"] if states[RunState.RUNNING] else []
    doing += [f"{states[RunState.QUEUED]} queued"] if states[RunState.QUEUED] else []
    asking = states[RunState.WAITING]
    doing = [f"{asking} wait{'s' * (asking == 1)} for an answer"] if asking else doing
    return _stage(len(facts.runs), [", ".join(lines), *doing] if facts.runs else ["no run yet"], busy=working > 0)


def _evaluate(facts: Facts) -> dict[str, Any]:
    verdicts = Counter(version.verdict for version in facts.versions)
    refused = len(facts.versions) - verdicts[Verdict.PASS]
    lines = [f"{verdicts[Verdict.PASS]} passed the gates", *([f"{refused} did not"] if refused else [])]
    judging = any(episode.state is EpisodeState.JUDGED for episode in facts.episodes)
    return _stage(len(facts.versions), lines if facts.versions else ["nothing judged yet"], busy=judging)


def _register(facts: Facts) -> dict[str, Any]:
    newest = max(facts.versions, key=lambda version: version.made_at, default=None)
    lines = [_many(len(facts.versions), "version"), newest.name] if newest else ["no version yet"]
    return _stage(len(facts.versions), lines)


def _deploy(facts: Facts) -> dict[str, Any]:
    routes = list(facts.routes.values())
    told = ([route for route in routes if route.challenger] or routes)[:1]  # both lines are of one endpoint
    lines = [f"{route.champion.version} answers" for route in told] or ["nothing answers yet"]
    lines += [f":{_number(_newcomer(route))} {_exposed(route)}" for route in told if route.challenger]
    if len(lines) == 1 and routes:
        lines.append(f"{_short(facts.predictions)} rows answered")
    alarm = bool(routes) and not _living(facts)
    champion = f":{_number(routes[0].champion.version)}" if len(routes) == 1 else len(routes)
    return _stage(
        champion, ["no gateway reports"] if alarm else lines, alarm=alarm, busy=any(r.challenger for r in routes)
    )


def _monitor(facts: Facts) -> dict[str, Any]:
    opened = [alert for alert in facts.alerts if alert.resolved_at is None]
    loud = [alert for alert in opened if alert.severity == "alert"]
    last = next((signal for signal in _quality(facts)[::-1] if signal.value is not None), None)
    lines = (
        [f"{facts.project.objective.metric} {figure(last.value)} last window"] if last else ["no window complete yet"]
    )
    lines += [f"{_many(len(loud), 'alert')} open"] if loud else [f"{_many(len(opened), 'note')} open"] if opened else []
    return _stage(len(facts.signals), lines, alarm=bool(loud))


def _retrain(facts: Facts) -> dict[str, Any]:
    turning = next((episode for episode in facts.episodes if episode.state is not EpisodeState.CLOSED), None)
    results = Counter(str(episode.result) for episode in facts.episodes if episode.result)
    told = [f"{many} {result}" for result, many in results.most_common()]
    lines = [", ".join(told[:2]), *([", ".join(told[2:])] if told[2:] else [])] if told else ["no episode yet"]
    lines = [f"episode {turning.number} is {turning.state}", *lines[:1]] if turning else lines
    return _stage(len(facts.episodes), lines, busy=turning is not None)


def _stage(
    count: int | str, lines: list[str], *, idle: bool | None = None, busy: bool = False, alarm: bool = False
) -> dict[str, Any]:
    empty = count in (0, "0") if idle is None else idle
    state = "alarm" if alarm else "busy" if busy else "idle" if empty else "ok"
    return {"state": state, "count": str(count), "lines": lines}


def _endpoint(facts: Facts, name: str) -> dict[str, Any]:
    route = facts.routes.get(name)
    place = next((state for state in facts.endpoints if state.name == name), None)
    rolling = next((rollout for rollout in facts.rollouts if place and rollout.id == place.rollout), None)
    champion = place.champion if place else None
    return {
        "endpoint": name,
        "champion": champion,
        "challenger": rolling.challenger if rolling and champion not in (None, rolling.challenger) else None,
        "rollout": rolling.id if rolling else None,
        "stage": str(rolling.stage) if rolling else "live" if champion else "empty",
        "told": f"in {_exposed(route)}"
        if route and rolling and rolling.stage is not Stage.APPROVAL
        else "waiting for approval",
        "approve": bool(rolling and rolling.stage is Stage.APPROVAL),
        "numbers": _endpoint_numbers(facts, name),
    }


def _endpoint_numbers(facts: Facts, name: str) -> list[tuple[str, str]]:
    living = _living(facts)
    since = next((live for live in facts.lives if live.endpoint == name), None)
    numbers = [
        ("address", ", ".join(f"{report.address}/v2/models/{name}/infer" for report in living) or "no gateway reports"),
        ("answered rows", f"{facts.predictions:,}"),
        ("outcomes", f"{facts.outcomes:,}"),
    ]
    return [*numbers, ("answers since", _day(since.event_time or since.at))] if since else numbers


def _troubles(facts: Facts) -> list[str]:
    failed = {version: why for report in _living(facts) for version, why in report.failed.items()}
    told = [facts.trouble] if facts.trouble else []
    told += [f"A gateway cannot load {version}: {why}" for version, why in sorted(failed.items())]
    if facts.routes and not _living(facts):
        told.append("No gateway has reported for a while: nothing may be answering.")
    if facts.turn is not None:
        told += [f"The last turn of the loop stumbled in {part}: {why}" for part, why in facts.turn.errors.items()]
        if facts.now - facts.turn.at > SILENT:
            told.append(f"No worker has turned the loop since {facts.turn.at:%H:%M:%S} UTC: nothing goes on by itself.")
    return told


def _living(facts: Facts) -> list[GatewayReport]:
    return [report for report in facts.reports if facts.now - report.at <= SILENT]


def _quality(facts: Facts) -> list[Signal]:
    """Return the quality signals, oldest first."""
    return sorted(
        (signal for signal in facts.signals if signal.kind == "quality"), key=lambda signal: signal.window.end
    )


def _champion(facts: Facts) -> ModelVersion | None:
    names = {state.champion for state in facts.endpoints if state.champion}
    return next((version for version in facts.versions if version.name in names), None)


def _exposed(route: Route) -> str:
    if route.stage in (Stage.SHADOW, Stage.CANARY, Stage.TEST):
        return f"{route.stage}: {route.share * 100:.0f} % of requests"
    return str(route.stage)


def _newcomer(route: Route) -> str:
    """Return the version that is being rolled out: in a bake it is the champion already."""
    waits = route.challenger is not None and route.stage is not Stage.BAKE
    return route.challenger.version if route.challenger and waits else route.champion.version


def _number(version: str) -> str:
    return version.rpartition(":")[2]


def _day(moment: datetime) -> str:
    return f"{moment.day} {moment:%b %Y}"


def _many(number: int, what: str) -> str:
    return f"{_short(number)} {what}{'' if number == 1 else 's'}"


def _short(number: int) -> str:
    if number < 10_000:
        return f"{number:,}"
    return f"{number / 1000:.0f}k" if number < 999_500 else f"{number / 1e6:.1f}M"
