"""What is typed wrongly is told in a sentence, with what there is instead, and ends with 1 or 2. Never a traceback."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelloop import app
from modelloop.cli import main
from modelloop.deploy import actions
from modelloop.deploy.records import Stage
from modelloop.evaluate.settings import Task
from modelloop.ground.store.context import Context
from modelloop.project import read_project
from modelloop.scaffold import scaffold
from modelloop.testing.fakes import declare_tables
from packages import make_candidate, put_package
from served import Gateway, fair, put_version

ENDPOINTS = """
[endpoints.late]
model = "delay"
registered = true
[endpoints.late.rollout]
bake_rows = 0
[endpoints.idle]
model = "other"
registered = true
"""


@pytest.fixture(scope="module")
def rolled_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which delay:1 answered at `late`, and delay:2 does: made once, for each test to have a copy."""
    declare_tables()
    folder = tmp_path_factory.mktemp("rolled-out") / "project"
    scaffold(folder, "trial", task=Task.BINARY)
    file = folder / "modelloop.toml"
    file.write_text(file.read_text() + ENDPOINTS)
    made = app.open_context(folder)
    project = read_project(file)
    gateway = Gateway(made, {"delay:1": fair, "delay:2": fair})
    for number in (1, 2):
        put_version(made, number, digest=put_package(made.blobs, make_candidate((number / 10, -0.01, 0.2))))
        rollout = actions.start_rollout(made, project, "late", f"delay:{number}", reason="test")
        gateway.report()
        if actions.advance(made, rollout.id).stage is not Stage.LIVE:
            actions.promote(made, "late", reason="test")
    made.db.close()
    return folder


@pytest.fixture
def ctx(rolled_out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Context]:
    folder = tmp_path / "project"
    shutil.copytree(rolled_out, folder)
    made = app.open_context(folder)
    monkeypatch.chdir(folder)
    yield made
    made.db.close()


