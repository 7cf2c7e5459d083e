"""Commands about runs: what they did and why, what they printed, what they wait for."""

from __future__ import annotations

from cyclopts import App

from ..face import act
from ..options import PLAIN, Limit, Options

app = App(name="runs", help="Runs: list, show, why, stdout, waiting, answer, cancel.")


@app.default
def runs_list(*, limit: Limit = 20, face: Options = PLAIN) -> int:
    """List runs, newest first."""
    return act("runs:listing", face, limit=limit)


app.command(runs_list, name="list")


@app.command(name="show")
def runs_show(run: str, /, *, face: Options = PLAIN) -> int:
    """Show one run: what it ran on, its steps, its metrics.

    Parameters
    ----------
    run
        The run's id, run_...
    """
    return act("runs:show", face, run=run)


@app.command(name="stdout")
def runs_stdout(run: str, /, *, face: Options = PLAIN) -> int:
    """Print what a run printed.

    Parameters
    ----------
    run
        The run's id, run_...
    """
    return act("runs:stdout", face, run=run)


@app.command(name="why")
def runs_why(subject: str, step: str | None = None, /, *, face: Options = PLAIN) -> int:
    """Say why steps ran: which input, parameter, line of code, seed or package changed.

    Parameters
    ----------
    subject
        A run's id, run_...; or the name of a step: then its newest call.
    step
        Only this step of the run: its name, or the number of the call.
    """
    return act("runs:why", face, subject=subject, step=step)


@app.command(name="waiting")
def runs_waiting(*, face: Options = PLAIN) -> int:
    """List what runs ask people, and wait for."""
    return act("runs:waiting", face)


@app.command(name="answer")
def runs_answer(run: str, name: str, choice: str, /, *, comment: str = "", face: Options = PLAIN) -> int:
    """Answer what a run asks; it goes on from there. An answer is given once, and stands in the audit log.

    Parameters
    ----------
    run
        The run's id, run_...
    name
        The name of the question.
    choice
        One of the choices that it offers.
    comment
        Why.
    """
    return act("runs:answer", face, run=run, name=name, choice=choice, comment=comment)


@app.command(name="cancel")
def runs_cancel(run: str, /, *, face: Options = PLAIN) -> int:
    """Cancel a run: one that runs is ended with all it has started.

    Parameters
    ----------
    run
        The run's id, run_...
    """
    return act("runs:cancel", face, run=run)
