"""Notebooks as steps, in real kernels: what they give back, what makes them run again, how they fail and end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "ground" / "flow"))
from flow_project import Project

from modelloop.ground.core.errors import PipelineInvalid
from modelloop.ground.flow import notebook as flow_notebook
from modelloop.ground.flow.records import RunState
from modelloop.ground.store.context import Context
from modelloop.testing.executors import gone

STEPS = """
    from modelloop import notebook, pipeline

    @pipeline
    def main(n=1):
        return notebook("report.ipynb", {"n": n, "names": ["a", None]}, timeout=60)
"""
CELLS = [
    ("parameters", "n = 0\nnames = []"),
    ("", "%matplotlib --list\nimport modelloop\nimport numpy as np\nfrom sums import total\nprint('n is', n)"),
    ("", "modelloop.give('sum', total(n))\nmodelloop.give('array', np.arange(n))\nmodelloop.give('names', names)"),
    ("", "modelloop.log('size', n)\nmodelloop.artifact('note.txt', 'kept')"),
]


def write(file: Path, cells: list[tuple[str, str]], *, text: str = "# A report", outputs: bool = False) -> None:
    shown = [{"output_type": "stream", "name": "stdout", "text": "old"}] if outputs else []
    made: list[dict[str, Any]] = [{"cell_type": "markdown", "metadata": {}, "source": text}]
    for number, (tag, source) in enumerate(cells):
        metadata = {"tags": [tag]} if tag else {}
        code = {"cell_type": "code", "source": source.splitlines(keepends=True), "metadata": metadata}
        made.append({**code, "outputs": shown, "execution_count": number if outputs else None})
    kernel = {"kernelspec": {"name": "any-environment", "display_name": "x", "language": "python"}}
    file.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 4, "metadata": kernel, "cells": made}))


@pytest.fixture
def project(ctx: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    made = Project(ctx, tmp_path / "project")
    made.folder.mkdir()
    made.write("steps.py", STEPS)
    made.write("sums.py", "def total(n):\n    return sum(range(n + 1))\n")
    write(made.folder / "report.ipynb", CELLS)
    yield made
    made.forget()


def test_values_come_back_and_what_counts_is_what_makes_it_run_again(project: Project) -> None:
    first = project.run(n=4)
    result: Any = project.result(first)
    assert result["sum"] == 10
    assert result["array"].tolist() == [0, 1, 2, 3]
    assert result["names"] == ["a", None]
    assert first.metrics == {"size": 4}
    assert [step.name for step in project.steps(first)] == ["report.ipynb"]
    assert set(first.artifacts) == {"report.ipynb", "report.html", "note.txt"}
    copy = json.loads(project.ctx.blobs.get(first.artifacts["report.ipynb"]))
    assert "n is 4" in json.dumps(copy)
    page = project.ctx.blobs.get(first.artifacts["report.html"]).decode()
    assert "n is 4" in page
    assert "A report" in page

    assert project.states(project.run(n=4)) == ["cached"]
    write(project.folder / "report.ipynb", CELLS, outputs=True)
    assert project.states(project.run(n=4)) == ["cached"]  # what it put out does not count

    project.write("sums.py", "def total(n):\n    return -n\n")
    changed = project.run(n=4)
    assert project.states(changed) == ["done"]
    assert project.result(changed)["sum"] == -4  # type: ignore[index]
    assert project.states(project.run(n=5)) == ["done"]  # another parameter


def test_a_cell_that_fails_is_named_and_what_was_done_is_kept(project: Project) -> None:
    shout = ("", "from IPython.display import HTML\nHTML('<script>alert(1)</script><b>shown</b>')")
    write(project.folder / "report.ipynb", [*CELLS[:2], shout, ("", "def deeper():\n    1 / 0\ndeeper()")])
    run = project.run(n=2)
    assert run.state is RunState.FAILED
    assert run.error is not None
    assert "Code cell 4 of report.ipynb failed: ZeroDivisionError: division by zero" in run.error.message
    assert "deeper()" in run.error.message
    page = project.ctx.blobs.get(run.artifacts["report.html"]).decode()
    assert "ZeroDivisionError" in page
    assert "<script" not in page
    assert "<b>shown</b>" in page
    assert "default-src 'none'" in page


def test_its_time_can_be_over_and_its_kernel_may_die(project: Project) -> None:
    waits = "import subprocess, time\np = subprocess.Popen(['sleep', '300'])\n"
    waits += "open('pids', 'w').write(str(p.pid))\ntime.sleep(300)"
    write(project.folder / "report.ipynb", [("", waits)])
    project.write("steps.py", STEPS.replace("timeout=60", "timeout=4"))
    began = time.monotonic()
    late = project.run()
    assert time.monotonic() - began < 30
    assert late.error is not None
    assert late.error.kind == "StepTimeout"
    assert "report.ipynb took longer than its time limit of 4 s" in late.error.message
    assert gone([int((project.folder / "pids").read_text())])
    write(project.folder / "report.ipynb", [("", "import os\nos.kill(os.getpid(), 9)")])
    died = project.run()
    assert died.error is not None
    assert died.error.kind == "WorkerDied"


def test_the_kernel_ends_with_a_run_that_is_killed(project: Project) -> None:
    waits = "import os, subprocess, time\np = subprocess.Popen(['sleep', '300'])\n"
    waits += "open('draft', 'w').write(f'{os.getpid()} {p.pid}')\nos.rename('draft', 'pids')\ntime.sleep(300)"
    write(project.folder / "report.ipynb", [("", waits)])
    run = subprocess.Popen([sys.executable, "-c", "import steps; steps.main()"], cwd=project.folder)
    until = time.monotonic() + 60
    while not (project.folder / "pids").exists() and time.monotonic() < until:
        time.sleep(0.05)
    run.send_signal(signal.SIGKILL)
    run.wait()
    pids = [int(word) for word in (project.folder / "pids").read_text().split()]
    assert gone(pids)


def test_what_is_no_notebook_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before any kernel is started, saying what was found."""
    broken = tmp_path / "broken.ipynb"
    broken.write_text("{")
    julia = tmp_path / "julia.ipynb"
    julia.write_text(json.dumps({"cells": [], "metadata": {"kernelspec": {"language": "julia"}}}))
    for path, found in ((tmp_path / "nix.ipynb", "no notebook"), (broken, "format 4"), (julia, "julia")):
        with pytest.raises(PipelineInvalid, match=found):
            flow_notebook.notebook(path)
    good = tmp_path / "good.ipynb"
    write(good, CELLS)
    bad: Any
    for bad, found in (
        ({"x": {"y": {1, 2}}}, r"x\['y'\] of a notebook is a set"),
        ({"a b": 1}, "'a b'"),
        ({"name": 1}, "mean names"),
    ):
        with pytest.raises(PipelineInvalid, match=found):
            flow_notebook.notebook(good, bad)


def test_give_elsewhere_does_nothing() -> None:
    flow_notebook.give("x", object())
