"""Commands that change what answers: deploy, rollback, approve, rollout; and what is under way: rollouts."""

from __future__ import annotations

from cyclopts import App

from ..face import act
from ..options import PLAIN, Limit, Options

rollouts = App(name="rollouts", help="Rollouts with their evidence: list, show.")
rollout = App(name="rollout", help="Steer a rollout: pause, resume, promote, abort, retire.")


def deploy(version: str, /, *, endpoint: str | None = None, reason: str = "", face: Options = PLAIN) -> int:
    """Roll a version out: shadow, canary, live, or back. Its gates must have passed.

    Parameters
    ----------
    version
        MODEL:NUMBER, for instance delay:3.
    endpoint
        Where; needed only if several endpoints serve the model.
    reason
        Why, for the audit log.
    """
    return act("steer:deploy", face, version=version, endpoint=endpoint, reason=reason)


def rollback(endpoint: str, /, *, to: str | None = None, reason: str = "", face: Options = PLAIN) -> int:
    """Let an earlier version answer again, at once.

    Parameters
    ----------
    endpoint
        The endpoint.
    to
        MODEL:NUMBER; if left out, a running rollout goes back, else the champion before the present one returns.
    reason
        Why, for the audit log.
    """
    return act("back:rollback", face, endpoint=endpoint, to=to, reason=reason)


def approve(what: str, /, *, reason: str = "", face: Options = PLAIN) -> int:
    """Agree that a rollout goes live.

    Parameters
    ----------
    what
        The endpoint where it waits, or the rollout's id.
    reason
        Why, for the audit log.
    """
    return act("steer:approve", face, what=what, reason=reason)


@rollouts.default
def rollouts_list(*, endpoint: str | None = None, limit: Limit = 20, face: Options = PLAIN) -> int:
    """List rollouts, newest first.

    Parameters
    ----------
    endpoint
        Only those of this endpoint.
    """
    return act("steer:listing", face, endpoint=endpoint, limit=limit)


rollouts.command(rollouts_list, name="list")


@rollouts.command(name="show")
def rollouts_show(what: str, /, *, face: Options = PLAIN) -> int:
    """Show a rollout: its way, its verdicts with their numbers, what is left to wait for.

    Parameters
    ----------
    what
        An endpoint (its newest rollout), or the id rollout_...
    """
    return act("steer:show", face, what=what)


@rollout.command
def pause(endpoint: str, /, *, reason: str = "", face: Options = PLAIN) -> int:
    """Hold the rollout where it is. Its exposure stays; harm still leads back.

    Parameters
    ----------
    endpoint
        The endpoint.
    reason
        Why, for the audit log.
    """
    return act("steer:pause", face, endpoint=endpoint, reason=reason)


@rollout.command
def resume(endpoint: str, /, *, reason: str = "", face: Options = PLAIN) -> int:
    """Let a paused rollout go on, with the evidence and the time that it had.

    Parameters
    ----------
    endpoint
        The endpoint.
    reason
        Why, for the audit log.
    """
    return act("steer:resume", face, endpoint=endpoint, reason=reason)


@rollout.command
def promote(endpoint: str, /, *, reason: str = "", face: Options = PLAIN) -> int:
    """Let the challenger answer everybody now, without the evidence that is missing; in the bake, end the bake.

    Parameters
    ----------
    endpoint
        The endpoint.
    reason
        Why, for the audit log.
    """
    return act("steer:promote", face, endpoint=endpoint, reason=reason)


@rollout.command
def abort(endpoint: str, /, *, reason: str = "", face: Options = PLAIN) -> int:
    """Send the rollout back; in the bake the version before answers again at once.

    Parameters
    ----------
    endpoint
        The endpoint.
    reason
        Why, for the audit log.
    """
    return act("steer:abort", face, endpoint=endpoint, reason=reason)


@rollout.command
def retire(endpoint: str, /, *, reason: str = "", face: Options = PLAIN) -> int:
    """Let nothing answer any more at an endpoint that the project file no longer declares.

    Parameters
    ----------
    endpoint
        The endpoint.
    reason
        Why, for the audit log.
    """
    return act("steer:retire", face, endpoint=endpoint, reason=reason)
