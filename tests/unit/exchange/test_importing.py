"""A store comes in as it is, once, and both sides are compared; what is bad in it is named."""

from __future__ import annotations

import math
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mlflow_sqlite import add_run, make
from modelloop.exchange.importing import import_store
from modelloop.exchange.opening import open_store
from modelloop.exchange.records import Imported
from modelloop.ground.core.errors import InvalidInput, NotFound
from modelloop.ground.store.context import Context
from modelloop.register import actions as register
from modelloop.train.tracking import actions as tracking
from modelloop.train.tracking.actions import artifacts
from modelloop.train.tracking.records import Lifecycle, Owner, Tag

RUN = f"{0:032x}"


def brought_in(ctx: Context, source: Path | str, folder: Path | None = None) -> Imported:
    with closing(open_store(str(source), folder)) as store:
        return import_store(ctx, store)


def test_everything_comes_in_as_it_was(ctx: Context, tmp_path: Path) -> None:
    report = brought_in(ctx, make(tmp_path))
    assert report.equal, (report.differs, report.lines)
    assert {line.what: line.here for line in report.lines} == {
        "experiments": 3,
        "runs": 3,
        "metric values": 9,
        "metrics": 6,
        "params": 3,
        "tags": 6,
        "dataset inputs": 0,
        "model versions": 2,
        "registered models": 1,
        "aliases": 1,
        "files": 3,
    }
    run = tracking.get_run(ctx, RUN)
    assert (run.name, run.user, run.start_ms, run.end_ms) == ("try 0", "eve", 100, 200)
    assert math.isnan(run.metrics["auc"].value)
    assert tracking.history(ctx, RUN, "auc").items[0].value == 0.1 + 0.2
    assert tracking.get_run(ctx, f"{1:032x}").lifecycle is Lifecycle.DELETED
    gone = tracking.find_experiment(ctx, "gone")
    assert gone is not None
    assert (gone.lifecycle, gone.made_ms, gone.changed_ms) == (Lifecycle.DELETED, 21, 22)
    assert b"".join(artifacts.read(ctx, Owner("run", RUN), "plots/loss é.txt")[1]) == RUN.encode()
    version = register.by_alias(ctx, "delay", "best")
    assert (version.number, version.made_ms, version.tags) == (2, 7, {"mlflow.current_stage": "Production"})
    assert report.notes[-1].startswith("1 traces")


def test_twice_is_once(ctx: Context, tmp_path: Path) -> None:
    file = make(tmp_path)
    brought_in(ctx, file)
    before = tracking.get_run(ctx, RUN)
    again = brought_in(ctx, file)
    assert again.equal
    assert again.written == {}
    assert tracking.get_run(ctx, RUN) == before


def test_what_is_new_there_comes_and_an_interrupted_import_goes_on(ctx: Context, tmp_path: Path) -> None:
    file = make(tmp_path, runs=1)

    def stop(said: str) -> None:
        if said == "registered models":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), closing(open_store(str(file))) as store:
        import_store(ctx, store, stop)
    with closing(sqlite3.connect(file)) as db, db:
        add_run(db, "f" * 32, f"{tmp_path}/mlruns/1")
        db.execute("UPDATE runs SET status = 'FAILED' WHERE run_uuid = ?", (RUN,))
    report = brought_in(ctx, file)
    assert report.equal
    assert report.written["runs"] == 1
    assert report.written["runs changed"] == 1
    assert tracking.get_run(ctx, RUN).status == "FAILED"


def test_an_experiment_of_the_same_name_is_the_same_one(ctx: Context, tmp_path: Path) -> None:
    mine = tracking.create_experiment(ctx, "flights", {"own": "tag"})
    report = brought_in(ctx, make(tmp_path))
    assert report.equal
    assert tracking.get_run(ctx, RUN).experiment == mine
    assert tracking.get_experiment(ctx, mine).tags == {"own": "tag", "owner": "me"}


def test_what_differs_is_named(ctx: Context, tmp_path: Path) -> None:
    file = make(tmp_path)
    brought_in(ctx, file)
    tracking.log_batch(ctx, RUN, tags=[Tag("mine", "x")])
    report = brought_in(ctx, file)
    assert not report.equal
    assert report.differs == [f"run {RUN}: tags"]


