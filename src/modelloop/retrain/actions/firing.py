"""Start what calendars and new data ask for: plain runs, and episodes by the wall clock. Each cause counts once.

Two workers may see the same cause at once, and one may die between starting and noting it: a run is submitted under
the cause's name, so it is the same run both times, and an episode is looked for by the cause before one is opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...data import actions as data
from ...ground.core.clock import iso, parse_time
from ...ground.core.errors import Conflict, ModelloopError, NotFound, StaleState, StoreUnavailable
from ...ground.core.records import Event
from ...ground.core.toml import plain
from ...ground.flow import actions as flow
from ...ground.flow.records import InputRef, Run
from ...ground.store import audit
from ...ground.store.context import Context
from .. import tables
from ..asof import PARAMETER, moment, wants_as_of
from ..calendar import Due, What, decide, instants, next_instant
from ..policy import Cause
from ..records import Fire, TriggerState
from ..settings import Missed, TriggerOn, TriggerSettings
from .opening import fire_signals, open_episode

if TYPE_CHECKING:
    from ...project import Project


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a trigger stands."""

    ctx: Context
    project: Project
    project_dir: Path
    name: str
    settings: TriggerSettings


def start_run(
    ctx: Context,
    project: Project,
    project_dir: Path,
    pipeline: str,
    *,
    params: Mapping[str, Any],
    once: str | None = None,
) -> Run:
    """Take in what has arrived for a pipeline's inputs and queue a plain run of it; raises what refused the data."""
    settings = project.pipelines[pipeline]
    wanted = set(settings.inputs.values())
    for name, source in project.sources.items():
        if source.dataset in wanted:
            data.ingest(ctx, name, source, project.contracts[source.contract], root=project_dir)
    newest = {argument: data.version(ctx, dataset) for argument, dataset in settings.inputs.items()}
    return flow.submit(
        ctx,
        pipeline=pipeline,
        function=settings.function,
        project_dir=project_dir,
        inputs={name: InputRef(found.dataset, found.number, found.digest) for name, found in newest.items()},
        params={**plain(settings.params), **params},
        seed=settings.seed,
        time_limit=settings.time_limit,
        once=once,
        project=project.project.name,
    )


def fire_triggers(ctx: Context, project: Project, project_dir: Path) -> None:
    """Start everything that triggers ask for now."""
    fire_signals(ctx, project, project_dir)
    for name, settings in project.triggers.items():
        if settings.on is TriggerOn.CRON:
            fire_calendar(ctx, project, project_dir, name, settings)
        elif settings.endpoint is None:
            fire_on_data(ctx, project, project_dir, name, settings)


def fire_calendar(ctx: Context, project: Project, project_dir: Path, name: str, settings: TriggerSettings) -> None:
    """Start what a cron trigger is due for; instants that were missed are dealt with as its policy says."""
    place, now = _Place(ctx, project, project_dir, name, settings), ctx.now()
    with ctx.db.reading() as connection:
        last = tables.last_fire(connection, name)
    if last is None:
        _note(place, iso(now), What.BEGUN, "instants before do not count")
        return
    cron = settings.cron or ""
    for due in decide(instants(cron, settings.time_zone, parse_time(last.mark), now), now, settings.missed):
        if not _settle(place, due):
            return


def fire_on_data(ctx: Context, project: Project, project_dir: Path, name: str, settings: TriggerSettings) -> None:
    """Start a plain run for the newest version of a dataset, once; the version that was there first does not count."""
    place, dataset = _Place(ctx, project, project_dir, name, settings), settings.dataset or ""
    _take_in(place, dataset)
    try:
        newest = data.version(ctx, dataset).number
    except NotFound:
        newest = 0
    with ctx.db.reading() as connection:
        last = tables.last_fire(connection, name)
    if last is None:
        _note(place, _mark(dataset, newest), What.BEGUN, "versions before do not count")
    elif newest > int(last.mark.rpartition(":")[2]) and not _still_going(place):
        mark = _mark(dataset, newest)
        _start(place, mark, f"{dataset} has a new version, {newest}", None)


