"""The work of `modelloop up`."""

from __future__ import annotations

import shlex
import sys
from typing import Any

from ... import app, supervise
from ...deploy.actions.secret import make_log_key
from ...ground.replies import encode
from ..desk import Desk
from ..face import Answer
from .page import address_of


def up(desk: Desk) -> Answer:
    """Supervise until Ctrl-C."""
    settings, wanted = desk.settings, list[supervise.Program]()
    desk.project  # noqa: B018 - mistakes in the project file are told before anything starts
    with supervise.alone(settings.home):
        app.open_context(desk.project_dir, settings=settings).db.close()  # migrated once, before all start at once
        make_log_key(settings.home)
        settings, wanted = supervise.programs(settings)
        supervisor = supervise.Supervisor(settings.home, wanted, lambda line: print(line, file=sys.stderr, flush=True))  # noqa: T201 - its log

        def tell() -> None:
            control = wanted[0].address or ""
            where = {"page": address_of(desk, control), "control": control, "token_file": str(settings.token_file)}
            state = {**supervisor.state(), **where}
            _say_json(state) if desk.face.json else _say(state)

        supervise.keep_up(supervisor, when_ready=tell)
    return Answer({}, lambda _console: None, told=True)


def _say(state: dict[str, Any]) -> None:
    for process in state["processes"]:
        sys.stdout.write(f"{process['name']:10} {process['address'] or 'pid ' + str(process['pid'])}\n")
    sys.stdout.write(f"\nThe page (this address opens once): {state['page']}\n")
    sys.stdout.write(f"MLflow clients: export MLFLOW_TRACKING_URI={state['control']} MLFLOW_TRACKING_TOKEN=$(cat ")
    sys.stdout.write(f"{shlex.quote(state['token_file'])})\nCtrl-C ends all of them.\n")
    sys.stdout.flush()


def _say_json(state: dict[str, Any]) -> None:
    sys.stdout.write(encode(state, indent=True).decode() + "\n")
    sys.stdout.flush()
