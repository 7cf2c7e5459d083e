"""Say once what fires, resolve it when it is over, and send both until they arrive."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
from sqlalchemy.engine import Connection, RowMapping

from ...deploy import actions as deploy
from ...ground.core.clock import iso
from ...ground.core.errors import AddressRefused
from ...ground.core.records import Event
from ...ground.store import audit
from ...ground.store.context import Context
from .. import alert as rules
from .. import tables
from ..adapters import webhook
from ..records import Alert, Signal
from ..settings import Channel
from . import reading

if TYPE_CHECKING:
    from ...project import Project

ATTEMPTS = 5
FIRST_WAIT = timedelta(seconds=5)
_LOG = logging.getLogger("modelloop.alerts")


def raise_alert(connection: Connection, ctx: Context, project: Project, signal: Signal) -> None:
    """Raise an alert within the transaction that wrote its signal."""
    severity = str(project.monitors[signal.monitor].severity)
    end, endpoint, now = signal.window.end, signal.window.endpoint, ctx.now()
    text = rules.message(signal)
    alert = Alert(ctx.id("alert"), signal.monitor, endpoint, severity, signal.id, end, now, None, text)
    tables.raise_alert(connection, alert)
    tables.post(connection, _messages(ctx, project, alert, "raised", text))
    facts = {"monitor": signal.monitor, "endpoint": endpoint, "signal": signal.id, "message": text}
    audit.append(connection, ctx, Event("alert.raised", alert.id, facts))


def resolve_alert(connection: Connection, ctx: Context, project: Project, alert: Alert, why: str) -> None:
    """Resolve an alert that fires, within a transaction; its channels hear of it."""
    if not tables.resolve(connection, alert.id, ctx.now()):
        return
    tables.post(connection, _messages(ctx, project, alert, "resolved", f"Resolved: {why}. It was: {alert.message}"))
    facts = {"monitor": alert.monitor, "endpoint": alert.endpoint, "reason": why}
    audit.append(connection, ctx, Event("alert.resolved", alert.id, facts))


def resolve_renewed(ctx: Context, project: Project) -> None:
    """Resolve what fires against a version that no longer answers."""
    for alert in reading.alerts(ctx, firing=True):
        live = next(iter(deploy.live(ctx, alert.endpoint)), None)
        signal = reading.get_signal(ctx, alert.signal)
        if live is not None and signal is not None and live.version != signal.version:
            with ctx.db.transaction() as connection:
                resolve_alert(connection, ctx, project, alert, f"{live.version} answers now ({live.reason})")


def _messages(ctx: Context, project: Project, alert: Alert, event: str, text: str) -> list[dict[str, Any]]:
    body = {
        "event": event,
        "project": project.project.name,
        "alert": alert.id,
        "monitor": alert.monitor,
        "endpoint": alert.endpoint,
        "severity": alert.severity,
        "event_time": iso(alert.event_time),
        "message": text,
    }
    now = ctx.now()
    return [
        {"id": ctx.id("message"), "channel": name, "body": body, "attempts": 0, "next_at": now}
        for name, settings in project.alerts.items()
        if rules.hears(settings, alert.severity)
    ]


def send_alerts(ctx: Context, project: Project, environ: Mapping[str, str] | None = None) -> int:
    """Send what waits in the outbox and whose time has come; return how many arrived. Up to five tries each.

    Never inside a transaction. A worker that dies between sending and noting it sends once more, with the same key.
    """
    with ctx.db.reading() as connection:
        waiting = tables.unsent(connection, ctx.now(), ATTEMPTS)
    return sum(_send(ctx, project, row, os.environ if environ is None else environ) for row in waiting)


def _send(ctx: Context, project: Project, row: RowMapping, environ: Mapping[str, str]) -> bool:
    with ctx.db.transaction() as connection:
        if not tables.claim(connection, row, ctx.now() + FIRST_WAIT * 2 ** row["attempts"]):
            return False
    error = _deliver(project, row, environ)
    with ctx.db.transaction() as connection:
        tables.mark(connection, row["id"], sent_at=None if error else ctx.now(), error=error)
    return error is None


def _deliver(project: Project, row: RowMapping, environ: Mapping[str, str]) -> str | None:
    """Deliver one message; return why it did not arrive, without the address, which may hold a secret."""
    settings = project.alerts.get(row["channel"])
    if settings is None:
        return f"The project file no longer declares the alert channel {row['channel']!r}."
    if settings.channel is Channel.LOG:
        _LOG.warning("%s: %s", row["body"]["event"], row["body"]["message"])
        return None
    url = environ.get(settings.url_from or "")
    if not url:
        return f"The environment variable {settings.url_from!r}, which should hold the address, is not set."
    try:
        webhook.post(url, row["body"], key=row["id"], environ=environ)
    except httpx.HTTPStatusError as error:
        return f"The receiver answered {error.response.status_code}."
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return f"The receiver could not be reached: {type(error).__name__}."
    except AddressRefused as error:
        return error.message
    return None