def test_a_run_that_cannot_be_kept_is_named_and_the_others_come(ctx: Context, tmp_path: Path) -> None:
    file = make(tmp_path)
    with closing(sqlite3.connect(file)) as db, db:
        db.execute("UPDATE params SET key = 'a[0]' WHERE run_uuid = ?", (RUN,))
    report = brought_in(ctx, file)
    assert not report.equal
    assert any("a[0]" in one for one in report.differs)
    assert tracking.get_run(ctx, f"{2:032x}").params == {"alpha": "2"}


def test_missing_files_are_counted_and_named(ctx: Context, tmp_path: Path) -> None:
    file = make(tmp_path)
    place = tmp_path / "mlruns" / "1" / RUN / "artifacts"
    (place / "plots" / "loss é.txt").unlink()
    (place / "plots").rmdir()
    report = brought_in(ctx, file)
    assert report.equal
    assert len(report.missing) == 2
    assert "delay:1" in report.missing[0]


def test_links_lead_nowhere_else(ctx: Context, tmp_path: Path) -> None:
    file = make(tmp_path)
    secret = tmp_path / "secret"
    secret.write_text("secret")
    place = tmp_path / "mlruns" / "1" / RUN / "artifacts"
    (place / "out").symlink_to(secret)
    (place / "up").symlink_to(tmp_path)
    (place / "in").symlink_to(place / "plots" / "loss é.txt")
    report = brought_in(ctx, file)
    assert [one.path for one, _ in artifacts.files_of(ctx, Owner("run", RUN))] == ["in", "plots/loss é.txt"]
    assert [one for one in report.missing if "out" in one]


def test_a_store_cannot_name_any_folder(ctx: Context, tmp_path: Path) -> None:
    file = make(tmp_path)
    private = tmp_path / "private"
    private.mkdir()
    (private / "key").write_text("secret")
    with closing(sqlite3.connect(file)) as db, db:
        db.execute("UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?", (str(private), RUN))
        db.execute(
            "UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?",
            (f"{private}/{2:032x}/artifacts/../..", f"{2:032x}"),
        )
    brought_in(ctx, file)
    for number in (0, 2):
        assert artifacts.files_of(ctx, Owner("run", f"{number:032x}")) == []


def test_artifacts_that_were_moved_are_found(ctx: Context, tmp_path: Path) -> None:
    file = make(tmp_path)
    (tmp_path / "mlruns").rename(tmp_path / "elsewhere")
    report = brought_in(ctx, file, tmp_path / "elsewhere")
    assert report.equal
    assert next(line.here for line in report.lines if line.what == "files") == 3


def test_names_that_no_artifact_may_have_are_named(ctx: Context, tmp_path: Path) -> None:
    file = make(tmp_path)
    (tmp_path / "mlruns" / "1" / RUN / "artifacts" / "a\\b").write_text("x")
    (tmp_path / "mlruns" / "1" / RUN / "artifacts" / "%2e%2e").write_text("x")
    report = brought_in(ctx, file)
    assert not report.equal
    assert sum("Invalid artifact path" in one for one in report.differs) == 2


def test_what_is_no_store_is_told(ctx: Context, tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"SQLite format 3\0" + b"rubbish" * 500)
    (tmp_path / "empty").write_bytes(b"")
    old = tmp_path / "old.db"
    with closing(sqlite3.connect(make(tmp_path))) as db, db:
        db.execute("ALTER TABLE metrics DROP COLUMN step")
    (tmp_path / "mlflow.db").rename(old)
    for name, said in (("text", "cannot be read"), ("empty", "no table 'experiments'"), ("old.db", "metrics.step")):
        with pytest.raises(InvalidInput, match=said):
            brought_in(ctx, tmp_path / name)
    with pytest.raises(NotFound):
        brought_in(ctx, tmp_path / "not there")
    with pytest.raises(InvalidInput, match="old file format"):
        brought_in(ctx, tmp_path)
    with pytest.raises(InvalidInput, match="not read"):
        brought_in(ctx, "s3://bucket/mlflow.db")
    assert not (tmp_path / "not there").exists()


def test_the_store_is_only_read(ctx: Context, tmp_path: Path) -> None:
    file = make(tmp_path)
    before = file.read_bytes()
    brought_in(ctx, f"sqlite:///{file}")
    assert file.read_bytes() == before
