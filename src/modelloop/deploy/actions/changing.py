"""How what answers changes: start, go on, approve, go back. Each transition is one transaction, then the document."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy.engine import Connection, RowMapping
from sqlalchemy.exc import IntegrityError

from ...ground.core.errors import Conflict, NotFound, RolloutRefused, StaleState
from ...ground.core.records import Event, Verdict
from ...ground.store import audit
from ...ground.store.context import Context
from ...register import actions as register
from ...register.records import Kind, ModelVersion
from .. import tables
from ..evidence import gather, spread
from ..records import Live, Rollout, Stage, StageVerdict
from ..rollout import OVER, first_stage, move, settled, withdrawn
from ..settings import EndpointSettings
from ..verdict import BETTER, NOT_YET, judge_canary, judge_check, judge_shadow
from .publishing import follow, policy_of, publish, reports, settle, to_rollout

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
        hint="Wait until it is over, or send it back with `modelloop rollback`.",
    )


def _insert(
    connection: Connection, ctx: Context, project: Project, endpoint: str, *, version: ModelVersion, reason: str
) -> Rollout:
    settings = project.endpoints[endpoint]
    place = tables.find(connection, tables.endpoint, name=endpoint)
    champion = place["champion"] if place else None
    if champion == version.name:
        raise RolloutRefused(f"{version.name} already answers at {endpoint!r}.")
    served = {name: getattr(settings, name) for name in ("model", "key", "max_body", "max_rows")}
    served["task"] = str(project.objective.task)
    if place is None:
        tables.insert(connection, tables.endpoint, [{"name": endpoint, **served, "champion": None, "digest": None}])
    else:
        tables.change(connection, tables.endpoint, {"name": endpoint}, served)
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
        seen = list(tables.counts(connection))
        if before.stage in OVER or _nothing_new(before, seen):
            return before
        verdict = _judge(connection, ctx, row, before)
    if verdict is None:
        return before
    where = {"stage": str(before.stage), "step": before.step, "seen": seen}
    verdict = replace(verdict, numbers={**verdict.numbers, **where})
    if verdict.decision == NOT_YET and _same(before, verdict):
        return before
    after = move(before, policy_of(row), verdict, ctx.now())
    _write(ctx, before, after)
    return after


def _nothing_new(rollout: Rollout, seen: list[int]) -> bool:
    """Say whether no row or outcome came since the last look: the answer would be the same. A check asks gateways."""
    last = rollout.verdicts[-1] if rollout.verdicts else None
    waiting = last is not None and last.decision == NOT_YET and last.numbers.get("stage") == str(rollout.stage)
    return last is not None and waiting and rollout.stage is not Stage.CHECK and last.numbers.get("seen") == seen


def _same(rollout: Rollout, verdict: StageVerdict) -> bool:
    last = rollout.verdicts[-1:]
    return bool(last) and last[0].reason == verdict.reason and last[0].numbers == verdict.numbers


def _judge(connection: Connection, ctx: Context, row: RowMapping, rollout: Rollout) -> StageVerdict | None:
    if rollout.stage is Stage.CHECK:
        said = reports(ctx)
        return judge_check(rollout.challenger, row["generation"], said, since=rollout.stage_since, now=ctx.now())
    if rollout.stage is Stage.APPROVAL and rollout.champion is None:
        return None
    place = tables.find(connection, tables.endpoint, name=rollout.endpoint)
    task = place["task"] if place else "binary"
    rows = tables.stage_rows(connection, rollout.endpoint, row["generation"], rollout.stage_since)
    evidence = gather(rows, rollout.stage, rollout.challenger, task=task, scale=row["scale"])
    if rollout.stage is Stage.SHADOW:
        return judge_shadow(evidence, policy_of(row))
    return judge_canary(evidence, policy_of(row), wait=rollout.stage is Stage.APPROVAL)


def _write(ctx: Context, before: Rollout, after: Rollout, **more: Any) -> None:
    """Write a transition if nobody else moved the rollout since it was read, then publish."""
    values: dict[str, Any] = {"verdicts": msgspec.to_builtins(after.verdicts), "approved_by": after.approved_by, **more}
    moved = (before.stage, before.step) != (after.stage, after.step)
    if moved:
        values |= {"stage": str(after.stage), "step": after.step, "stage_since": after.stage_since}
    if after.stage in OVER:
        values["closed_at"] = ctx.now()
    with ctx.db.transaction() as connection:
        expected = {"id": before.id, "stage": str(before.stage), "step": before.step, "closed_at": None}
        if not tables.change(connection, tables.rollout, expected, values):
            raise StaleState(f"Rollout {before.id} was moved by somebody else.", hint="Look again.")
        if after.stage is Stage.LIVE:
            _go_live(connection, ctx, after)
        if moved:
            tables.change(connection, tables.rollout, {"id": before.id}, {"generation": settle(connection, ctx)})
            follow(connection, ctx, after.endpoint, _why(after))
            audit.append(connection, ctx, _transition(before, after))
    if moved:
        publish(ctx)


def _why(rollout: Rollout) -> str:
    """Return why a rollout stands where it does, for the history of aliases."""
    said = settled(rollout)[-1:]
    reason = rollout.reason if rollout.stage is Stage.LIVE or not said else said[0].reason
    return f"rollout {rollout.id}, {rollout.stage}: {reason}"


def _transition(before: Rollout, after: Rollout) -> Event:
    verdict = settled(after)[-1:]
    facts: dict[str, Any] = {
        "endpoint": after.endpoint,
        "challenger": after.challenger,
        "from": str(before.stage),
        "to": str(after.stage),
        "step": after.step,
        "approved_by": after.approved_by,
    }
    return Event("rollout.moved", after.id, facts | {"verdict": msgspec.to_builtins(verdict[0]) if verdict else None})


def _go_live(connection: Connection, ctx: Context, rollout: Rollout) -> None:
    place = tables.find(connection, tables.rollout, id=rollout.id)
    assert place is not None
    replaced = {"name": rollout.endpoint, "champion": rollout.champion}
    now_serving = {"champion": rollout.challenger, "digest": place["digest"]}
    if not tables.change(connection, tables.endpoint, replaced, now_serving):
        raise StaleState(f"{rollout.endpoint!r} is no longer answered by {rollout.champion}.", hint="Look again.")
    event_time, _ = tables.watermarks(connection, rollout.endpoint)
    _remember(
        connection,
        Live(
            rollout.endpoint,
            rollout.challenger,
            rollout.champion,
            ctx.now(),
            event_time,
            rollout.id,
            rollout.reason,
            ctx.actor.name,
        ),
    )


def _remember(connection: Connection, went: Live) -> None:
    tables.insert(connection, tables.live, [{name: getattr(went, name) for name in Live.__slots__}])


def approve(ctx: Context, endpoint: str, *, reason: str = "") -> Rollout:
    """Let the rollout that waits at the endpoint go on, in the actor's name; raises Conflict where none waits."""
    with ctx.db.reading() as connection:
        rows = tables.open_rollouts(connection, endpoint)
    if not rows or rows[0]["stage"] != Stage.APPROVAL:
        state = f"the rollout is in the stage {rows[0]['stage']}" if rows else "no rollout is open"
        raise Conflict(f"Nothing waits for approval at {endpoint[:80]!r}: {state}.")
    before = to_rollout(rows[0])
    said = StageVerdict(BETTER, f"Approved by {ctx.actor.name}. {reason}".strip(), {"stage": "approval"})
    after = replace(move(before, policy_of(rows[0]), said, ctx.now()), approved_by=ctx.actor.name)
    _write(ctx, before, after)
    return after


