"""Begin turns of the loop: by a person's wish or by a trigger. One episode at a time per endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy.exc import IntegrityError

from ...data import actions as data
from ...deploy import actions as deploy
from ...ground.core.clock import iso
from ...ground.core.errors import Conflict, DataRefused, NotFound, PipelineInvalid, StaleState
from ...ground.core.records import Event
from ...ground.core.toml import plain
from ...ground.store import audit
from ...ground.store.context import Context
from ...monitor import actions as monitor
from ...monitor.records import Signal
from ...monitor.settings import Severity
from ...register import actions as register
from .. import tables
from ..asof import PARAMETER
from ..asof import moment as as_of
from ..policy import Cause, Situation, cause
from ..records import Episode, EpisodeState
from ..settings import TriggerOn

if TYPE_CHECKING:
    from ...project import Project

ATTEMPTS = 10


def open_episode(
    ctx: Context,
    project: Project,
    *,
    endpoint: str,
    pipeline: str,
    why: Cause,
    params: Mapping[str, Any] | None = None,
) -> Episode:
    """Open an episode; its run is queued at the next turn. Raises Conflict while another is open at the endpoint.

    A person's wish (`why.trigger` left out) waits for no cool-down; it is also how a first model comes to be.
    """
    _check(project, endpoint, pipeline)
    moment = _event_time(ctx, endpoint) or as_of((params or {}).get(PARAMETER))
    evidence: dict[str, Any] = {"as_of": None if moment is None else iso(moment)}
    if why.signal is not None and (signal := monitor.get_signal(ctx, why.signal)) is not None:
        evidence["signal"] = msgspec.to_builtins(signal)
    draft = Episode(
        id=ctx.id("episode"),
        number=0,
        endpoint=endpoint,
        pipeline=pipeline,
        state=EpisodeState.RUNNING,
        trigger=why.trigger,
        signal=why.signal,
        reason=why.reason,
        params=dict(msgspec.to_builtins(dict(params or {}))),
        event_time=moment or ctx.now(),
        opened_at=ctx.now(),
        evidence=evidence,
    )
    for _ in range(ATTEMPTS):
        try:
            return _add(ctx, draft)
        except IntegrityError:  # somebody took the number, or the endpoint
            with ctx.db.reading() as connection:
                taken = any(one.endpoint == endpoint for one in tables.open_episodes(connection))
            if taken:
                break
    raise Conflict(
        f"An episode is already open at {endpoint!r}.", hint="Wait until it is closed: `modelloop episodes`."
    )


def _add(ctx: Context, draft: Episode) -> Episode:
    with ctx.db.transaction() as connection:
        opened = replace(draft, number=tables.next_number(connection))
        tables.add(connection, opened)
        names = ("number", "endpoint", "pipeline", "trigger", "signal", "reason", "params")
        facts = {name: getattr(opened, name) for name in names}
        audit.append(connection, ctx, Event("episode.opened", opened.id, facts))
    return opened


def _check(project: Project, endpoint: str, pipeline: str) -> None:
    for kind, name, known in (("endpoint", endpoint, project.endpoints), ("pipeline", pipeline, project.pipelines)):
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"It declares: {', '.join(known) or 'none'}."
            raise NotFound(f"The project file declares no {kind} {name[:80]!r}.", hint=hint)
    made, served = project.pipelines[pipeline].model, project.endpoints[endpoint].model
    if made != served:
        raise PipelineInvalid(
            f"The pipeline {pipeline!r} makes {made or 'no model'}; {endpoint!r} is answered by {served!r}.",
            hint="Give the pipeline the endpoint's model in the project file, or choose another pipeline.",
        )


def _event_time(ctx: Context, endpoint: str) -> datetime | None:
    return deploy.watermark(ctx, endpoint)[0]


def fire_signals(ctx: Context, project: Project, project_dir: Path) -> list[Episode]:
    """Open the episodes that alerts, event time and new data ask for; the first trigger in the file goes first."""
    opened = []
    for name, settings in project.triggers.items():
        if settings.endpoint is None or settings.on is TriggerOn.CRON:
            continue
        situation = _situation(ctx, settings.endpoint)
        if settings.on is TriggerOn.DATA and not situation.open:
            situation = _with_data(ctx, project, situation, settings.dataset or "", project_dir)
        found = cause(settings, situation)
        if found is None:
            continue
        why = Cause(found.reason, trigger=name, signal=found.signal)
        try:
            opened.append(
                open_episode(
                    ctx,
                    project,
                    endpoint=settings.endpoint,
                    pipeline=settings.pipeline,
                    why=why,
                    params=plain(settings.params),
                )
            )
        except Conflict:  # another worker's turn opened one between our look and now
            continue
    return opened


def _situation(ctx: Context, endpoint: str) -> Situation:
    live = next(iter(deploy.live(ctx, endpoint)), None)
    with ctx.db.reading() as connection:
        under_way = any(one.endpoint == endpoint for one in tables.open_episodes(connection))
        last = tables.last_closed(connection, endpoint)
    if under_way:
        return Situation(None, None, None, open=True, last=last)
    failing: dict[str, Signal] = {}
    for alert in monitor.alerts(ctx, firing=True):
        if alert.endpoint == endpoint and alert.severity == Severity.ALERT:
            newest = next(
                iter(monitor.signals(ctx, monitor=alert.monitor, endpoint=endpoint, failing=True, limit=1)), None
            )
            failing |= {alert.monitor: newest} if newest else {}
    return Situation(
        now=_event_time(ctx, endpoint),
        champion=live.version if live else None,
        trained_until=register.get_version(ctx, live.version).trained_until if live else None,
        open=False,
        last=last,
        failing=failing,
    )


def _with_data(ctx: Context, project: Project, situation: Situation, dataset: str, root: Path) -> Situation:
    """Return the situation with the dataset's newest version, after taking in what has arrived for it."""
    for name, source in project.sources.items():
        if source.dataset == dataset:
            try:
                data.ingest(ctx, name, source, project.contracts[source.contract], root=root, only_due=True)
            except (DataRefused, StaleState):  # refused rows are set aside and listed; the last good version stays
                continue
    try:
        newest = {dataset: data.version(ctx, dataset).number}
    except NotFound:
        newest = {}
    return replace(situation, newest=newest)


def episodes(ctx: Context, endpoint: str | None = None, *, limit: int = 1000) -> list[Episode]:
    """Return episodes, newest first."""
    with ctx.db.reading() as connection:
        return tables.episodes(connection, where={} if endpoint is None else {"endpoint": endpoint}, limit=limit)


def get_episode(ctx: Context, name: str) -> Episode:
    """Return an episode by its id or its number; raises NotFound."""
    where: dict[str, Any] = {"number": int(name)} if name.isdecimal() and len(name) < 10 else {"id": name}
    with ctx.db.reading() as connection:
        found = tables.episodes(connection, where=where, limit=1)
    if not found:
        raise NotFound(f"There is no episode {name[:60]!r}.", hint="List them with `modelloop episodes`.")
    return found[0]
