"""What a run learns by itself: the code's version, the command line, the machine, figures drawn by others."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from modelloop.sdk import origin, seeds, system
from modelloop.sdk.output import Output
from modelloop.sdk.problems import MOST_KINDS, Problems
from modelloop.sdk.run import start_run
from modelloop.sdk.system import System, parse_smi
from modelloop.sdk.values import pieces
from tracked import Place


def git(folder: Path, *words: str) -> str:
    argv = ["git", "-c", "user.name=t", "-c", "user.email=t@t", "-C", str(folder), *words]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()


def test_the_commit_and_what_was_not_committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "train.py").write_text("one\n")
    git(folder, "init", "-q", "-b", "topic")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    git(folder, "remote", "add", "origin", "https://me:secret@example.com/code.git")
    monkeypatch.setattr(origin, "source", lambda: (folder, str(folder / "train.py")))
    clean, nothing = origin.code()
    assert nothing == ""
    assert clean == {
        "mlflow.source.git.commit": git(folder, "rev-parse", "HEAD"),
        "mlflow.source.git.branch": "topic",
        "mlflow.source.git.repoURL": "https://example.com/code.git",
        "modelloop.git.dirty": "no",
    }
    (folder / "train.py").write_text("two\n")
    (folder / "new.py").write_text("three\n")
    tags, diff = origin.code()
    assert tags["modelloop.git.dirty"] == "yes"
    assert "-one" in diff
    assert "+two" in diff
    assert "+three" in diff


def test_without_git_the_script_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "train.py").write_text("one\ntwo\n")
    (tmp_path / "other.py").write_text("not ours")
    monkeypatch.setattr(origin, "source", lambda: (tmp_path, str(tmp_path / "train.py")))
    tags, diff = origin.code()
    assert tags == {}
    assert diff.endswith("+one\n+two\n")
    assert "not ours" not in diff


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        (["train.py", "--lr", "0.1"], "train.py --lr 0.1"),
        (["train.py", "--api-key", "abc", "--lr", "1"], "train.py --api-key *** --lr 1"),
        (["train.py", "--token=abc"], "train.py --token=***"),
        (["secret.py", "x"], "secret.py x"),
    ],
)
def test_the_command_line_without_secrets(argv: list[str], shown: str) -> None:
    assert origin.command(argv) == shown


def test_gpus_as_nvidia_smi_tells() -> None:
    found = parse_smi("0, 87, 1000, 80000, 412.5\n1, [N/A], 0, 80000, [N/A]\nrubbish\n")
    assert found["system/gpu_0_utilization_percentage"] == 87
    assert found["system/gpu_0_memory_usage_percentage"] == pytest.approx(1.25)
    assert found["system/gpu_0_memory_usage_megabytes"] == pytest.approx(1048.576)
    assert found["system/gpu_0_power_usage_watts"] == 412.5
    assert "system/gpu_1_power_usage_watts" not in found
    assert found["system/gpu_1_memory_usage_megabytes"] == 0


def test_a_gpu_is_asked_by_its_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho '0, 12, 10, 100, 50.0'\n")
    program.chmod(0o755)
    monkeypatch.setattr(system, "find_spec", lambda _: None)
    monkeypatch.setattr(system.shutil, "which", lambda _: str(program))
    assert System(tmp_path).measure()["system/gpu_0_utilization_percentage"] == 12


def test_streams_are_put_back_even_when_others_took_them(capsys: pytest.CaptureFixture[str]) -> None:
    heard: list[str] = []
    before = sys.stdout
    output = Output(heard.append)
    sys.stdout.write("one\n")
    sys.stderr.writelines(["two\n"])
    assert sys.stdout.isatty() == before.isatty()
    output.stop()
    assert sys.stdout is before
    sys.stdout.write("three\n")
    assert heard == ["one\n", "two\n"]
    assert capsys.readouterr().out == "one\nthree\n"

    output = Output(heard.append)
    ours = sys.stdout
    theirs = io.StringIO()
    sys.stdout = theirs
    output.stop()
    assert sys.stdout is theirs, "whoever took it later keeps it"
    sys.stdout = before
    ours.write("four\n")
    assert heard == ["one\n", "two\n"]


def test_seeds_of_a_generator_that_was_not_drawn_from() -> None:
    numpy: Any = pytest.importorskip("numpy")
    numpy.random.seed(5)
    assert seeds.at_start()["numpy.random.seed"] == "5"
    numpy.random.random()
    assert "numpy.random.seed" not in seeds.at_start()


class Drawn:
    """Draws like matplotlib."""

    def savefig(self, out: io.BytesIO, **_: object) -> None:
        out.write(b"\x89PNG")


class Axes:
    """A part of a figure."""

    def get_figure(self) -> Drawn:
        return Drawn()


class Interactive:
    """Tells of itself like plotly."""

    def to_plotly_json(self) -> dict[str, object]:
        return {}

    def to_html(self, **_: object) -> str:
        return "<html>"

    def to_json(self) -> str:
        return "{}"


class Frame:
    """A frame like pandas', without what writes Parquet."""

    columns = ("a",)

    def copy(self) -> Frame:
        return self

    head = astype = lambda self, _: self

    def to_parquet(self, _: object) -> None:
        raise ImportError("no pyarrow")

    def to_csv(self, **_: object) -> str:
        return "a\n1\n"

    def itertuples(self, **_: object) -> list[tuple[int]]:
        return [(1,)]


def made(name: str, value: object) -> dict[str, bytes]:
    return {piece.path: piece.make() for piece in pieces(name, value, None) if piece.make}


def test_figures_and_frames_of_other_libraries() -> None:
    assert made("roc", Drawn()) == made("roc", Axes()) == {"figures/roc.png": b"\x89PNG"}
    assert made("roc", Interactive()) == {"figures/roc.html": b"<html>", "figures/roc.plotly.json": b"{}"}
    assert made("rows", Frame()) == {
        "tables/rows.csv": b"a\n1\n",
        "tables/rows.json": b'{"columns":["a"],"data":[[1]]}',
    }


def test_a_tensor_is_a_number_or_an_array(place: Place) -> None:
    torch: Any = pytest.importorskip("torch")
    numpy: Any = pytest.importorskip("numpy")
    torch.manual_seed(3)
    with start_run(to=place.to, capture={"seeds"}) as run:
        run.log("loss", torch.tensor(0.5))
        run.log("weights", torch.ones(2, 2, requires_grad=True))
        torch.manual_seed(4)
    seen = place.look(run.id)
    assert seen.series("loss") == [(0, 0.5)]
    assert numpy.load(io.BytesIO(seen.files["weights.npy"])).tolist() == [[1, 1], [1, 1]]
    assert seen.tags["modelloop.seed.torch.manual_seed"] == "3, 4"


def test_problems_are_said_once_and_bounded() -> None:
    said: list[str] = []
    problems = Problems(said.append)
    for _ in range(3):
        problems.add("the same")
    for number in range(2 * MOST_KINDS):
        problems.add(f"another {number}")
    assert said.count("the same") == 1
    assert problems.counted()["the same"] == 3
    assert len(problems.counted()) <= MOST_KINDS + 1
    assert sum(problems.counted().values()) == 3 + 2 * MOST_KINDS


def test_a_figure_that_breaks_stops_nothing(place: Place) -> None:
    class Broken:
        def savefig(self, *_args: object, **_: object) -> None:
            raise RuntimeError("no canvas")

    with start_run(to=place.to, capture=False) as run:
        run.log("roc", Broken())
        run.log("a", 1.0)
    assert place.look(run.id).own == {"a"}
    assert any("no canvas" in text for text in run.problems)
