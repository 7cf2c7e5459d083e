"""The how-to's code runs as it stands, outside a run and inside one."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import polars as pl
from flow_project import Project

from modelloop.ground.flow.records import InputRef

TEXT = (Path(__file__).parents[4] / "docs" / "how-to-pipelines.md").read_text()
BLOCKS = {language: re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL) for language in ("python", "toml")}


def test_the_how_to_runs(project: Project) -> None:
    steps, test = BLOCKS["python"][:2]
    project.write("steps.py", steps + test)
    declared = tomllib.loads(BLOCKS["toml"][0])["pipelines"]["describe"]
    rows = pl.DataFrame({"delay": [1.0, 3.0, None], "distance": [100.0, 300.0, 500.0]})
    project.inputs["rows"] = InputRef("flights", 1, "1" * 64), rows
    run = project.run(declared["function"], seed=declared["seed"], **declared["params"])
    assert project.states(run) == ["done"] * 3, "what the module does when it is imported is no part of the run"
    assert sorted(run.metrics) == ["mean delay", "mean distance"]
    assert project.ctx.blobs.get(run.artifacts["report.txt"]).startswith(b"seed 7")
