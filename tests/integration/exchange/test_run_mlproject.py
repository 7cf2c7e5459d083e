"""`modelloop run FOLDER`: a pipeline run and a tracked run under one id, logging through a control that is ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from modelloop.evaluate.settings import Task
from modelloop.scaffold import scaffold

pytestmark = pytest.mark.timeout(180)
MLPROJECT = """
name: Wine Quality
entry_points:
  main:
    parameters:
      alpha: {type: float, default: 0.5}
      label: string
    command: "python train.py {alpha} {label}"
  bad:
    command: "echo before; echo oops >&2; exit 3"
"""
TRAIN = """
import json, os, sys, urllib.request
print("told", sys.argv[2])
def post(path, **body):
    request = urllib.request.Request(
        os.environ["MLFLOW_TRACKING_URI"] + "/api/2.0/mlflow/" + path, data=json.dumps(body).encode(),
        headers={"Authorization": "Bearer " + os.environ["MLFLOW_TRACKING_TOKEN"], "Content-Type": "application/json"})
    urllib.request.urlopen(request).read()
post("runs/log-metric", run_id=os.environ["MLFLOW_RUN_ID"], key="auc", value=float(sys.argv[1]), timestamp=1, step=0)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    scaffold(folder, "wine", task=Task.BINARY)
    work = tmp_path / "work"
    work.mkdir()
    (work / "MLproject").write_text(MLPROJECT)
    (work / "train.py").write_text(TRAIN)
    return folder


def called(project: Path, *words: str) -> tuple[int, Any, str]:
    done = subprocess.run(  # noqa: PLW1510 - its exit code is what is tested
        [sys.executable, "-m", "modelloop", *words, "--project", str(project), "--json"],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=project.parent,
        env={**os.environ, "PYTHONPATH": ""},
    )
    return done.returncode, json.loads(done.stdout) if done.stdout.strip() else None, done.stderr


def test_a_run_is_recorded_on_both_sides(project: Path) -> None:
    code, answer, said = called(project, "run", "work", "-P", "label=a $(touch pwned)", "-P", "alpha=0.25")
    assert code == 0, said
    run_id = answer["run"]["id"]
    assert answer["run"]["state"] == "done"
    assert [one["name"] for one in answer["steps"]] == ["command"]
    assert not list(project.parent.rglob("pwned"))
    code, exported, said = called(project, "export", str(project.parent / "out"))
    assert code == 0, said
    assert exported["counts"]["runs"] == 1
    run = json.loads((project.parent / "out" / "runs.jsonl").read_text())
    assert (run["id"], run["status"]) == (run_id, "FINISHED")
    metric = json.loads((project.parent / "out" / "metrics.jsonl").read_text())
    assert (metric["name"], metric["value"]) == ("auc", 0.25)
    assert (
        "told a $(touch pwned)"
        in subprocess.run(
            [sys.executable, "-m", "modelloop", "runs", "stdout", run_id, "--project", str(project)],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
    )


def test_a_failure_says_how_it_ended(project: Path) -> None:
    code, answer, _ = called(project, "run", "work", "-e", "bad")
    assert code == 1
    assert answer["run"]["state"] == "failed"
    assert "exit code 3" in answer["run"]["error"]["message"]
    assert "oops" in answer["run"]["error"]["message"]


def test_mistakes_are_told_before_anything_runs(project: Path) -> None:
    code, answer, said = called(project, "run", "work", "-P", "lable=x", "-P", "alpha=much")
    assert code == 1
    assert len(answer["detail"]["mistakes"]) == 2
    assert "lable" in said
    assert called(project, "runs", "list")[1]["runs"] == []
    outside = subprocess.run(
        [sys.executable, "-m", "modelloop", "run", str(project.parent / "work"), "-P", "label=x"],
        capture_output=True,
        text=True,
        cwd=project.parent,
        timeout=60,
        check=False,
    )
    assert outside.returncode == 1
    assert "modelloop init" in outside.stderr
