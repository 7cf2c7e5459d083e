"""Why calls of steps were made: compared with the last run that made them, down to the line of code."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from sqlalchemy.engine import Connection

from ...core.errors import NotFound
from ...store.context import Context
from .. import rows, tables
from ..records import Change, StepState, Why
from ..why import changes, counterpart
from .looking import run_row


def why(ctx: Context, run_id: str, step: str | None = None) -> list[Why]:
    """Return why the calls of a run were made: all, those of one step, or the one with this number."""
    with ctx.db.reading() as connection:
        run_row(connection, run_id)
        calls = tables.step_rows(connection, run_id)
        chosen = [row for row in calls if step is None or step in (row.name, str(row.number))]
        if step is not None and not chosen:
            raise _unknown(step, [row.name for row in calls], f"{run_id} made no call of")
        return _explained(connection, chosen)


def newest_call(ctx: Context, step: str) -> list[Why]:
    """Return why the newest call of a step was made, in whatever run; raises NotFound."""
    with ctx.db.reading() as connection:
        row = tables.newest_call(connection, step)
        if row is None:
            raise _unknown(step, tables.step_names(connection), "No run has called")
        return _explained(connection, [row])


def _unknown(step: str, known: list[str], what: str) -> NotFound:
    near = difflib.get_close_matches(step, known, n=1)
    named = ", ".join(dict.fromkeys(known)) or "none"
    return NotFound(
        f"{what} a step {step[:80]!r}.", hint=f"Did you mean {near[0]!r}?" if near else f"Steps: {named[:300]}."
    )


def _explained(connection: Connection, calls: list[Any]) -> list[Why]:
    found: list[Why] = []
    earlier: dict[tuple[str, str], tuple[str | None, list[Mapping[str, Any]]]] = {}
    places: dict[tuple[str, str], list[int]] = {}
    for row in calls:
        of = (row.run_id, row.name)
        if of not in earlier:
            last = tables.run_before(connection, row.name, row.id, row.run_id)
            before = [] if last is None else [r.key_parts for r in tables.calls_of(connection, last, row.name)]
            earlier[of] = last, before
            places[of] = [r.id for r in tables.calls_of(connection, row.run_id, row.name)]
        last, before = earlier[of]
        place = places[of].index(row.id) if row.id in places[of] else len(places[of])
        found.append(_one(connection, row, last, counterpart(before, place)))
    return found


def _one(connection: Connection, row: Any, last: str | None, before: Mapping[str, Any] | None) -> Why:
    made = row.state != StepState.CACHED
    compared = last if made else None
    told: list[Change] = []
    if made and before is not None:
        pair = [before, row.key_parts]
        parts = tables.parts_of(connection, rows.references(pair) | {one["environment"] for one in pair})
        old, new = (rows.with_code(one, parts) for one in pair)
        differing = {d for one in (old["code"].items(), new["code"].items()) for _, d in one}
        told = changes(new, old, {**parts, **tables.parts_of(connection, differing)})
    return Why(row.run_id, row.number, row.name, StepState(row.state), row.reason, compared, told)
