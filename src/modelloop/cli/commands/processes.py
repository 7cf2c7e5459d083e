"""Commands that become a process: up, control, worker, gateway."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from ..face import act
from ..options import PLAIN, Options, Port


def up(*, face: Options = PLAIN) -> int:
    """Start control, worker and gateway, restart what dies, end all of them with Ctrl-C.

    Addresses come from MODELLOOP_HOST, MODELLOOP_CONTROL_PORT, MODELLOOP_GATEWAY_PORT and MODELLOOP_GATEWAYS. With
    --json: one document once all is ready, then nothing more.
    """
    return act("up:up", face)


def page(*, face: Options = PLAIN) -> int:
    """Print a fresh address of the page. It opens once, and leaves a session in that browser."""
    return act("page:page", face)


def control(
    *, port: Annotated[Port | None, Parameter(help="Instead of MODELLOOP_CONTROL_PORT.")] = None, face: Options = PLAIN
) -> int:
    """Run the control process alone: API and page."""
    return act("control:control", face, port=port)


def worker(*, face: Options = PLAIN) -> int:
    """Run a worker process alone: it runs pipelines, rollouts, monitors and triggers."""
    return act("worker:worker", face)


def gateway(
    *,
    port: Annotated[Port | None, Parameter(help="Instead of MODELLOOP_GATEWAY_PORT.")] = None,
    name: Annotated[str, Parameter(help="This gateway's own name; no two may share it.")] = "g1",
    face: Options = PLAIN,
) -> int:
    """Run a gateway process alone: it answers predictions and needs neither database nor control."""
    return act("gateway:gateway", face, port=port, name=name)


def run_child(*, run: str, worker: str | None = None, face: Options = PLAIN) -> int:
    """Execute one run in this process (started by a worker).

    Parameters
    ----------
    run
        The run's id.
    worker
        The name of the worker that holds it.
    """
    return act("run_child:run_child", face, run=run, worker=worker)
