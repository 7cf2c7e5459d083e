"""SQL of studies. `claimed` and `ended` are counters on the study's row: whoever raises one has the number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ...ground.store.db import JSON, Time, metadata
from ..records import Trial
from .records import TRIAL, Declared, Entry, Head, StudyLine

RUNNING = "running"

study = sa.Table(
    "study_search",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("name", sa.String(200), nullable=False, unique=True),
    sa.Column("body", JSON, nullable=False),
    sa.Column("claimed", sa.Integer, nullable=False),
    sa.Column("ended", sa.Integer, nullable=False),
    sa.Column("made_at", Time, nullable=False),
    sa.Column("by", sa.String(120), nullable=False),
)
trial = sa.Table(
    "study_trial",
    metadata,
    sa.Column("study", sa.String(40), sa.ForeignKey("study_search.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("nth", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("state", sa.String(8), nullable=False),
    sa.Column("ended", sa.Integer),
    sa.Column("params", JSON, nullable=False),
    sa.Column("body", JSON, nullable=False),
    sa.Column("owner", sa.String(200), nullable=False),
    sa.Column("lease_until", Time, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("began_at", Time, nullable=False),
    sa.Column("ended_at", Time),
    sa.Index("ix_study_trial_ended", "study", "ended"),
)
_DECLARED = ("method", "metrics", "directions", "space", "seed", "pruner", "before")


def add_study(connection: Connection, chosen: str, declared: Declared, *, at: datetime, by: str) -> None:
    """Insert a study; IntegrityError where its name is taken."""
    body = {name: asdict(declared)[name] for name in _DECLARED}
    row = {"id": chosen, "name": declared.name, "body": body, "claimed": 0, "ended": 0, "made_at": at, "by": by}
    connection.execute(study.insert().values(row))


def find_study(connection: Connection, name: str) -> tuple[str, Declared] | None:
    """Return a study's id and what it declared."""
    row = connection.execute(sa.select(study).where(study.c.name == name)).mappings().first()
    if row is None:
        return None
    body: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in row["body"].items()
    }
    return row["id"], Declared(name=row["name"], **body)


def head(connection: Connection, chosen: str) -> Head | None:
    """Return a study's counters."""
    row = connection.execute(sa.select(study.c.claimed, study.c.ended).where(study.c.id == chosen)).first()
    return None if row is None else Head(chosen, row.claimed, row.ended)


def lines(connection: Connection, limit: int) -> list[StudyLine]:
    """Return studies, the newest first."""
    running = sa.func.count(trial.c.number).filter(trial.c.state == RUNNING)
    query = (
        sa.select(study.c.name, study.c.body, study.c.claimed, study.c.made_at, study.c.by, running.label("running"))
        .outerjoin(trial, trial.c.study == study.c.id)
        .group_by(study.c.id)
        .order_by(study.c.made_at.desc(), study.c.id.desc())
        .limit(limit)
    )
    return [
        StudyLine(
            row.name, row.body["method"], tuple(row.body["metrics"]), row.claimed, row.running, row.made_at, row.by
        )
        for row in connection.execute(query)
    ]


def remove_study(connection: Connection, chosen: str) -> None:
    """Delete a study and its trials."""
    connection.execute(trial.delete().where(trial.c.study == chosen))
    connection.execute(study.delete().where(study.c.id == chosen))


def next_number(connection: Connection, chosen: str, number: int) -> bool:
    """Count a trial as begun; False where its number is taken already."""
    this = (study.c.id == chosen) & (study.c.claimed == number)
    raised = study.update().where(this).values(claimed=number + 1).returning(study.c.claimed)
    return connection.execute(raised).first() is not None


def add_trial(connection: Connection, row: Mapping[str, Any]) -> None:
    """Insert a trial or repeat that begins; IntegrityError where there is one."""
    connection.execute(trial.insert().values(row))


