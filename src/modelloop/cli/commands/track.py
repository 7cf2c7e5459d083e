"""`modelloop sync`: what runs logged and could not send."""

from __future__ import annotations

from ..face import act
from ..options import PLAIN, Options


def sync(*, face: Options = PLAIN) -> int:
    """Send what runs left behind when their process was killed or the server did not answer.

    Looks beside the project and in your cache; each run goes where it was meant to go. Sending twice is harmless. The
    token of a server comes from MODELLOOP_TRACKING_TOKEN.
    """
    return act("track:sync", face)
