"""The commands of the register, as typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import mlflow_folders as folders
from modelloop.cli.entry import main


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    assert main(["init", "shop"]) == 0
    found = next(tmp_path.rglob("modelloop.toml")).parent
    monkeypatch.chdir(found)
    return found


def told(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> dict[str, object]:
    capsys.readouterr()
    assert main([*words, "--json"]) == code
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_a_folder_comes_in_is_named_checked_and_goes(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = folders.lightgbm_booster(tmp_path / "trees")
    made = told(capsys, "models", "import", str(source), "--name", "trees")["version"]
    assert isinstance(made, dict)
    assert made["package"], made["refusal"]
    assert told(capsys, "models", "alias", "trees:1", "best", "--reason", "why not")["version"] == "trees:1"
    (alias,) = told(capsys, "models", "aliases", "trees")["aliases"]  # type: ignore[misc]
    assert (alias["number"], alias["why"]) == (1, "why not")
    assert len(told(capsys, "models", "history", "trees")["moves"]) == 1  # type: ignore[arg-type]
    assert told(capsys, "models", "show", "trees@best")["files"]
    assert main(["models", "card", "trees:1"]) == 0
    assert main(["models", "list"]) == 0
    assert told(capsys, "models", "export", "trees:1", str(tmp_path / "out"))["files"] == 2
    (checked,) = told(capsys, "models", "verify")["versions"]  # type: ignore[misc]
    assert checked["wrong"] == []
    assert main(["models", "delete", "trees:1"]) == 1, "an alias names it"
    assert main(["models", "live", "nowhere"]) == 1
    assert main(["models", "live", "trees", "--at", "noon"]) == 1
    assert main(["models", "delete", "trees:1", "--force"]) == 0
    plan = told(capsys, "gc", "--dry-run", "--grace-hours", "0")
    assert plan["aside"]["count"] > 5  # type: ignore[index]
    digest = plan["digests"][0]  # type: ignore[index]
    assert "Nothing needs them" in str(told(capsys, "gc", "--why", digest))
    done = told(capsys, "gc", "--grace-hours", "0")
    assert done["aside"] == plan["aside"]
    assert told(capsys, "gc", "--grace-hours", "0")["deleted"] == plan["aside"]
