"""Alerts of one moment stand in one order, whatever their ids are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations

from modelloop.ground.store.context import Context
from modelloop.monitor import actions, tables
from modelloop.monitor.records import Alert

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DAY = timedelta(days=1)
OTHERS = [("quality", "late", NOW), ("drift", "late", NOW), ("drift", "early", NOW), ("errors", "late", NOW - DAY)]


def test_alerts_of_one_moment_have_one_order(ctx: Context) -> None:
    seen = set()
    for order in permutations(OTHERS):
        with ctx.db.transaction() as connection:
            connection.execute(tables.alert.delete())
            for monitor, endpoint, window in order:
                made = Alert(ctx.id("alert"), monitor, endpoint, "alert", "signal", window, NOW, None, "Look.")
                tables.raise_alert(connection, made)
        seen.add(tuple((alert.monitor, alert.endpoint) for alert in actions.alerts(ctx)))
    assert seen == {(("drift", "early"), ("drift", "late"), ("quality", "late"), ("errors", "late"))}


def test_newer_ones_come_first(ctx: Context) -> None:
    with ctx.db.transaction() as connection:
        for number in range(3):
            at = NOW + timedelta(microseconds=number)
            tables.raise_alert(
                connection, Alert(ctx.id("alert"), f"m{number}", "late", "alert", "s", NOW, at, None, "")
            )
    assert [alert.monitor for alert in actions.alerts(ctx)] == ["m2", "m1", "m0"]