def has_trial(connection: Connection, chosen: str, number: int, nth: int) -> bool:
    """Say whether a trial or repeat was begun."""
    return connection.execute(sa.select(trial.c.state).where(_this(chosen, number, nth))).first() is not None


def ended_since(connection: Connection, chosen: str, mark: int) -> list[tuple[int, Entry]]:
    """Return what ended after the mark, in the order it did so."""
    query = sa.select(trial).where(trial.c.study == chosen, trial.c.ended > mark).order_by(trial.c.ended)
    return [(row["ended"], _entry(row)) for row in connection.execute(query).mappings()]


def running(connection: Connection, chosen: str) -> list[sa.RowMapping]:
    """Return the rows of what is under way."""
    query = sa.select(trial).where(trial.c.study == chosen, trial.c.state == RUNNING)
    return list(connection.execute(query.order_by(trial.c.nth, trial.c.number)).mappings())


def take_over(connection: Connection, row: sa.RowMapping, owner: str, until: datetime) -> Entry | None:
    """Make what another owner left one's own; None where it was not as it was seen."""
    this = _this(row["study"], row["number"], row["nth"]) & (trial.c.state == RUNNING)
    seen = this & (trial.c.owner == row["owner"]) & (trial.c.lease_until == row["lease_until"])
    changed = trial.update().where(seen).values(owner=owner, lease_until=until, attempts=trial.c.attempts + 1)
    found = connection.execute(changed.returning(trial.c.attempts)).first()
    return None if found is None else _entry(row)


def finish(connection: Connection, chosen: str, entry: Entry, *, owner: str, at: datetime) -> bool:
    """Keep what became of a trial; False where it is over or has another owner."""
    this = _this(chosen, entry.trial.number, entry.nth) & (trial.c.state == RUNNING) & (trial.c.owner == owner)
    if connection.execute(sa.select(trial.c.number).where(this)).first() is None:
        return False
    counted = study.update().where(study.c.id == chosen).values(ended=study.c.ended + 1).returning(study.c.ended)
    mark = connection.execute(counted).scalar_one()
    changed = {"state": entry.trial.state, "body": _body(entry), "ended": mark, "ended_at": at}
    return connection.execute(trial.update().where(this).values(changed).returning(trial.c.number)).first() is not None


def renew(connection: Connection, owner: str, until: datetime) -> None:
    """Keep what is under way here one's own for longer."""
    connection.execute(trial.update().where(trial.c.owner == owner, trial.c.state == RUNNING).values(lease_until=until))


def release(connection: Connection, owner: str, at: datetime) -> None:
    """Give back what is under way here; that is no failed attempt."""
    this = (trial.c.owner == owner) & (trial.c.state == RUNNING)
    connection.execute(trial.update().where(this).values(owner="", lease_until=at, attempts=trial.c.attempts - 1))


def _this(chosen: str, number: int, nth: int = TRIAL) -> sa.ColumnElement[bool]:
    return sa.and_(trial.c.study == chosen, trial.c.number == number, trial.c.nth == nth)


def _body(entry: Entry) -> dict[str, Any]:
    kept = entry.trial
    return {
        "values": list(entry.values),
        "seconds": kept.seconds,
        "cpu_seconds": kept.cpu_seconds,
        "error": kept.error,
        "curve": [list(point) for point in kept.curve],
        "attrs": dict(entry.attrs),
    }


def _entry(row: sa.RowMapping) -> Entry:
    body = row["body"]
    values = tuple(float(value) for value in body.get("values", ()))
    kept = Trial(
        number=row["number"],
        params=row["params"],
        value=values[0] if values else None,
        seconds=float(body.get("seconds", 0)),
        state=row["state"],
        cpu_seconds=float(body.get("cpu_seconds", 0)),
        error=body.get("error", ""),
        curve=tuple((int(step), float(value)) for step, value in body.get("curve", ())),
    )
    return Entry(kept, body.get("attrs", {}), row["nth"], values)
