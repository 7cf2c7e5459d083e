"""Everything goes out in open formats, whole or without a manifest."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_sqlite import make
from modelloop.exchange import writing
from modelloop.exchange.exporting import export_store
from modelloop.exchange.importing import import_store
from modelloop.exchange.opening import open_store
from modelloop.exchange.writing import safe_name
from modelloop.ground.core.errors import Conflict, NotFound, StoreUnavailable
from modelloop.ground.store.context import Context
from modelloop.train.tracking import actions as tracking
from modelloop.train.tracking.actions import artifacts
from modelloop.train.tracking.records import Metric, Owner

RUN = f"{0:032x}"


def lines(folder: Path, sheet: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"{sheet}.jsonl").read_text().splitlines()]


@pytest.fixture
def filled(ctx: Context, tmp_path: Path) -> Context:
    with closing(open_store(str(make(tmp_path)))) as store:
        assert import_store(ctx, store).equal
    return ctx


def test_what_goes_out_is_what_is_here(filled: Context, tmp_path: Path) -> None:
    out = tmp_path / "out"
    made = export_store(filled, out)
    manifest = json.loads((out / "manifest.json").read_text())
    there = {str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()} - {"manifest.json"}
    assert set(manifest["files"]) == there
    for name, told in manifest["files"].items():
        data = (out / name).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (told["bytes"], told["sha256"])
    assert made.counts == manifest["lines"]
    assert made.counts["runs"] == 3
    assert {one["lifecycle"] for one in lines(out, "runs")} == {"active", "deleted"}
    points = [one for one in lines(out, "metrics") if one["run"] == RUN]
    assert [(one["name"], one["step"], one["value"]) for one in points] == [
        ("auc", 0, 0.1 + 0.2),
        ("auc", 1, "NaN"),
        ("loss", -3, 1.7976931348623157e308),
    ]
    (file,) = [one for one in lines(out, "artifacts") if one["id"] == RUN]
    assert (out / file["file"]).read_text() == RUN
    assert "%C3%A9" in file["file"]
    assert {one["number"] for one in lines(out, "model_versions")} == {1, 2}
    assert lines(out, "aliases") == [{"model": "delay", "alias": "best", "version": 2}]


def test_one_experiment_alone(filled: Context, tmp_path: Path) -> None:
    number = tracking.create_experiment(filled, "other")
    run = tracking.create_run(filled, number)
    tracking.log_batch(filled, run.id, [Metric("m", math.inf)])
    export_store(filled, tmp_path / "out", experiment="other")
    assert [one["id"] for one in lines(tmp_path / "out", "runs")] == [run.id]
    assert lines(tmp_path / "out", "registered_models") == []
    assert lines(tmp_path / "out", "metrics")[0]["value"] == "Infinity"
    with pytest.raises(NotFound):
        export_store(filled, tmp_path / "another", experiment="nothing")
    assert not (tmp_path / "another").exists()


def test_nothing_is_overwritten(filled: Context, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine").write_text("mine")
    with pytest.raises(Conflict):
        export_store(filled, out)
    assert [one.name for one in out.iterdir()] == ["mine"]


def test_a_full_disk_leaves_nothing_that_looks_whole(
    filled: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def full(number: int) -> None:
        calls.append(number)
        if len(calls) > 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreUnavailable, match="disk is full"):
        export_store(filled, tmp_path / "out")
    assert not (tmp_path / "out" / "manifest.json").exists()
    with pytest.raises(Conflict, match="did not end"):
        export_store(filled, tmp_path / "out")


def test_wild_names_become_safe_ones(ctx: Context, tmp_path: Path) -> None:
    run = tracking.create_run(ctx, 0)
    long = "x" * 400
    for path in (f"a b/{long}.txt", "con:1", "q?*.txt", ".hidden", "trailing."):
        artifacts.put(ctx, Owner("run", run.id), path, path.encode())
    export_store(ctx, tmp_path / "out")
    for one in lines(tmp_path / "out", "artifacts"):
        assert (tmp_path / "out" / one["file"]).read_text() == one["path"]
        assert all(len(part) <= writing.LONGEST for part in one["file"].split("/"))


@given(st.lists(st.text(min_size=1, max_size=30), min_size=2, max_size=2, unique=True))
def test_two_names_stay_two(names: list[str]) -> None:
    try:
        made = [safe_name(name) for name in names]
    except UnicodeEncodeError:
        return
    assert made[0] != made[1]
    assert all("/" not in one and one not in (".", "..") and "\\" not in one for one in made)