def rollback(ctx: Context, endpoint: str, *, to: str | None = None, reason: str) -> str:
    """Go back at once and return what answers then.

    An open rollout is sent back and the champion stays; without one, what answered before answers again. `to`: any
    version that has answered at the endpoint.
    """
    with ctx.db.reading() as connection:
        place = tables.find(connection, tables.endpoint, name=endpoint)
        rows = tables.open_rollouts(connection, endpoint)
        current = next(iter(tables.lives(connection, endpoint)), None)
        target = tables.lives(connection, endpoint, to or (current["before"] if current else None) or "")
    if place is None:
        raise NotFound(f"Nothing was ever rolled out at {endpoint[:80]!r}.")
    if rows:
        rollout = to_rollout(rows[0])
        _write(ctx, rollout, withdrawn(rollout, f"Sent back by {ctx.actor.name}: {reason}", ctx.now()))
    if rows and to is None:
        return str(place["champion"] or "")
    if to is not None and to == place["champion"]:
        return to
    if not target:
        wanted = f"{to} never answered" if to else "there is no earlier version"
        raise Conflict(f"Cannot go back at {endpoint!r}: {wanted}.", hint="Name a version that answered before.")
    _replace_champion(ctx, place, target[0], reason)
    return str(target[0]["version"])


def _replace_champion(ctx: Context, place: RowMapping, target: RowMapping, reason: str) -> None:
    endpoint, version = place["name"], target["version"]
    digest = register.get_version(ctx, version).package
    with ctx.db.transaction() as connection:
        expected = {"name": endpoint, "champion": place["champion"]}
        if not tables.change(connection, tables.endpoint, expected, {"champion": version, "digest": digest}):
            raise StaleState(f"{endpoint!r} is no longer answered by {place['champion']}.", hint="Look again.")
        event_time, _ = tables.watermarks(connection, endpoint)
        why = f"rollback: {reason}"
        _remember(
            connection, Live(endpoint, version, target["before"], ctx.now(), event_time, None, why, ctx.actor.name)
        )
        settle(connection, ctx)
        follow(connection, ctx, endpoint, why)
        facts = {"from": place["champion"], "to": version, "reason": reason}
        audit.append(connection, ctx, Event("rollback", f"endpoint:{endpoint}", facts))
    publish(ctx)
