"""Measure every window that is due, once; its alert changes in the same transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy.exc import IntegrityError

from ...deploy import actions as deploy
from ...deploy.records import Live, Prediction
from ...evaluate.metrics import METRICS, compute
from ...evaluate.profile import SCORE, psi
from ...evaluate.records import Evaluation, Score
from ...evaluate.settings import ObjectiveSettings, Task
from ...ground.core.errors import EvidenceMissing, InvalidInput
from ...ground.core.later import numpy as np
from ...ground.core.records import Verdict
from ...ground.stats.interval import Floats
from ...ground.stats.sequential import spend
from ...ground.store.context import Context
from ...prepare.columns import from_frame
from ...register import actions as register
from ...register.manifest import open_package, read_file
from ...register.records import Signature
from .. import alert as rules
from .. import classes, judge, tables
from ..judge import Reading
from ..records import ABSENT, Signal, Window
from ..settings import MonitorSettings, SignalKind
from ..windows import is_due, window_of
from . import telling

if TYPE_CHECKING:
    from ...project import Project

MOST_WINDOWS = 50
"""Windows of one monitor measured in one call: a worker that was away catches up without blocking the loop."""


def measure(ctx: Context, project: Project, name: str) -> list[Signal]:
    """Measure every window of a monitor that is due, once; raise and resolve its alert. Return the new signals."""
    made: list[Signal] = []
    for _ in range(MOST_WINDOWS):
        window, live = _next_due(ctx, name, project.monitors[name])
        if window is None or live is None:
            break
        signal = _signal(ctx, project, name, window, live)
        if not _write(ctx, project, signal):
            break  # another worker measured it
        made.append(signal)
    return made


def _next_due(ctx: Context, name: str, settings: MonitorSettings) -> tuple[Window | None, Live | None]:
    """Return the monitor's next window and who answers, or None: nothing is live, or its data has not all arrived."""
    endpoint = settings.endpoint
    live = next(iter(deploy.live(ctx, endpoint)), None)
    if live is None:
        return None, None
    anchor = deploy.first_event(ctx, endpoint, live.event_time)
    if anchor is None:
        return None, None
    anchor = live.event_time or anchor
    with ctx.db.reading() as connection:
        cursor = tables.last_end(connection, name, endpoint, anchor) or anchor
    first = deploy.first_event(ctx, endpoint, cursor)
    if first is None:
        return None, None
    window = window_of(endpoint, anchor, settings.every, first)
    predictions, outcomes = deploy.watermark(ctx, endpoint)
    quality = settings.signal is SignalKind.QUALITY
    due = is_due(window, settings.label_delay if quality else timedelta(0), outcomes if quality else predictions)
    return (window, live) if due else (None, None)


def _signal(ctx: Context, project: Project, name: str, window: Window, live: Live) -> Signal:
    settings = project.monitors[name]
    try:
        found = _read(ctx, project, name, window, live)
    except (EvidenceMissing, InvalidInput) as error:
        found = Reading(Verdict.MISSING, str(error), 0)
    values = {field: getattr(found, field) for field in Reading.__slots__}
    return Signal(
        id=ctx.id("signal"),
        monitor=name,
        kind=str(settings.signal),
        window=window,
        version=live.version,
        measured_at=ctx.now(),
        **values,
    )


def _read(ctx: Context, project: Project, name: str, window: Window, live: Live) -> Reading:
    settings = project.monitors[name]
    if settings.signal is SignalKind.QUALITY:
        with ctx.db.reading() as connection:
            nth = tables.tests_made(connection, name, window.endpoint, live.version) + 1
        return _quality(ctx, project.objective, settings, window, version=live.version, nth=nth)
    return _drift(ctx, project.objective, settings, window, version=live.version)


def _write(ctx: Context, project: Project, signal: Signal) -> bool:
    """Write a signal with what follows for its alert, at once; false where the window was measured already."""
    try:
        with ctx.db.transaction() as connection:
            tables.add_signal(connection, signal)
            firing = tables.firing_alert(connection, signal.monitor, signal.window.endpoint)
            step = rules.step(firing, signal)
            if step is rules.Step.RAISE:
                telling.raise_alert(connection, ctx, project, signal)
            elif step is rules.Step.RESOLVE and firing is not None:
                telling.resolve_alert(connection, ctx, project, firing, f"a later window passed: {signal.reason}")
    except IntegrityError:
        return False
    return True


