"""The work of `modelloop outcomes` and `modelloop predictions`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...deploy import actions
from ...deploy.records import Erasure
from ...deploy.sent import truths_in
from ...ground.core.errors import InvalidInput
from ..desk import Desk
from ..face import Answer
from .named import check_endpoint
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
    check_endpoint(desk, endpoint)
    if key is None:
        found = actions.latest_predictions(desk.ctx, endpoint, limit)
    else:
        found = actions.predictions_of_key(desk.ctx, endpoint, key, limit=limit)
    names = actions.classes_of(desk.ctx, endpoint) if found else ()
    rows = [
        (
            *(one.id, one.row, one.event_time, one.arm, one.version),
            *(_named(names, one.score), "" if one.label is None else _named(names, one.label), one.business_key),
        )
        for one in found
    ]
    titles = ("prediction", "row", "event time", "arm", "version", "answer" if names else "score", "label", "key")
    return Answer({"rows": found}, printed(table(titles, rows, empty="nothing was taken in yet")))


def _named(names: Sequence[str], value: float) -> str:
    """Return an answer or a label as people read it: a class by its name."""
    return names[int(value)] if value in range(len(names)) else f"{value:.6g}"


def failures(desk: Desk, *, endpoint: str, limit: int) -> Answer:
    """List what no version answered."""
    check_endpoint(desk, endpoint)
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
    done = actions.erase_answers(desk.ctx, endpoint, key, reason=reason)
    counts = [(name, getattr(done, name)) for name in ("predictions", "outcomes", "waiting", "rewritten")]
    left = [("pending", one) for one in done.pending] or [("pending", "nothing")]
    return Answer(done, printed(facts([*counts, *left, *(("look by hand", one) for one in done.by_hand)])))


def erasures(desk: Desk, *, unfinished: bool, limit: int) -> Answer:
    """List erasures."""
    found = actions.erasures(desk.ctx, unfinished=unfinished, limit=limit)
    rows = [(one.id, one.endpoint, one.asked_at, _end(one), one.predictions, one.outcomes, one.reason) for one in found]
    titles = ("erasure", "endpoint", "asked for", "ended", "predictions", "outcomes", "reason")
    return Answer({"erasures": found}, printed(table(titles, rows, empty="nothing was erased")))


def _end(one: Erasure) -> object:
    return one.finished_at or f"waits for {', '.join(one.pending)}"
