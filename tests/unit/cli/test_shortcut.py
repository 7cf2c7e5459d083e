"""The way past the parser understands what it is sure of, and leaves the rest to the parser."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from modelloop.cli import shortcut

RAN = list[tuple[str, Any, dict[str, Any]]]


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> RAN:
    acts: RAN = []

    def act(target: str, face: Any, **arguments: Any) -> int:
        acts.append((target, (face.project, face.json), arguments))
        return 7

    monkeypatch.setattr(shortcut, "act", act)
    monkeypatch.setattr("modelloop.cli.entry.main", lambda words: len(words) * 100)
    return acts


def test_a_rollback_is_understood(ran: RAN) -> None:
    words = ["rollback", "late", "--to", "delay:3", "--reason", "too slow", "--json", "--project", "here"]
    assert shortcut.main(words) == 7
    assert shortcut.main(["rollback", "late"]) == 7
    assert ran == [
        ("back:rollback", (Path("here"), True), {"endpoint": "late", "to": "delay:3", "reason": "too slow"}),
        ("back:rollback", (None, False), {"endpoint": "late", "to": None, "reason": ""}),
    ]


def test_a_run_is_understood(ran: RAN) -> None:
    assert shortcut.main(["run", "train", "-P", "a=1", "--param", "b=2", "--local"]) == 7
    (one,) = ran
    assert (one[0], one[2]["params"], one[2]["local"]) == ("begin:run", ["a=1", "b=2"], True)


@pytest.mark.parametrize(
    "words",
    [
        ["rollback"],
        ["rollback", "--help"],
        ["rollback", "late", "--to"],
        ["rollback", "late", "--to", "delay:1", "--to", "delay:2"],
        ["rollback", "late", "--local"],
        ["rollback", "late", "more"],
        ["run", "train", "--to", "x"],
        ["deploy", "delay:1"],
    ],
)
def test_the_rest_goes_to_the_parser(ran: RAN, words: list[str]) -> None:
    assert shortcut.main(words) == len(words) * 100
    assert ran == []


def test_a_rollback_loads_nothing_that_it_does_not_need() -> None:
    """What is not loaded takes no time: `make bench NAME=rollback` has the figures."""
    probe = "import sys, modelloop.cli.acts.back; print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert {"sqlalchemy", "modelloop.deploy.actions.steering"} <= loaded
    foreign = {"alembic", "psycopg", "numpy", "polars", "onnxruntime", "rich", "cyclopts", "jinja2", "uvicorn"}
    ours = {"project", "train.records", "train.tracking", "prepare.transform", "evaluate.metrics", "data.settings"}
    assert not (foreign | {f"modelloop.{name}" for name in ours}) & loaded


PROBE = """
import gc, sys
from modelloop.cli import face, main
def say(target, face, **arguments):
    print("held" if not gc.isenabled() else "works")
    from modelloop.cli import haste
    haste.loaded()
    print("held" if not gc.isenabled() else "works")
    return 0
import modelloop.cli.shortcut as shortcut
shortcut.act = say
sys.argv = ["modelloop", "rollback", "late"]
words = None if sys.stdin.read() == "own" else sys.argv[1:]
main(words)
"""


@pytest.mark.parametrize(("whose", "told"), [("own", ["held", "works"]), ("another's", ["works", "works"])])
def test_the_collector_is_held_while_the_own_process_loads(whose: str, told: list[str]) -> None:
    line = [sys.executable, "-c", PROBE]
    done = subprocess.run(line, input=whose, capture_output=True, text=True, check=True)
    assert done.stdout.split() == told