def _quality(
    ctx: Context, objective: ObjectiveSettings, settings: MonitorSettings, window: Window, *, version: str, nth: int
) -> Reading:
    """Measure the headline metric on the labelled answers of `version`, in its `nth` window with evidence."""
    reference = _at_registration(ctx, version)
    answered = [
        row
        for row in deploy.predictions_between(ctx, window.endpoint, window.start, window.end)
        if row.version == version
    ]
    signature = _signature(ctx, version) if objective.task is Task.MULTICLASS else None
    told = [row for row in answered if row.label is not None]
    known = [(answer, row.label) for row in told if (answer := _answer(row, signature))]
    if len(known) < settings.min_rows:
        reason = f"{len(told)} of {len(answered)} answers of {version} have an outcome; {settings.min_rows} are needed"
        if len(known) < len(told):
            reason += f", each with the probability of every class in the log; {len(known)} have them"
        return judge.missing(len(known), reason)
    scores = np.array([answer if len(answer) > 1 else answer[0] for answer, _ in known], dtype=np.float64)
    labels = np.array([label for _, label in known], dtype=np.float64)
    level = spend(settings.alpha, nth)
    # Only one end of the interval can raise an alert, so it may use the whole level: 1 - 2 * level between both ends.
    metric, task = str(objective.metric), objective.task
    score = compute(metric, labels, scores, 1 - 2 * level, terms=objective.terms, task=task)
    detail: dict[str, Any] = {
        "level": level,
        "window_of_version": nth,
        "answers": len(answered),
        "reference": reference.value,
    }
    direction = METRICS[metric].direction
    text = ""
    if signature is not None:
        truth = labels.astype(int).tolist()
        text, detail["classes"] = classes.found(signature.labels, truth, scores.argmax(axis=1).tolist())
        if lacking := classes.absent(signature.labels, _profile(ctx, version)["columns"].get(SCORE, {}), truth):
            detail[ABSENT] = lacking
            text += f"; it has no row of {', '.join(map(repr, lacking))} and says nothing of them"
    tolerance = settings.tolerance
    return judge.quality(score, direction, reference=reference, tolerance=tolerance, detail=detail, told=text)


def _answer(row: Prediction, signature: Signature | None) -> Sequence[float]:
    """Return what metrics are computed from: the score, or (`signature`: of several classes) the probability of each
    class; nothing where they were not kept.
    """
    if signature is None:
        return (row.score,)
    found = (row.answer or {}).get(signature.output)
    wanted = len(signature.labels) or 2
    return found if isinstance(found, list) and len(found) >= wanted and None not in found else ()


def _signature(ctx: Context, version: str) -> Signature:
    package = open_package(ctx.blobs, register.get_version(ctx, version).digest)
    return msgspec.json.decode(read_file(ctx.blobs, package, "signature.json"), type=Signature)


def _at_registration(ctx: Context, version: str) -> Score:
    package = open_package(ctx.blobs, register.get_version(ctx, version).digest)
    return msgspec.json.decode(read_file(ctx.blobs, package, "evaluation.json"), type=Evaluation).headline


def _profile(ctx: Context, version: str) -> dict[str, Any]:
    stored = open_package(ctx.blobs, register.get_version(ctx, version).digest)
    found: dict[str, Any] = json.loads(read_file(ctx.blobs, stored, "profile.json"))
    return found


def _drift(
    ctx: Context, objective: ObjectiveSettings, settings: MonitorSettings, window: Window, *, version: str
) -> Reading:
    """Measure how far inputs or scores have moved from what the version saw when it was registered."""
    profile = _profile(ctx, version)
    frame = deploy.inputs_between(ctx, window.endpoint, window.start, window.end)
    if settings.signal is SignalKind.SCORE_DRIFT:
        frame = frame.filter(frame.get_column("_version") == version)
    if frame.height < settings.min_rows:
        return judge.missing(frame.height, f"{frame.height} rows in the window; {settings.min_rows} are needed")
    if settings.signal is SignalKind.SCORE_DRIFT:
        labels = _signature(ctx, version).labels if objective.task is Task.MULTICLASS else ()
        return _score_drift(settings, profile, frame.get_column("_score").to_numpy(), labels)
    names = [name for name in frame.columns if not name.startswith("_") and name not in settings.ignore]
    distances = psi(profile, from_frame(frame, names))
    return judge.drift(distances, threshold=settings.threshold, rows=frame.height, what="inputs")


def _score_drift(
    settings: MonitorSettings, profile: Mapping[str, Any], scores: Floats, names: Sequence[str]
) -> Reading:
    """Measure how far scores have moved. `names`: of classes, whose places the scores are."""
    distances, rows, most = psi(profile, {SCORE: scores}), len(scores), settings.threshold
    if not names or SCORE not in distances:
        return judge.drift(distances, threshold=most, rows=rows, what="scores")
    told, shares = classes.moved(names, profile["columns"][SCORE], scores.astype(int).tolist())
    distances = {"classes": distances[SCORE]}
    return judge.drift(distances, threshold=most, rows=rows, what="answers", told=told, more={"shares": shares})
