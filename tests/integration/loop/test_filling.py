"""A pipeline prepares data, its frame becomes a dataset under contract, and gateways look rows of it up."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

TOML = """
[project]
name = "airports"
owner = "us"

[objective]
question = "Late?"
task = "binary"
metric = "auc"
meaning = "how often the late one scores higher"
label = "late"

[sources.flights]
path = "landing"
format = "csv"
dataset = "flights"
contract = "flights"

[sources.state]
path = "made"
dataset = "state"
contract = "state"

[contracts.flights.columns]
origin = { type = "string" }
at = { type = "time" }
late = { type = "float" }

[contracts.state]
key = ["origin", "known_at"]
[contracts.state.columns]
origin = { type = "string" }
known_at = { type = "time" }
mean_late = { type = "float", min = 0, max = 1 }

[pipelines.prepare]
function = "steps:prepare"
inputs = { flights = "flights" }
fills = "state"

[online.state]
dataset = "state"
key = ["origin"]
time = "known_at"
values = ["mean_late"]
"""

STEPS = """
import polars as pl
from modelloop import pipeline, step

@step
def summarise(flights):
    return flights.group_by("origin", maintain_order=True).agg(
        pl.col("at").max().alias("known_at"), (pl.col("late").mean() * SCALE).alias("mean_late"))

@pipeline
def prepare(flights):
    return summarise(flights)
"""

ROWS = "origin,at,late\nJFK,2026-01-01T00:00:00Z,1\nJFK,2026-01-01T01:00:00Z,0\nLGA,2026-01-01T02:00:00Z,1\n"


def modelloop(folder: Path, *words: str, code: int = 0) -> Any:
    command = [sys.executable, "-m", "modelloop", *words, "--json", "--project", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


def made(folder: Path, scale: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "modelloop.toml").write_text(TOML)
    (folder / "steps.py").write_text(STEPS.replace("SCALE", scale))
    (folder / "landing").mkdir(exist_ok=True)
    (folder / "landing" / "one.csv").write_text(ROWS)
    return folder


def test_what_a_pipeline_returns_is_taken_in_and_can_be_looked_up(tmp_path: Path) -> None:
    folder = made(tmp_path / "airports", "1")
    run = modelloop(folder, "run", "prepare")["run"]
    assert run["state"] == "done"
    assert [file.name for file in (folder / "made").iterdir()] == [f"{run['id']}.parquet"]
    assert modelloop(folder, "online", "fill")["filled"] == ["state"]
    (table,) = modelloop(folder, "online", "list")["online"]
    assert (table["filled"]["version"], table["filled"]["keys"], table["stale"]) == (1, 2, False)
    assert modelloop(folder, "online", "fill", "state")["filled"] == []


def test_a_frame_that_breaks_the_contract_is_refused_and_said(tmp_path: Path) -> None:
    folder = made(tmp_path / "airports", "5")
    command = [sys.executable, "-m", "modelloop", "run", "prepare", "--project", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode != 0
    assert "mean_late" in done.stdout + done.stderr
    assert modelloop(folder, "online", "fill")["filled"] == []
