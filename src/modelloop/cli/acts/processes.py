"""The work of the commands that become a process."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import Any

from ... import app, supervise
from ...ground.core.records import Actor
from ...ground.replies import encode
from ..desk import Desk
from ..face import Answer


def up(desk: Desk) -> Answer:
    """Supervise until Ctrl-C."""
    settings, wanted = desk.settings, list[supervise.Program]()
    desk.project  # noqa: B018 - mistakes in the project file are told before anything starts
    with supervise.alone(settings.home):
        app.open_context(desk.project_dir, settings=settings).db.close()  # migrated once, before all start at once
        settings, wanted = supervise.programs(settings)
        supervisor = supervise.Supervisor(settings.home, wanted, lambda line: print(line, file=sys.stderr, flush=True))  # noqa: T201

        def tell() -> None:
            state = {**supervisor.state(), "page": _page(desk, wanted[0].address or "")}
            _say_json(state) if desk.face.json else _say(state)

        supervise.keep_up(supervisor, when_ready=tell)
    return Answer({}, lambda _console: None, told=True)


def page(desk: Desk) -> Answer:
    """Make an address that opens once."""
    state = supervise.running(desk.settings.home)
    processes: Any = state["processes"] if state else []
    address = next((process["address"] for process in processes if process["kind"] == "control"), None)
    host = f"[{desk.settings.host}]" if ":" in desk.settings.host else desk.settings.host
    found = _page(desk, address or f"http://{host}:{desk.settings.control_port}")
    return Answer({"page": found}, lambda _console: print(found))  # noqa: T201 - to be copied whole, never wrapped


def control(desk: Desk, *, port: int | None) -> Answer:
    """Serve API and page."""
    from ...control import serve  # noqa: PLC0415 - the web server, for this command only

    settings = desk.settings if port is None else replace(desk.settings, control_port=port)
    serve(desk.project_dir, settings)
    return Answer({}, lambda _console: None, told=True)


def worker(desk: Desk) -> Answer:
    """Turn the loop and run what is queued."""
    from ...worker import serve  # noqa: PLC0415 - as above

    ctx = app.open_context(desk.project_dir, Actor("worker"), settings=desk.settings)
    try:
        serve(ctx, desk.project, desk.project_dir)
    finally:
        ctx.db.close()
    return Answer({}, lambda _console: None, told=True)


def gateway(desk: Desk, *, port: int | None, name: str) -> Answer:
    """Become a gateway: this process is replaced."""
    settings = desk.settings
    app.secret_token(settings)  # refuses an address beyond loopback that nothing guards
    argv = supervise.gateway_argv(settings, settings.gateway_port if port is None else port, name)
    os.execv(argv[0], argv)  # noqa: S606 - our own interpreter and arguments


def _page(desk: Desk, address: str) -> str:
    from ...control import doorkeeper  # noqa: PLC0415 - as above

    reachable = address.replace("//0.0.0.0", "//127.0.0.1").replace("//[::]", "//[::1]")
    return f"{reachable}/?token={doorkeeper(desk.settings).once(desk.ctx.now())}"


def _say(state: dict[str, Any]) -> None:
    for process in state["processes"]:
        sys.stdout.write(f"{process['name']:10} {process['address'] or 'pid ' + str(process['pid'])}\n")
    sys.stdout.write(f"\nThe page (this address opens once): {state['page']}\nCtrl-C ends all of them.\n")
    sys.stdout.flush()


def _say_json(state: dict[str, Any]) -> None:
    sys.stdout.write(encode(state, indent=True).decode() + "\n")
    sys.stdout.flush()
