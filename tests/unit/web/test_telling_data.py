"""Pages of data, runs and cost as JSON: bounded, the worst first, right on an empty store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from modelloop.data import actions as data
from modelloop.data.records import (
    Arrival,
    CheckResult,
    ColumnDrift,
    ColumnStats,
    Level,
    QuarantinedRow,
    Report,
    SourceDrift,
)
from modelloop.data.settings import Severity
from modelloop.evaluate.settings import Task
from modelloop.ground.core.errors import InvalidInput, NotFound
from modelloop.ground.flow import actions as flow
from modelloop.ground.flow.records import Change, StepKey, StepRun, StepState, Usage, Why
from modelloop.ground.http import Call
from modelloop.ground.replies import encode, plain
from modelloop.ground.store.context import Context
from modelloop.project import Project, read_project
from modelloop.scaffold import scaffold
from modelloop.web import datasets, wall, working
from modelloop.web.lengths import clip, shown
from modelloop.web.pages import environment, lasted, share, size, stamp
from modelloop.web.reporting import tell_report, tell_row, verdict
from versioned import make

LONG = "<b>" + "x" * 5000
NOW = datetime(2026, 1, 5, tzinfo=UTC)


@dataclass(frozen=True)
class Asking:
    """Calls an action as control does, and renders its page."""

    ctx: Context
    project: Project
    folder: Path
    pages: Any = field(default_factory=environment)

    def __call__(self, action: Any, template: str, query: Mapping[str, str] | None = None, **path: str) -> Any:
        answer = plain(action(Call(self.ctx, self.project, self.folder, path, query or {}, {})))
        text = self.pages.get_template(template).render(it=answer, project=plain(self.project.project))
        assert "<b>x" not in text
        assert len(text) < 2_000_000
        return answer


@pytest.fixture
def ask(ctx: Context, tmp_path: Path) -> Asking:
    scaffold(tmp_path / "project", "trial", task=Task.BINARY)
    return Asking(ctx, read_project(tmp_path / "project" / "modelloop.toml"), tmp_path / "project")


def wide(columns: int) -> Report:
    """A report of many columns, of which all is broken and drifted."""
    checks = [
        CheckResult("range", f"{LONG}{n}", Level.ROW, n % 3, LONG, (LONG,) * 5, list(Severity)[n % 3])
        for n in range(columns)
    ]
    drift = [
        ColumnDrift(f"c{n}", 0.5, None, None, None, None, (0, 1), 0.1, n / columns, n % 2 == 0) for n in range(columns)
    ]
    stats = [ColumnStats(f"{LONG}{n}", "string", 0.5, None, LONG, LONG) for n in range(columns)]
    return Report(
        9,
        8,
        1,
        False,
        (LONG,) * columns,
        tuple(checks),
        tuple(stats),
        (),
        (),
        SourceDrift("d:1", (1, 2), 0.05, 0.1, tuple(drift)),
    )


def test_a_report_is_told_the_worst_first_and_no_longer_than_a_page() -> None:
    told = tell_report(wide(10_000))
    assert len(encode(told)) < 1_500_000
    ranks = ["stop", "quarantine", "warn"]
    severities = [one["severity"] for one in told["broken"]]
    assert severities == sorted(severities, key=ranks.index)
    assert told["more_broken"] + len(told["broken"]) == sum(n % 3 > 0 for n in range(10_000))
    assert told["holds"] == sum(n % 3 == 0 for n in range(10_000))
    assert told["more_files"] == 9_988
    assert [one["drifted"] for one in told["drift"]["columns"]] == [True] * 200


def test_the_last_arrival_has_one_of_four_verdicts(ctx: Context) -> None:
    made = make(ctx, [(1, "ann", 3.0)])
    refused = Arrival("arr_x", "people", "feed", None, wide(3), None, made.made_at + timedelta(hours=1))
    assert verdict(None, None)["what"] == "nothing yet"
    assert verdict(None, refused)["what"] == "refused"
    assert verdict(made, refused)["what"] == "refused"
    assert verdict(made, replace(refused, at=made.made_at - timedelta(hours=1)))["what"] == "taken in"
    aside = replace(made, report=replace(made.report, quarantined=2, rows=9))
    assert verdict(aside, None) == {"what": "rows set aside", "at": made.made_at, "text": "2 of 9 rows", "rows": 9}


def test_a_row_set_aside_shows_first_what_its_reasons_speak_of() -> None:
    values: dict[str, str | None] = {f"c{n:04}": LONG for n in range(5000)} | {"weight": None}
    told = tell_row(QuarantinedRow("d", "arr", 3, LONG, 7, ("weight: null",) * 50, values))
    assert told["values"][0] == ("weight", None)
    assert (len(told["values"]), told["more_values"], told["settled"]) == (10, 4991, "waits")
    assert len(encode(told)) < 10_000


def test_pages_of_a_store_without_anything(ask: Asking) -> None:
    assert [one["last"]["what"] for one in ask(datasets.datasets, "data.html")["datasets"]] == ["nothing yet"]
    assert ask(working.runs, "runs.html")["runs"] == []
    assert ask(wall.costs, "cost.html")["total"]["runs"] == 0
    assert [one["name"] for one in ask(wall.triggers, "triggers.html")["triggers"]] == ["quality-fell"]
    with pytest.raises(NotFound):
        ask(datasets.dataset, "dataset.html", name="rows")


def test_a_dataset_with_branches_tags_erasures_and_pruned_versions(ask: Asking) -> None:
    ctx = ask.ctx
    make(ctx, [(n, "ann", 3.0) for n in range(5)], message=LONG)
    data.branch(ctx, "people", "trial")
    make(ctx, [(9, "bob", 1.0)], how="append", branch="trial", said=wide(500))
    make(ctx, [(n, "ann", 4.0 + n) for n in range(3)])
    data.tag(ctx, "people", "release", 3)
    data.erase(ctx, "people", "name", "bob", reason=LONG[:900])
    told = ask(datasets.dataset, "dataset.html", {"limit": "2"}, name="people")
    assert [one["number"] for one in told["versions"]] == [3, 2]
    assert (told["more_versions"], told["chosen"]["number"]) == (1, 3)
    assert told["versions"][0]["tags"] == ["release"]
    assert told["versions"][0]["more_rows"] == -2
    assert [(one["name"], one["head"]) for one in told["branches"]] == [("main", 3), ("trial", 2)]
    assert told["erasures"][0]["versions"] == [2]
    branch = ask(datasets.dataset, "dataset.html", {"version": "2"}, name="people")
    assert branch["chosen"]["branch"] == "trial"
    assert branch["chosen"]["erased"] == 1
    different = ask(datasets.diff, "diff.html", name="people", before="1", after="3")
    assert (different["removed_rows"], different["changed_rows"], different["by_column"]) == (2, 3, [["age", 3]])
    cells = {one["key"][0][1]: one["cells"] for one in different["examples"] if one["what"] == "changed"}
    assert cells["0"] == [{"column": "age", "before": "3.0", "after": "4.0"}]
    for query in ({"version": "x"}, {"limit": "0"}):
        with pytest.raises(InvalidInput):
            ask(datasets.dataset, "dataset.html", query, name="people")
    with pytest.raises(NotFound):
        ask(datasets.dataset, "dataset.html", {"version": "9"}, name="people")


def test_a_run_that_waits_in_the_queue(ask: Asking) -> None:
    odd = {"text": LONG, "many": list(range(10_000)), "set": {1, 2}, "at": NOW}
    run = flow.submit(
        ask.ctx, pipeline="train", function="steps:train", project_dir=ask.folder, inputs={}, params=odd, seed=3
    )
    told = ask(working.run, "run.html", id=run.id)
    assert (told["state"], told["ended"], told["steps"], told["printed"]) == ("queued", False, [], "")
    assert [name for name, _ in told["params"]] == ["text", "many", "set", "at"]
    assert all(len(value) <= 400 for _, value in told["params"])
    assert ask(working.runs, "runs.html", {"pipeline": "train"})["runs"][0]["id"] == run.id
    assert ask(working.runs, "runs.html", {"pipeline": "other"})["runs"] == []
    log = ask.ctx.home / "runs" / f"{run.id}.log"
    log.parent.mkdir()
    log.write_text("\x1b[1mline\x1b[0m\x00 ä\n" * 50_000)
    told = ask(working.run, "run.html", id=run.id)
    assert told["printed"].endswith("line ä\n")
    assert (len(told["printed"]), told["cut"]) == (working.TAIL, True)
    with pytest.raises(NotFound, match="kept nothing"):
        working.artifact(Call(ask.ctx, ask.project, ask.folder, {"id": run.id}, {"name": "x"}, {}))


def test_of_many_calls_the_failed_ones_come_first() -> None:
    key = StepKey("k", {}, {}, None, "e", {"n": LONG})
    calls = [
        StepRun(n, LONG, key, 0, StepState.FAILED if n == 900 else StepState.DONE, LONG, 0.1, NOW, None, usage=Usage())
        for n in range(1000)
    ]
    first = working._first(calls)
    assert (len(first), first[0].number, first[1].number) == (working.STEPS, 900, 0)
    why = Why(
        "run", 0, "s", StepState.DONE, LONG, "run_b", [Change("code", LONG, "a", "b", f"--- a\n+++ b\n-x\n+y\n{LONG}")]
    )
    told = working._step(calls[0], why)
    assert told["changes"][0]["diff"][:2] == ["-x", "+y"]
    assert len(encode(told)) < 10_000


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (0, ""),
        (0.0001, "< 1 ms"),
        (0.0123, "12 ms"),
        (3.21, "3.2 s"),
        (125, "2 min 5 s"),
        (4800, "1 h 20 min"),
    ],
)
def test_lengths_of_time(value: float | None, text: str) -> None:
    assert lasted(value) == text


def test_sizes_shares_and_moments() -> None:
    assert [size(n) for n in (None, 0, 12, 4_120_000, 2e9)] == ["", "", "12 B", "4.12 MB", "2 GB"]
    assert [share(n) for n in (None, 0, 0.0001, 0.123, 1)] == ["–", "0 %", "< 0.1 %", "12.3 %", "100 %"]
    assert stamp("2013-08-05T04:03:00Z") == "5 Aug 2013 04:03"
    assert (len(clip("x" * 900)), shown(True), shown(LONG)[-1]) == (400, "True", "…")
