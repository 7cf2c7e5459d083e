"""The audit log in a terminal says who did what to what, and why."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

from rich.console import Console

from modelloop.cli.acts.look import audit_list
from modelloop.ground.core.records import Event
from modelloop.ground.store import audit
from modelloop.ground.store.context import Context


def test_who_and_why(ctx: Context) -> None:
    verdict = {"decision": "worse", "reason": "It failed 9 of 41 requests."}
    with ctx.db.transaction() as connection:
        audit.append(connection, ctx, Event("rollback", "endpoint:delay", {"reason": "complaints since noon"}))
        audit.append(connection, ctx, Event("rollout.moved", "rollout_1", {"verdict": verdict}))
        audit.append(connection, ctx, Event("rollout.moved", "rollout_2", {"verdict": None}))
    desk: Any = SimpleNamespace(ctx=ctx)
    seen = io.StringIO()
    audit_list(desk, limit=5, subject=None).show(Console(file=seen, width=200))
    lines = seen.getvalue().splitlines()
    assert any("rollback" in line and "tester" in line and "complaints since noon" in line for line in lines)
    assert any("rollout_1" in line and "failed 9 of 41" in line for line in lines)