def triggers(ctx: Context, project: Project) -> list[TriggerState]:
    """Return each trigger with the last causes it met and the next instant of its calendar."""
    found = []
    for name, settings in project.triggers.items():
        with ctx.db.reading() as connection:
            fires = tables.fires(connection, name, limit=20)
        upcoming = None
        if settings.on is TriggerOn.CRON:
            upcoming = next_instant(settings.cron or "", settings.time_zone, ctx.now())
        found.append(TriggerState(name, str(settings.on), settings.pipeline, settings.endpoint, upcoming, tuple(fires)))
    return found


def _settle(place: _Place, due: Due) -> bool:
    """Do what was decided for an instant; return whether later ones may be looked at."""
    mark = iso(due.at)
    if due.what is What.SKIPPED:
        _note(place, mark, What.SKIPPED, due.reason)
        return True
    if place.settings.endpoint is not None:
        _open(place, mark, due.reason)
        return True
    going = _still_going(place)
    if going is not None:
        if place.settings.missed is Missed.ALL:
            return False  # one after the other: this one waits until that is over
        _note(place, mark, What.SKIPPED, f"{going} of the time before still goes on")
        return True
    _start(place, mark, due.reason, due.at)
    return True


def _start(place: _Place, mark: str, reason: str, at: datetime | None) -> None:
    settings = place.project.pipelines[place.settings.pipeline]
    params = plain({**settings.params, **place.settings.params})
    if PARAMETER in params:
        params[PARAMETER] = moment(params[PARAMETER]) or params[PARAMETER]
    elif at is not None and wants_as_of(place.project_dir, settings.function):
        params[PARAMETER] = at
    once = f"{place.name}@{mark}"
    try:
        run = start_run(place.ctx, place.project, place.project_dir, place.settings.pipeline, params=params, once=once)
    except (StoreUnavailable, StaleState):
        raise
    except ModelloopError as error:
        _note(place, mark, What.FAILED, str(error))
        return
    _note(place, mark, What.FIRED, reason, run=run.id)


def _open(place: _Place, mark: str, reason: str) -> None:
    endpoint, settings = place.settings.endpoint or "", place.settings
    opened = _episode_of(place, mark)
    if opened is None:
        why = Cause(f"the calendar of {place.name} ({mark}, {reason})", mark, place.name)
        try:
            opened = open_episode(
                place.ctx,
                place.project,
                endpoint=endpoint,
                pipeline=settings.pipeline,
                why=why,
                params=plain(settings.params),
            ).id
        except Conflict as error:
            opened = _episode_of(place, mark)
            if opened is None:
                _note(place, mark, What.SKIPPED, str(error))
                return
    _note(place, mark, What.FIRED, reason, episode=opened)


def _episode_of(place: _Place, mark: str) -> str | None:
    with place.ctx.db.reading() as connection:
        found = tables.episodes(connection, where={"trigger": place.name, "signal": mark}, limit=1)
    return found[0].id if found else None


def _still_going(place: _Place) -> str | None:
    """Return the trigger's last run if it has not ended and runs may not overlap."""
    if place.settings.overlap:
        return None
    with place.ctx.db.reading() as connection:
        fires = [one.run for one in tables.fires(connection, place.name, limit=20) if one.run is not None]
    going = [name for name in fires[:1] if not flow.get_run(place.ctx, name).state.ended]
    return going[0] if going else None


def _take_in(place: _Place, dataset: str) -> None:
    for name, source in place.project.sources.items():
        if source.dataset == dataset:
            try:
                contract = place.project.contracts[source.contract]
                data.ingest(place.ctx, name, source, contract, root=place.project_dir, only_due=True)
            except (StoreUnavailable, StaleState):
                raise
            except ModelloopError:  # refused rows are set aside and listed; the last good version stays
                continue


def _mark(dataset: str, number: int) -> str:
    return f"{dataset}:{number:09}"


def _note(
    place: _Place, mark: str, what: What, reason: str, *, run: str | None = None, episode: str | None = None
) -> None:
    made = Fire(place.name, mark, place.ctx.now(), str(what), reason[:2000], run, episode)
    with place.ctx.db.transaction() as connection:
        if tables.add_fire(connection, made):
            facts = {"mark": mark, "reason": made.reason, "run": run, "episode": episode}
            audit.append(connection, place.ctx, Event(f"trigger.{what}", f"trigger:{place.name}", facts))
