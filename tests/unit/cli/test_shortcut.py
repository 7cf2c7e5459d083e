"""The way past the parser understands what it is sure of, and leaves the rest to the parser."""

from __future__ import annotations

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
        ("steer:rollback", (Path("here"), True), {"endpoint": "late", "to": "delay:3", "reason": "too slow"}),
        ("steer:rollback", (None, False), {"endpoint": "late", "to": None, "reason": ""}),
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
