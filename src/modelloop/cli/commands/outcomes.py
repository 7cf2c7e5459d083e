"""`modelloop outcomes`: what turned out true, from a file. `modelloop predictions`: what was answered."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App

from ..face import act
from ..options import PLAIN, Limit, Options

predictions = App(name="predictions", help="What was answered: list, failures, losses, erase, erasures.")


def outcomes(file: Path, /, *, endpoint: str, face: Options = PLAIN) -> int:
    """Join what turned out true to predictions: a CSV file with a header, or JSON lines.

    Columns: prediction_id or key (the value of the endpoint's outcome_key), label (a number or the name of a class),
    and perhaps row and event_time. What is sent twice counts once; what comes too early waits.

    Parameters
    ----------
    file
        NAME.csv or NAME.jsonl.
    endpoint
        Where the predictions were answered.
    """
    return act("outcomes:outcomes", face, file=file, endpoint=endpoint)


@predictions.default
def listing(endpoint: str, /, *, key: str | None = None, limit: Limit = 20, face: Options = PLAIN) -> int:
    """List answered rows, newest first.

    Parameters
    ----------
    endpoint
        Where they were answered.
    key
        Only those of a business key: a value of the endpoint's outcome_key, also where it is masked.
    limit
        How many.
    """
    return act("outcomes:listing", face, endpoint=endpoint, key=key, limit=limit)


predictions.command(listing, name="list")


@predictions.command
def failures(endpoint: str, /, *, limit: Limit = 20, face: Options = PLAIN) -> int:
    """List requests that no version answered, because of the version, newest first.

    Parameters
    ----------
    endpoint
        Where they were asked.
    limit
        How many.
    """
    return act("outcomes:failures", face, endpoint=endpoint, limit=limit)


@predictions.command
def losses(*, face: Options = PLAIN) -> int:
    """Show what gateways could not keep in their logs: a full disk, a killed process under `buffered`."""
    return act("outcomes:losses", face)


@predictions.command
def erase(endpoint: str, key: str, /, *, reason: str, face: Options = PLAIN) -> int:
    """Remove what was answered to a business key from facts, parts and gateways' logs, with its outcomes.

    Says what is still pending after some seconds (a gateway that does not close its file); the loop goes on with it.

    Parameters
    ----------
    endpoint
        Where it was answered.
    key
        The value of the endpoint's outcome_key.
    reason
        Who asked for it and why, without naming the key; it stands in the audit log.
    """
    return act("outcomes:erase", face, endpoint=endpoint, key=key, reason=reason)


@predictions.command
def erasures(*, unfinished: bool = False, limit: Limit = 20, face: Options = PLAIN) -> int:
    """List what was erased, newest first, and what is still pending.

    Parameters
    ----------
    unfinished
        Only those with something pending.
    limit
        How many.
    """
    return act("outcomes:erasures", face, unfinished=unfinished, limit=limit)
