"""Verbs of experiments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from ....ground.core.errors import Conflict, InvalidInput, NotFound
from ....ground.core.records import Event
from ....ground.store import audit
from ....ground.store.context import Context
from .. import checks
from ..records import (
    DEFAULT_EXPERIMENT,
    MAX_EXPERIMENT_NAME,
    MAX_EXPERIMENT_TAG_VALUE,
    Experiment,
    Lifecycle,
)
from ..tables import experiments as tables


def create_experiment(
    ctx: Context, name: str, tags: Mapping[str, str] | None = None, *, made_ms: int | None = None
) -> int:
    """Make an experiment and return its number; raises Conflict where the name is taken.

    Of two that make the same at once one wins; a deleted experiment keeps its name.
    """
    checked, noted = experiment_name(name), _tags(tags or {})
    now = now_ms(ctx) if made_ms is None else checks.whole(made_ms, "The time of an experiment", least=0)
    values = {"name": checked, "lifecycle": Lifecycle.ACTIVE.value, "made_ms": now, "changed_ms": now}
    with ctx.db.transaction() as connection:
        number = tables.add(connection, values)
        if number is None:
            raise _taken(checked, tables.by_name(connection, checked))
        tables.set_tags(connection, number, noted)
        audit.append(connection, ctx, Event("tracking.create_experiment", f"experiment:{number}", {"name": checked}))
    return number


def get_experiment(ctx: Context, number: int) -> Experiment:
    """Return an experiment, deleted ones too; raises NotFound."""
    with ctx.db.reading() as connection:
        row = tables.by_id(connection, number)
        if row is None:
            raise missing(number)
        return assembled(connection, [row])[0]


def find_experiment(ctx: Context, name: str) -> Experiment | None:
    """Return the experiment of that name, deleted ones too, or None."""
    if not name or "\x00" in name or len(name) > MAX_EXPERIMENT_NAME:
        return None
    with ctx.db.reading() as connection:
        row = tables.by_name(connection, name)
        return None if row is None else assembled(connection, [row])[0]


def ensure_experiment(ctx: Context, name: str) -> int:
    """Return the number of the experiment of that name, which is made where it is not there.

    Raises InvalidInput where it was deleted.
    """
    found = find_experiment(ctx, name)
    if found is None:
        try:
            return create_experiment(ctx, name)
        except Conflict:
            found = find_experiment(ctx, name)
            if found is None:
                raise
    if found.lifecycle is not Lifecycle.ACTIVE:
        raise InvalidInput(
            f"The experiment {checks.shown(name)} (id {found.id}) was deleted.",
            hint="Restore it, or take another name.",
        )
    return found.id


def rename_experiment(ctx: Context, number: int, name: str) -> None:
    """Give an active experiment another name; raises Conflict where it is taken."""
    checked = experiment_name(name)
    try:
        with ctx.db.transaction() as connection:
            row = _active(connection, number)
            tables.change(connection, number, {"name": checked, "changed_ms": now_ms(ctx)})
            detail = {"from": row[1], "to": checked}
            audit.append(connection, ctx, Event("tracking.rename_experiment", f"experiment:{number}", detail))
    except IntegrityError as error:
        raise _taken(checked, None) from error


def delete_experiment(ctx: Context, number: int) -> None:
    """Put an experiment and its runs away; they can be restored."""
    if number == DEFAULT_EXPERIMENT:
        raise InvalidInput("The default experiment (id 0) cannot be deleted.", hint="Delete its runs instead.")
    with ctx.db.transaction() as connection:
        _active(connection, number)
        now = now_ms(ctx)
        tables.change(connection, number, {"lifecycle": Lifecycle.DELETED.value, "changed_ms": now})
        tables.put_runs_away(connection, number)
        audit.append(connection, ctx, Event("tracking.delete_experiment", f"experiment:{number}"))


def restore_experiment(ctx: Context, number: int) -> None:
    """Bring back an experiment and the runs that were put away with it."""
    with ctx.db.transaction() as connection:
        row = tables.locked(connection, number)
        if row is None or row[2] != Lifecycle.DELETED:
            raise NotFound(f"There is no deleted experiment with id {number}.")
        tables.change(connection, number, {"lifecycle": Lifecycle.ACTIVE.value, "changed_ms": now_ms(ctx)})
        tables.bring_runs_back(connection, number)
        audit.append(connection, ctx, Event("tracking.restore_experiment", f"experiment:{number}"))


def set_experiment_tag(ctx: Context, number: int, name: str, value: str) -> None:
    """Set a tag of an active experiment."""
    noted = _tags({name: value})
    with ctx.db.transaction() as connection:
        _active(connection, number)
        tables.set_tags(connection, number, noted)
        tables.change(connection, number, {"changed_ms": now_ms(ctx)})


def delete_experiment_tag(ctx: Context, number: int, name: str) -> None:
    """Remove a tag of an active experiment; raises NotFound where it has none of that name."""
    with ctx.db.transaction() as connection:
        _active(connection, number)
        if not tables.drop_tag(connection, number, name):
            raise NotFound(f"The experiment {number} has no tag {checks.shown(name)}.")
        tables.change(connection, number, {"changed_ms": now_ms(ctx)})


def assembled(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> list[Experiment]:
    """Return rows as records, with their tags."""
    tags: dict[int, dict[str, str]] = {row[0]: {} for row in rows}
    for number, name, value in tables.tags(connection, list(tags)):
        tags[number][name] = value
    return [
        Experiment(number, name, Lifecycle(lifecycle), made_ms, changed_ms, tags[number])
        for number, name, lifecycle, made_ms, changed_ms in rows
    ]


def active_experiment(connection: Connection, number: int) -> None:
    """Raise NotFound for an experiment that is not there, InvalidInput for one that was deleted; keep it as it is."""
    row = tables.by_id(connection, number, share=True)
    if row is None:
        raise missing(number)
    if row[2] != Lifecycle.ACTIVE:
        raise InvalidInput(
            f"The experiment {number} must be in the 'active' state; it was deleted.", hint="Restore it first."
        )


def experiment_name(name: str) -> str:
    """Return a name that an experiment may have, else raise InvalidInput."""
    if not isinstance(name, str) or not name.strip():
        raise InvalidInput("Invalid experiment name: it is empty.", hint="Give the experiment a name.")
    return checks.line(name, "name of an experiment", MAX_EXPERIMENT_NAME)


def now_ms(ctx: Context) -> int:
    """Return the time in milliseconds."""
    return int(ctx.now().timestamp() * 1000)


def missing(number: int) -> NotFound:
    """Return the error that says that there is no such experiment."""
    return NotFound(f"There is no experiment with id {number}.", hint="`search_experiments` lists all.")


def _active(connection: Connection, number: int) -> tuple[Any, ...]:
    row = tables.locked(connection, number)
    if row is None or row[2] != Lifecycle.ACTIVE:
        raise NotFound(f"There is no active experiment with id {number}.", hint="Was it deleted? Then restore it.")
    return row


def _tags(tags: Mapping[str, str]) -> dict[str, str]:
    for name, value in tags.items():
        checks.value(value, f"Tag {checks.key(name, 'tag')!r}", MAX_EXPERIMENT_TAG_VALUE)
    return dict(tags)


def _taken(name: str, row: tuple[Any, ...] | None) -> Conflict:
    deleted = row is not None and row[2] != Lifecycle.ACTIVE
    hint = "It was deleted: restore it, or take another name." if deleted else "Take another name."
    return Conflict(f"An experiment named {checks.shown(name)} exists already.", hint=hint)
