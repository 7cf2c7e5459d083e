"""What `modelloop init` makes runs as it is: a file into landing/, `modelloop run train`, a judged version."""

from __future__ import annotations

import csv
import json
import os
import random
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path


def modelloop(*words: str, place: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "modelloop", *words],
        cwd=place,
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def write_rows(path: Path, rows: int = 3000) -> None:
    noise = random.Random(1)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "at", "amount", "kind", "target"])
        for number in range(rows):
            amount = noise.random() * 10
            at = (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=number)).isoformat()
            writer.writerow(
                [f"r{number}", at, round(amount, 3), noise.choice("abc"), int(noise.random() < amount / 10)]
            )


def test_a_new_project_trains_at_once(tmp_path: Path) -> None:
    made = modelloop("init", "shop", place=tmp_path)
    assert made.returncode == 0, made.stderr
    project = tmp_path / "shop"
    write_rows(project / "landing" / "data" / "a.csv")
    ran = modelloop("run", "train", "--json", place=project)
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert told["run"].startswith("run_")
    assert told["version"] == "shop:1"
    assert told["evidence"]["run"]["state"] == "done"
    board = json.loads(modelloop("experiments", "board", "train", "--json", place=project).stdout)["board"]
    assert board["headline"]["metric"] == "holdout.auc"
    (line,) = board["lines"]
    assert line["entry"]["runs"] == [told["run"]]
    assert line["entry"]["estimate"]["basis"] == "logged"


def test_a_parameter_that_the_pipeline_lacks_is_named_before_anything_runs(tmp_path: Path) -> None:
    modelloop("init", "shop", place=tmp_path)
    refused = modelloop("run", "train", "-P", "trails=3", place=tmp_path / "shop")
    assert refused.returncode == 1
    assert "trails" in refused.stderr
    assert "trials" in refused.stderr


def test_a_plain_pipelines_run_is_tracked_too(tmp_path: Path) -> None:
    modelloop("init", "shop", place=tmp_path)
    project = tmp_path / "shop"
    with (project / "steps.py").open("a") as steps:
        steps.write(
            "\n\n@pipeline\ndef count(to: int = 3) -> int:\n    log('counted', float(to), step=1)\n    return to\n"
        )
    with (project / "modelloop.toml").open("a") as file:
        file.write('\n[pipelines.count]\nfunction = "steps:count"\n')
    for number in (3, 5):
        assert modelloop("run", "count", "-P", f"to={number}", place=project).returncode == 0
    board = json.loads(modelloop("experiments", "board", "count", "--json", place=project).stdout)["board"]
    assert [line["entry"]["params"]["to"] for line in board["lines"]] == ["5", "3"]
