"""The work of `modelloop outcomes` and `modelloop predictions`."""

from __future__ import annotations

from pathlib import Path

from ...deploy import actions
from ...deploy.records import Forgotten
from ...deploy.sent import truths_in
from ...ground.core.errors import InvalidInput
from ..desk import Desk
from ..face import Answer
from .tables import facts, printed, table

PIECE = 20_000
"""Outcomes that are joined in one transaction."""


def outcomes(desk: Desk, *, file: Path, endpoint: str) -> Answer:
    """Read a file and join what it says; a repetition of it changes nothing."""
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{file} is not UTF-8: {error.reason}.", hint="Save it as UTF-8.") from error
    truths = truths_in(text, lines=file.suffix.lower() not in (".csv", ".tsv"))
    accepted = waiting = 0
    unknown: list[str] = []
    for start in range(0, len(truths), PIECE):
        joined = actions.join_outcomes(desk.ctx, endpoint, truths[start : start + PIECE])
        accepted += joined.accepted
        waiting += joined.waiting
        unknown += joined.unknown
    shown = facts([("sent", len(truths)), ("joined", accepted), ("wait", waiting), ("unknown ids", len(unknown))])
    data = {"sent": len(truths), "accepted": accepted, "waiting": waiting, "unknown": unknown}
    return Answer(data, printed(shown), code=1 if truths and not accepted and not waiting else 0)


def listing(desk: Desk, *, endpoint: str, key: str | None, limit: int) -> Answer:
    """List answered rows."""
    if key is None:
        found = actions.latest_predictions(desk.ctx, endpoint, limit)
    else:
        found = actions.predictions_of_key(desk.ctx, endpoint, key, limit=limit)
    rows = [
        (one.id, one.row, one.event_time, one.arm, one.version, f"{one.score:.6g}", one.label, one.business_key)
        for one in found
    ]
    titles = ("prediction", "row", "event time", "arm", "version", "score", "label", "key")
    return Answer({"rows": found}, printed(table(titles, rows, empty="nothing was taken in yet")))


def failures(desk: Desk, *, endpoint: str, limit: int) -> Answer:
    """List what no version answered."""
    found = actions.failures(desk.ctx, endpoint, limit=limit)
    rows = [(one.id, one.at, one.version, one.rows, one.error) for one in found]
    shown = table(("prediction", "at", "version", "rows", "error"), rows, empty="every request was answered")
    return Answer({"failures": found}, printed(shown))


def losses(desk: Desk) -> Answer:
    """Show what was lost."""
    found = actions.log_losses(desk.ctx)
    rows = [(one.gateway, one.at, "runs" if one.alive else "ended", one.killed, one.failed, one.lost) for one in found]
    titles = ("gateway", "found out", "process", "ended with it", "refused by the disk", "turned away")
    return Answer({"losses": found}, printed(table(titles, rows, empty="nothing was lost")))


def erase(desk: Desk, *, endpoint: str, key: str, reason: str) -> Answer:
    """Remove a person's rows."""
    done: Forgotten = actions.erase_answers(desk.ctx, endpoint, key, reason=reason)
    shown = facts([("predictions", done.predictions), ("outcomes", done.outcomes), ("parts", done.parts)])
    return Answer(done, printed(shown))
