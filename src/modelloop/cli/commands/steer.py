"""Commands that change what answers: deploy, rollback, approve."""

from __future__ import annotations

from ..face import act
from ..options import PLAIN, Options


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
    return act("steer:rollback", face, endpoint=endpoint, to=to, reason=reason)


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
