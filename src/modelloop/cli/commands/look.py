"""Commands that look and change nothing: status, monitor, episodes, audit."""

from __future__ import annotations

from cyclopts import App

from ..face import act
from ..options import PLAIN, Limit, Options

monitor = App(name="monitor", help="What is watched: signals, alerts.")
episodes = App(name="episodes", help="Turns of the loop with their evidence: list, show.")
audit = App(name="audit", help="The audit chain: verify, list.")


def status(*, face: Options = PLAIN) -> int:
    """Show each stage of the loop, and which processes are up."""
    return act("look:status", face)


@monitor.default
def signals(*, limit: Limit = 20, face: Options = PLAIN) -> int:
    """List what the monitors measured, newest window first."""
    return act("look:signals", face, limit=limit)


monitor.command(signals, name="signals")


@monitor.command
def alerts(*, limit: Limit = 20, face: Options = PLAIN) -> int:
    """List alerts, newest first."""
    return act("look:alerts", face, limit=limit)


@episodes.default
def episodes_list(*, face: Options = PLAIN) -> int:
    """List episodes, newest first."""
    return act("episodes:listing", face)


episodes.command(episodes_list, name="list")


@episodes.command(name="show")
def episodes_show(episode: str, /, *, face: Options = PLAIN) -> int:
    """Show one episode: signal, run, gates, rollout, result.

    Parameters
    ----------
    episode
        Its number, or its id episode_...
    """
    return act("episodes:show", face, episode=episode)


@audit.command(name="verify")
def audit_verify(*, face: Options = PLAIN) -> int:
    """Check that no entry of the audit log was changed, added or taken out."""
    return act("look:audit_verify", face)


@audit.default
def audit_list(*, limit: Limit = 20, subject: str | None = None, face: Options = PLAIN) -> int:
    """List the newest entries of the audit log.

    Parameters
    ----------
    subject
        Only entries about this: an id, MODEL:NUMBER, an endpoint.
    """
    return act("look:audit_list", face, limit=limit, subject=subject)


audit.command(audit_list, name="list")