def said(capsys: pytest.CaptureFixture[str], line: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(shlex.split(line))
    seen = capsys.readouterr()
    return code, seen.out, seen.err


REFUSED = {
    "rollouts list --endpoint nope": ("There is no endpoint 'nope'.", "late, idle"),
    "rollouts show nope": ("There is no rollout 'nope'", "Endpoints with rollouts: late."),
    "rollouts show rollout_x": ("'rollout_x' is not an id of the kind 'rollout'.",),
    "rollout pause nope": ("Nothing was ever rolled out at 'nope'.", "There are: late."),
    "rollout pause idle": ("Nothing was ever rolled out at 'idle'.", "There are: late."),
    "rollout resume late": ("No rollout is open at 'late'.", "modelloop deploy"),
    "rollout promote late": ("No rollout is open at 'late'.", "modelloop deploy"),
    "rollout abort late": ("No rollout is open at 'late'.", "modelloop deploy"),
    "rollout retire late": ("The project file declares 'late'.", "Take [endpoints.late] out of it first."),
    "rollout retire nope": ("Nothing was ever rolled out at 'nope'.", "There are: late."),
    "rollback nope": ("Nothing was ever rolled out at 'nope'.", "There are: late."),
    "rollback late --to delay:9": ("Cannot go back at 'late': 'delay:9' never answered.", "delay:1 (--to)"),
    "rollback late --to ''": ("Cannot go back at 'late': '' never answered.", "delay:1 (--to)"),
    "approve nope": (
        "Nothing waits for approval at 'nope': no rollout is open.",
        "No rollout is open at any endpoint.",
    ),
    "approve late": (
        "Nothing waits for approval at 'late': no rollout is open.",
        "No rollout is open at any endpoint.",
    ),
    "approve rollout_zz": ("There is no rollout 'rollout_zz'.", "`modelloop rollouts` lists them."),
    "deploy nope": ("'nope' names no version.", "MODEL:NUMBER"),
    "deploy nope:1": ("No endpoint serves the model 'nope'.", "late (delay)", "Add [endpoints.NAME]"),
    "deploy delay:9": ("delay has no version 9.", "The newest is delay:2."),
    "deploy delay@champion": ("delay:2 already answers at 'late'.",),
    "deploy delay:1 --endpoint nope": ("The project file declares no endpoint 'nope'.", "late"),
    "predictions list nope": ("There is no endpoint 'nope'.", "late, idle"),
    "predictions failures nope": ("There is no endpoint 'nope'.", "late, idle"),
    "predictions erase nope key --reason asked": ("Nothing ever answered at the endpoint 'nope'.", "There are: late."),
    "predictions erase late key --reason ''": ("An erasure needs a reason.",),
    "outcomes nope.csv --endpoint late": ("No such file or directory (nope.csv).", "Is the path right?"),
    "outcomes . --endpoint late": ("Is a directory (.).", "Name a file."),
    "outcomes modelloop.toml --endpoint late": ("Line 1 is not JSON", "Expected an object a line."),
    "online fill nope": ("The project file declares no online table 'nope'.",),
    "score run delay:1 nope --into out": ("There is no dataset 'nope'.",),
    "score run delay:9 nope --into out": ("delay has no version 9.",),
    "edge build delay:9 --to out": ("delay has no version 9.",),
    "edge build delay:1 --to steps.py": ("steps.py is there already.", "Name a new folder."),
    "edge verify nope": ("There is no bundle at nope", "modelloop edge build"),
    "edge verify . --key nope": ("There is no key at nope.",),
    "deployment export nope --as kserve --to out": ("Nothing answers at an endpoint 'nope'.", "There are: late."),
    "deployment export late --as kserve --to steps.py": ("steps.py is there already.", "Name a folder"),
}


@pytest.mark.parametrize("line", REFUSED)
def test_what_cannot_be_done_is_told(ctx: Context, capsys: pytest.CaptureFixture[str], line: str) -> None:
    code, out, err = said(capsys, line)
    assert (code, out) == (1, "")
    assert err.startswith("error ML")
    for words in REFUSED[line]:
        assert words in err
    code, out, _ = said(capsys, f"{line} --json")
    assert code == 1
    assert json.loads(out)["error"]


NOT_UNDERSTOOD = {
    "rollouts nope": ("`modelloop rollouts` does not understand 'nope'.", "It has: list, show."),
    "rollouts show late more": ("`modelloop rollouts show` does not understand 'more'.", "rollouts show --help"),
    "rollouts list --limit 0": ("--limit", "Must be >= 1."),
    "rollout nope": ('Unknown command "nope".', "pause, resume, promote, abort, retire"),
    "rollout pause": ("ENDPOINT", "modelloop rollout pause --help"),
    "rollback": ("ENDPOINT", "modelloop rollback --help"),
    "rollback late more": ("`modelloop rollback` does not understand 'more'.",),
    "approve": ("WHAT",),
    "deploy": ("VERSION",),
    "predictions list late --limit x": ('unable to convert "x"',),
    "online nope": ("`modelloop online` does not understand 'nope'.", "It has: list, fill."),
    "score run delay:1 people": ("--into",),
    "edge build delay:1": ("--to",),
    "deployment export late --as nope --to out": ('"kubernetes", "kserve", "ray-serve", "oci"',),
    "outcomes some.csv": ("--endpoint",),
    "control --port 70000": ('Invalid value "70000" for --port. Must be <= 65535.',),
    "control --port=-1": ("Must be >= 0.",),
    "gateway --port 70000": ('Invalid value "70000" for --port. Must be <= 65535.',),
    "gateway --port x": ("--port",),
    "nope": ('Unknown command "nope".', "modelloop --help"),
}


@pytest.mark.parametrize("line", NOT_UNDERSTOOD)
def test_what_is_not_understood_is_told(capsys: pytest.CaptureFixture[str], line: str) -> None:
    code, out, err = said(capsys, line)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    for words in (*NOT_UNDERSTOOD[line], "says what is understood."):
        assert words in err


@pytest.mark.parametrize(
    "line",
    [
        *("rollouts", "rollouts show late", "rollout pause late", "rollback late", "approve late", "deploy delay:1"),
        *("predictions list late", "predictions losses", "online", "score"),
        *("score run delay:1 people --into out", "edge build delay:1 --to out", "control", "worker", "gateway", "up"),
        "deployment export late --as kserve --to out",
    ],
)
def test_outside_a_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = said(capsys, line)
    assert (code, out) == (1, "")
    assert f"There is no modelloop.toml in {tmp_path}" in err
    assert "--project PATH" in err
    assert list(tmp_path.iterdir()) == []


def test_the_same_order_twice(ctx: Context, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "rollback late")[1].startswith("delay:1 answers at late (")
    code, _, err = said(capsys, "rollback late")
    assert code == 1
    assert "there is no earlier version" in err
    assert "Others that answered: delay:2 (--to)." in err
    for _ in range(2):
        assert said(capsys, "rollback late --to delay:2")[1].startswith("delay:2 answers at late (")
    first, second = (json.loads(said(capsys, "deploy delay:1 --json")[1]) for _ in range(2))
    assert first["id"] == second["id"]
    for _ in range(2):
        assert said(capsys, "rollout pause late")[0] == 0
    assert said(capsys, "rollout abort late")[0] == 0
    assert said(capsys, "rollout abort late")[0] == 1


def test_empty_lists_say_what_is_empty(ctx: Context, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "predictions list idle")[:2] == (0, "nothing was taken in yet\n")
    assert said(capsys, "rollouts --endpoint idle")[1].startswith("no rollout yet")
    assert said(capsys, "online fill")[1] == "the project file declares no online table\n"
    assert "the log holds nothing about 'nope'" in said(capsys, "audit list --subject nope")[1]
