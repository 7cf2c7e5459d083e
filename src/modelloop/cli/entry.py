"""What can be typed: the table of commands. Each is imported when it is called or its own help is asked for."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from cyclopts import App, CycloptsError, UnusedCliTokensError

COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("modelloop.cli.commands.start:init", "Make a project: a commented modelloop.toml and a file of steps."),
    "up": ("modelloop.cli.commands.processes:up", "Start control, worker and gateway, and keep them running."),
    "demo": ("modelloop.cli.commands.demo:demo", "Watch the loop turn on a year of real flights."),
    "run": ("modelloop.cli.commands.start:run", "Run a pipeline; a model's pipeline opens an episode."),
    "status": ("modelloop.cli.commands.look:status", "Show each stage of the loop, and which processes are up."),
    "data": (
        "modelloop.cli.commands.data:app",
        (
            "Data and its versions: list, show, versions, ingest, infer, quarantine, readmit, drop, export, diff, "
            "branches, branch, merge, tags, tag, restore, prune, erase."
        ),
    ),
    "runs": ("modelloop.cli.commands.runs:app", "Runs: list, show, why, stdout, waiting, answer, cancel."),
    "experiments": (
        "modelloop.cli.commands.experiments:app",
        "What was tried: list, board, compare, front, groups, curve.",
    ),
    "sync": ("modelloop.cli.commands.track:sync", "Send what runs logged while a server was away, or were killed."),
    "models": (
        "modelloop.cli.commands.models:app",
        ("Model versions: list, show, card, alias, aliases, history, live, import, convert, export, verify, delete."),
    ),
    "import": ("modelloop.cli.commands.exchange:app", "Bring in what another tool kept, with a proof: mlflow."),
    "export": ("modelloop.cli.commands.exchange:export", "Write everything to open formats, with hashes."),
    "gc": ("modelloop.cli.commands.gc:gc", "Free the bytes that nothing needs, and say why the rest stays."),
    "deploy": ("modelloop.cli.commands.steer:deploy", "Roll a version out: shadow, canary, live, or back."),
    "rollback": ("modelloop.cli.commands.steer:rollback", "Let an earlier version answer again, at once."),
    "rollouts": ("modelloop.cli.commands.steer:rollouts", "Rollouts with their evidence: list, show."),
    "rollout": ("modelloop.cli.commands.steer:rollout", "Steer a rollout: pause, resume, promote, abort, retire."),
    "approve": ("modelloop.cli.commands.steer:approve", "Agree that a rollout goes live."),
    "monitor": ("modelloop.cli.commands.look:monitor", "What is watched: signals, alerts."),
    "episodes": ("modelloop.cli.commands.look:episodes", "Turns of the loop with their evidence: list, show."),
    "deployment": (
        "modelloop.cli.commands.deployments:app",
        "What answers at an endpoint, for other platforms: export.",
    ),
    "outcomes": ("modelloop.cli.commands.outcomes:outcomes", "Report what turned out true, from a file."),
    "predictions": (
        "modelloop.cli.commands.outcomes:predictions",
        "What was answered: list, failures, losses, erase, erasures.",
    ),
    "online": ("modelloop.cli.commands.online:app", "Datasets of which gateways look up rows by key: list, fill."),
    "score": ("modelloop.cli.commands.score:app", "Score a dataset with a model, into a dataset: run, list."),
    "edge": (
        "modelloop.cli.commands.edge:app",
        "A version as a signed folder, for devices and browser pages: build, verify.",
    ),
    "triggers": ("modelloop.cli.commands.triggers:app", "What starts pipelines by itself: list, show."),
    "cost": (
        "modelloop.cli.commands.cost:cost",
        "What runs took and cost: by step, run, pipeline, month, project.",
    ),
    "components": (
        "modelloop.cli.commands.components:app",
        "Steps that projects share: list, show, publish, take, check.",
    ),
    "audit": ("modelloop.cli.commands.look:audit", "The audit chain: verify, list."),
    "page": ("modelloop.cli.commands.processes:page", "Print a fresh address of the page (it opens once)."),
    "control": ("modelloop.cli.commands.processes:control", "Run the control process alone: API and page."),
    "worker": ("modelloop.cli.commands.processes:worker", "Run a worker process alone: runs, rollouts, monitors."),
    "gateway": ("modelloop.cli.commands.processes:gateway", "Run a gateway process alone: predictions."),
}
"""Name -> where it is and what it is for, in the order in which one meets them."""
HIDDEN: dict[str, str] = {"run-child": "modelloop.cli.commands.processes:run_child"}
"""Started by our own processes only."""


def build() -> App:
    """Return the command line, with nothing behind it imported yet."""
    app = App(
        name="modelloop",
        help="The closed loop: a model from data to production, and kept good there, on evidence.",
        version=_version,
        default_parameter=None,
    )
    for position, (name, (path, text)) in enumerate(COMMANDS.items()):
        app.command(path, name=name, help=text, sort_key=position)
    for name, path in HIDDEN.items():
        app.command(path, name=name, show=False)
    return app


def main(tokens: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 refused or failed, 2 not understood, 130 interrupted."""
    words = list(sys.argv[1:] if tokens is None else tokens)
    try:
        _check_words(words)
        result = build()(
            words,
            exit_on_error=False,
            print_error=False,
            result_action="return_value",
        )
        return result if isinstance(result, int) else 0
    except CycloptsError as error:
        sys.stderr.write(_told(error))
        return 2
    except UnicodeEncodeError as error:
        sys.stderr.write(f"error: {ascii(error.object)[:80]} is not UTF-8.\n")
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `modelloop runs | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _told(error: CycloptsError) -> str:
    """Return what was not understood, what there is instead, and whose help says more."""
    command = " ".join(("modelloop", *(error.command_chain or ())))
    what = str(error)
    if isinstance(error, UnusedCliTokensError):
        words = ", ".join(repr(word[:60]) for word in error.unused_tokens or ())
        what = f"`{command}` does not understand {words}."
        under = [name for name in error.app or () if not name.startswith("-")] if error.app else []
        what += f" It has: {', '.join(under)}." if under else ""
    return f"error: {what}\n  `{command} --help` says what is understood.\n"


def _check_words(words: Sequence[str]) -> None:
    """Raise UnicodeEncodeError for bytes that are no text: they could neither be kept nor shown."""
    for word in words:
        word.encode()


def _version() -> str:
    try:
        return version("modelloop")
    except PackageNotFoundError:
        return "0 (not installed)"
