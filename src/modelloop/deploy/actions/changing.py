"""How what answers changes by itself: a rollout starts, is judged on what is known, and goes on, back, or stays."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy.engine import Connection, RowMapping
from sqlalchemy.exc import IntegrityError

from ...ground.core.errors import Conflict, NotFound, RolloutRefused
from ...ground.core.records import Event, Verdict
from ...ground.store import audit
from ...ground.store.context import Context
from ...register import actions as register
from ...register.records import Kind, ModelVersion
from .. import tables
from ..evidence import spread
from ..records import Rollout, Stage
from ..rollout import OVER, first_stage, judged, where
from ..settings import EndpointSettings
from .fitting import check_columns
from .judging import judge, nothing_new
from .moving import write
from .publishing import follow, policy_of, publish, settle, to_rollout
from .syncing import served

if TYPE_CHECKING:
    from ...project import Project


def start_rollout(
    ctx: Context, project: Project, endpoint: str, version: str, *, reason: str, skip_gates: bool = False
) -> Rollout:
    """Begin to bring a version to an endpoint. One rollout at a time; the same one again is the one that runs.

    Raises RolloutRefused unless the gates said PASS (`skip_gates`: a person answers for it, and the audit log says so).
    A version that came as a folder has met no gates: its rollout stops until a person approves it.
    """
    settings = _settings(project, endpoint)
    chosen = register.get_version(ctx, version)
    _check_version(chosen, settings, skip_gates=skip_gates)
    with ctx.db.reading() as connection:
        place = tables.find(connection, tables.endpoint, name=endpoint)
    check_columns(ctx, chosen, settings, place["digest"] if place else None)
    try:
        with ctx.db.transaction() as connection:
            running = tables.open_rollouts(connection, endpoint)
            if running and running[0]["challenger"] == version:
                return to_rollout(running[0])
            if running:
                raise _busy(running[0])
            started = _insert(connection, ctx, project, endpoint, version=chosen, reason=reason)
            facts = {"champion": started.champion, "challenger": version, "reason": reason, "gates_skipped": skip_gates}
            audit.append(connection, ctx, Event("rollout.started", started.id, facts | {"endpoint": endpoint}))
    except IntegrityError as error:
        raise Conflict(f"Another rollout at {endpoint!r} began at the same moment.", hint="Try again.") from error
    publish(ctx)
    return started


def _settings(project: Project, endpoint: str) -> EndpointSettings:
    if endpoint not in project.endpoints:
        close = get_close_matches(endpoint, project.endpoints, n=1)
        hint = f"Did you mean {close[0]!r}?" if close else f"It declares: {', '.join(project.endpoints) or 'none'}."
        raise NotFound(f"The project file declares no endpoint {endpoint[:80]!r}.", hint=hint)
    return project.endpoints[endpoint]


def _check_version(version: ModelVersion, settings: EndpointSettings, *, skip_gates: bool) -> None:
    if version.model != settings.model:
        raise RolloutRefused(
            f"{version.name} is no version of {settings.model!r}, whose versions answer here.",
            hint="Change the endpoint's model in the project file, or choose another version.",
        )
    if version.package is None:
        why = version.refusal or "no package was made of it yet"
        raise RolloutRefused(
            f"{version.name} cannot be served: {why[:1].lower()}{why[1:]}",
            hint=f"`modelloop models show {version.name}` says what it holds, `modelloop models convert` tries again.",
        )
    if version.verdict is not Verdict.PASS and version.kind is not Kind.MLFLOW and not skip_gates:
        raise RolloutRefused(
            f"The gates' verdict on {version.name} is {version.verdict!s}, not pass.",
            hint="See its gates with `modelloop models`; a person may answer for it by skipping the gates.",
        )


def _busy(row: RowMapping) -> Conflict:
    return Conflict(
        f"{row['challenger']} is being rolled out at {row['endpoint']!r} (stage {row['stage']}).",
        hint=f"`modelloop rollout promote {row['endpoint']}` ends its bake."
        if row["stage"] == Stage.BAKE
        else "Wait until it is over, or send it back with `modelloop rollout abort`.",
    )


def _insert(
    connection: Connection, ctx: Context, project: Project, endpoint: str, *, version: ModelVersion, reason: str
) -> Rollout:
    settings = project.endpoints[endpoint]
    place = tables.find(connection, tables.endpoint, name=endpoint)
    champion = place["champion"] if place else None
    if champion == version.name:
        raise RolloutRefused(f"{version.name} already answers at {endpoint!r}.")
    values = {"model": settings.model, "task": str(project.objective.task), **served(project, settings)}
    if place is None:
        tables.insert(connection, tables.endpoint, [{"name": endpoint, **values, "champion": None, "digest": None}])
    else:
        tables.change(connection, tables.endpoint, {"name": endpoint}, values)
    now, policy = ctx.now(), settings.rollout
    if version.verdict is not Verdict.PASS and version.kind is Kind.MLFLOW:
        policy = replace(policy, approval=True)
    row: dict[str, Any] = {
        "id": ctx.id("rollout"),
        "endpoint": endpoint,
        "champion": champion,
        "challenger": version.name,
        "digest": version.package,
        "stage": str(first_stage(champion, policy)),
        "step": 0,
        "started_at": now,
        "stage_since": now,
        "verdicts": [],
        "reason": reason,
        "actor": ctx.actor.name,
        "approved_by": None,
        "policy": msgspec.to_builtins(policy),
        "scale": _scale(connection, endpoint, version),
    }
    tables.insert(connection, tables.rollout, [row])
    generation = settle(connection, ctx)
    tables.change(connection, tables.rollout, {"id": row["id"]}, {"generation": generation})
    follow(connection, ctx, endpoint, f"rollout {row['id']}: {reason}")
    found = tables.find(connection, tables.rollout, id=row["id"])
    assert found is not None
    return to_rollout(found)


def _scale(connection: Connection, endpoint: str, version: ModelVersion) -> float:
    """Return the unit of a regression's errors: the labels' spread at registration, else of the labels seen so far."""
    known = version.lineage.get("label_spread")
    return float(known) if known else spread(tables.some_labels(connection, endpoint))


def open_rollouts(ctx: Context) -> list[Rollout]:
    """Return the rollouts that are not over, oldest first."""
    with ctx.db.reading() as connection:
        return [to_rollout(row) for row in tables.open_rollouts(connection)]


def advance(ctx: Context, rollout_id: str) -> Rollout:
    """Judge the present stage on what is known now and go on, back, or stay. No traffic: stay."""
    with ctx.db.reading() as connection:
        row = tables.find(connection, tables.rollout, id=rollout_id)
        if row is None:
            raise NotFound(f"There is no rollout {rollout_id[:60]!r}.")
        before = to_rollout(row)
        seen = list(tables.progress(connection))
        if before.stage in OVER or nothing_new(ctx, row, before, seen):
            return before
        verdict = judge(connection, ctx, row, before)
    if verdict is None:
        return before
    verdict = replace(verdict, numbers={**verdict.numbers, **where(before), "seen": seen})
    after = judged(before, policy_of(row), verdict, ctx.now())
    if before.stage is Stage.CHECK and _same(before, after):
        return before
    write(ctx, before, after)
    return after


def _same(before: Rollout, after: Rollout) -> bool:
    """Say whether a second look at the gateways said what the first one did."""
    if (before.stage, len(before.verdicts)) != (after.stage, len(after.verdicts)) or not before.verdicts:
        return False
    old, new = before.verdicts[-1], after.verdicts[-1]
    passing = {"at", "remaining"}
    numbers = [{key: value for key, value in said.numbers.items() if key not in passing} for said in (old, new)]
    return old.reason == new.reason and numbers[0] == numbers[1]
