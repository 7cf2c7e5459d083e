"""Commands on a fresh project: one JSON document each, errors in one shape, found from any folder below."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from modelloop.app import find_project
from modelloop.cli import main
from modelloop.ground.core.errors import NotFound
from modelloop.testing.fakes import declare_tables

LOOKS = (
    ["status"],
    ["data"],
    ["data", "list"],
    ["runs"],
    ["models", "list"],
    ["monitor"],
    ["monitor", "alerts"],
    ["episodes"],
    ["audit"],
    ["audit", "verify"],
    ["page"],
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    declare_tables()
    place = tmp_path / "trial"
    assert main(["init", str(place)]) == 0
    capsys.readouterr()
    (place / "deep" / "below").mkdir(parents=True)
    monkeypatch.chdir(place / "deep" / "below")
    return place


def told(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("words", LOOKS, ids=" ".join)
def test_every_look_is_one_json_document_or_a_text(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    assert main([*words, "--json"]) == 0
    assert isinstance(told(capsys), dict)
    assert main(words) == 0
    seen = capsys.readouterr()
    assert seen.out.strip()
    assert not seen.err


def test_init_says_what_it_wrote_and_overwrites_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", str(folder), "--json"]) == 1
    answer = told(capsys)
    assert answer["code"] == "ML300"
    assert (folder / "modelloop.toml").read_text().startswith("#")


def test_init_asks_for_a_task_it_knows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", str(tmp_path / "x"), "--task", "regresion"]) == 1
    error = capsys.readouterr().err
    assert "error ML100" in error
    assert "Did you mean regression?" in error
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["data", "show", "nothing"], "ML200"),
        (["runs", "show", "nothing"], "ML106"),
        (["models", "show", "nothing:1"], "ML200"),
        (["models", "card", "nothing"], "ML200"),
        (["episodes", "show", "7"], "ML200"),
        (["deploy", "nothing:1"], "ML100"),
        (["rollback", "nothing"], "ML200"),
        (["approve", "nothing"], "ML300"),
        (["run", "trian"], "ML200"),
        (["run", "train", "-P", "novalue"], "ML100"),
        (["data", "ingest", "nothing"], "ML200"),
        (["data", "infer", "nothing.csv"], "ML200"),
    ],
)
def test_what_is_refused_is_told_with_its_code_and_no_traceback(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: str
) -> None:
    assert main(words) == 1
    seen = capsys.readouterr()
    assert seen.err.startswith(f"error {code}: ")
    assert "Traceback" not in seen.err
    assert main([*words, "--json"]) == 1
    assert told(capsys)["code"] == code


def test_a_misspelt_pipeline_is_guessed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["run", "trian"])
    assert "Did you mean 'train'?" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["nonsense"], ["data", "shw"], ["runs", "--limit", "many"], ["deploy"]])
def test_what_is_not_understood_ends_with_two(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert main(words) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_outside_a_project_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["status"]) == 1
    assert "modelloop init" in capsys.readouterr().err


def test_the_project_is_found_from_below_and_by_name(folder: Path, tmp_path: Path) -> None:
    assert find_project() == folder
    assert find_project(folder / "modelloop.toml") == folder
    with pytest.raises(NotFound):
        find_project(tmp_path)


def test_the_secret_is_its_owners_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["status"])
    token = folder / ".modelloop" / "secrets" / "token"
    assert token.stat().st_mode & 0o777 == 0o600
    assert token.parent.stat().st_mode & 0o777 == 0o700
    assert len(token.read_text().strip()) >= 40
    first = token.read_text()
    main(["data"])
    assert token.read_text() == first


def test_a_contract_is_proposed_for_a_file(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("name,count\na,1\nb,2\n")
    assert main(["data", "infer", str(file), "--name", "things"]) == 0
    assert "[contracts.things]" in capsys.readouterr().out


def test_mistakes_in_the_project_file_are_all_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = folder / "modelloop.toml"
    file.write_text(file.read_text().replace('task = "binary"', 'task = "binry"').replace("owner", "ownr"))
    assert main(["status"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error ML101")
    assert "binry" in error
    assert "ownr" in error
