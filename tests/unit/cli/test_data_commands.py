"""Versions, branches, quarantine, retention and erasure, as they are typed and as they are called."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from modelloop.cli import main
from modelloop.testing.fakes import declare_tables

PROJECT = """
[project]
name = "trial"
owner = "team"

[objective]
task = "regression"
metric = "mae"
label = "age"
id = "id"
time = "at"

[sources.feed]
path = "in"
dataset = "people"
contract = "people"
format = "csv"

[contracts.people]
key = ["id"]
on_violation = "quarantine"
max_quarantined = 0.9
retention = { versions = 1 }

[contracts.people.columns]
id = { type = "integer" }
name = { type = "string" }
age = { type = "float", max = 150 }
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    declare_tables()
    (tmp_path / "in").mkdir()
    assert main(["init", str(tmp_path / "made")]) == 0
    text = (tmp_path / "made" / "modelloop.toml").read_text()
    head = text[: text.index("[sources.")]
    (tmp_path / "modelloop.toml").write_text(head + PROJECT[PROJECT.index("[sources.") :])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in" / "a.csv").write_text("id,name,age\n1,ann,30\n2,bob,40\n3,cid,999\n")
    assert main(["data", "ingest"]) == 0, capsys.readouterr()
    capsys.readouterr()
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> Any:
    """The JSON of a command; its text is shown as well where it changes nothing."""
    assert main(["data", *words, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["data", *words]) == 0
    return capsys.readouterr().out


def test_the_life_of_a_dataset(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "tag", "people", "release", "--message", "first")["number"] == 1
    assert said(capsys, "branch", "people:release", "trial")["head"] == 1
    (folder / "in" / "b.csv").write_text("id,name,age\n4,dan,20\n")
    assert said(capsys, "ingest", "--branch", "trial")["sources"]["feed"]["version"] == "people:2"
    assert [one["head"] for one in said(capsys, "branches", "people")["branches"]] == [1, 2]
    assert said(capsys, "merge", "people", "trial", "--message", "fine")["version"] == "people:3"
    found = said(capsys, "diff", "people:release", "people@main")
    assert (found["changes"]["added"], found["rows"]) == (1, [2, 3])
    text = shown(capsys, "diff", "people:1", "people:3")
    assert "1 added, 0 removed, 0 changed" in text
    assert "name=dan" in text
    assert said(capsys, "restore", "people:1", "--message", "back")["version"] == "people:4"
    assert "merged trial" in shown(capsys, "versions", "people") or "fine" in shown(capsys, "versions", "people")
    assert said(capsys, "show", "people:release")["dataset"] == "people"
    assert said(capsys, "tag", "people", "release", code=1)["code"] == "ML300"
    assert said(capsys, "tag", "people", "release", "--move")["number"] == 4
    assert [one["name"] for one in said(capsys, "tags", "people")["tags"]] == ["release"]
    assert said(capsys, "tag", "people", "release", "--drop")["dropped"] == "release"
    assert said(capsys, "branch", "people", "trial", "--drop")["dropped"] == "trial"
    assert said(capsys, "prune", "people")["pruned"] == [1, 3]
    assert "nothing yet" not in shown(capsys, "versions", "people")


def test_export(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for ending, read in ((".parquet", pl.read_parquet), (".csv", pl.read_csv), (".jsonl", pl.read_ndjson)):
        file = folder / f"out{ending}"
        assert said(capsys, "export", "people:1", str(file))["rows"] == 2
        assert read(file)["name"].to_list() == ["ann", "bob"]
        assert said(capsys, "export", "people:1", str(file), code=1)["code"] == "ML300"
    assert said(capsys, "export", "people", "out.xml", code=1)["code"] == "ML100"
    assert said(capsys, "export", "people:9", "out9.csv", code=1)["code"] == "ML200"


def test_quarantine_out_and_in_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "readmit", "people", code=1)["still"][0]["row"] == 3
    assert said(capsys, "quarantine", "people", "--export", "bad.csv")["rows"] == 1
    file = folder / "bad.csv"
    file.write_text(file.read_text().replace("999.0", "99"))
    answer = said(capsys, "readmit", "people", "bad.csv")
    assert (answer["version"], answer["rows"], answer["still"]) == ("people:2", 1, [])
    assert said(capsys, "readmit", "people", "bad.csv", code=1)["code"] == "ML100"  # it waits no more
    assert said(capsys, "quarantine", "people", "--waiting")["rows"] == []
    assert "readmitted" in shown(capsys, "quarantine", "people")
    (folder / "in" / "c.csv").write_text("id,name,age\n7,eve,999\n8,flo,1\n")
    assert main(["data", "ingest"]) == 0
    capsys.readouterr()
    assert said(capsys, "drop", "people", "--reason", "not ours")["dropped"] == 1
    assert said(capsys, "readmit", "people", "none.csv", code=1)["code"] == "ML200"
    assert said(capsys, "readmit", "nobody", code=1)["code"] == "ML200"


def test_erase(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert folder.exists()
    answer = said(capsys, "erase", "people", "name", "bob", "--reason", "a letter of 1 November")
    assert (answer["rows"], answer["versions"]) == (1, [1])
    assert main(["data", "erase", "people", "name", "cid"]) == 2
    capsys.readouterr()
    monkeypatch.setattr("sys.stdin", iter_lines("cid\n"))
    assert said(capsys, "erase", "people", "name", "-", "--reason", "a letter")["rows"] == 1
    assert said(capsys, "quarantine", "people")["rows"] == []


def iter_lines(text: str) -> Any:
    import io  # noqa: PLC0415 - for this one stand-in

    return io.StringIO(text)
