"""The work of `modelloop gateway`."""

from __future__ import annotations

import os

from ... import app
from ...deploy.actions.secret import make_log_key
from ...deploy.gateway.command import gateway_argv
from ..desk import Desk
from ..face import Answer


def gateway(desk: Desk, *, port: int | None, name: str) -> Answer:
    """Become a gateway: this process is replaced."""
    settings = desk.settings
    app.secret_token(settings)  # refuses an address beyond loopback that nothing guards
    make_log_key(settings.home)
    argv = gateway_argv(settings, settings.gateway_port if port is None else port, name)
    os.execv(argv[0], argv)  # noqa: S606 - our own interpreter and arguments
