"""A dataset is scored by versions that answer in processes of their own: by several at once, and in spite of deaths."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import psutil
import pytest
from sklearn.cluster import MeanShift

import mlflow_folders as folders
from gateway_process import wait_for
from modelloop.data import actions as data
from modelloop.data.settings import ColumnSettings, ColumnType, ContractSettings
from modelloop.deploy import scoring as pieces
from modelloop.deploy.actions import scoring
from modelloop.deploy.actions.scoring import Wish, score_dataset
from modelloop.deploy.scoring import BY, ERROR
from modelloop.ground.core.errors import WorkerDied
from modelloop.ground.store.context import Context
from modelloop.register import actions
from modelloop.register.actions.converting import convert_version
from modelloop.testing.fakes import make_context
from versioned import make

X, _ = folders.IRIS
ROWS = 60
RAISES, DIES = 1234.5, 4321.5  # what a random sample does not have
FLOAT = ColumnSettings(ColumnType.FLOAT)
CODE = """
import os, signal, time
from pathlib import Path
import numpy as np

MARKS = Path({marks!r})

class Model:
    def predict(self, frame):
        a, b = (np.asarray(frame[name], dtype=float) for name in ("a", "b"))
        if (b == 1234.5).any():
            raise ValueError("a row of no use")
        if (b == 4321.5).any() and (MARKS / "deadly").exists():
            with (MARKS / "deaths").open("a") as file:
                file.write("x")
            if len((MARKS / "deaths").read_text()) <= int((MARKS / "deadly").read_text()):
                os.kill(os.getpid(), signal.SIGKILL)
        if (MARKS / "slow").exists():
            time.sleep(0.15)
        return a * 2 + b * 0

def _load_pyfunc(path):
    return Model()
"""
SCORER = """
import sys
from pathlib import Path
from modelloop.deploy.actions.scoring import Wish, score_dataset
from modelloop.testing.fakes import make_context

if __name__ == "__main__":
    ctx = make_context(Path(sys.argv[1]))
    score_dataset(ctx, Wish("m:1", "rows", "scores", chunk=5, processes=2))
"""


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    made = tmp_path / "marks"
    made.mkdir()
    return made


def iris(ctx: Context) -> None:
    names = dict.fromkeys(folders.NAMES, FLOAT)
    frame = pl.DataFrame({"id": range(ROWS)} | {name: X[:ROWS, at] for at, name in enumerate(folders.NAMES)})
    contract = ContractSettings({"id": ColumnSettings(ColumnType.INTEGER)} | names, key=("id",))
    make(ctx, frame, dataset="flowers", contract=contract)


def own_code(ctx: Context, folder: Path, marks: Path) -> str:
    """Register a model that is read by code of its own, and does what the column `b` says."""
    made = folders.folder(folder, "x", {}, signature=folders.columns_signature(("a", "b")))
    signature = json.dumps(folders.columns_signature(("a", "b"))["inputs"])
    flavors = "flavors: {python_function: {loader_module: scored_loader, code: code}}\n"
    (made / "MLmodel").write_text(flavors + f"signature: {{inputs: {signature}}}\n")
    (made / "code").mkdir()
    (made / "code" / "scored_loader.py").write_text(CODE.format(marks=str(marks)))
    version = convert_version(ctx, actions.import_folder(ctx, made, "m").name, allow_pickle=True)
    assert version.package is not None, version.refusal
    return str(version.name)


def rows(ctx: Context, what: dict[int, float] | None = None, count: int = ROWS) -> None:
    """Make a dataset in which some rows say what the model is to do."""
    b = [float((what or {}).get(number, 0)) for number in range(count)]
    frame = pl.DataFrame({"id": range(count), "a": [number / 2 for number in range(count)], "b": b})
    contract = ContractSettings({"id": ColumnSettings(ColumnType.INTEGER), "a": FLOAT, "b": FLOAT}, key=("id",))
    make(ctx, frame, dataset="rows", contract=contract)


def scores(ctx: Context) -> pl.DataFrame:
    return data.read(ctx, "scores").collect().sort("id")


def score_column(frame: pl.DataFrame) -> str:
    (name,) = [one for one in frame.columns if one not in ("id", BY, ERROR)]
    return name


@pytest.mark.parametrize("kind", ["skops", "pickle"])
def test_native_formats_and_pickles_score_in_parallel(ctx: Context, tmp_path: Path, kind: str) -> None:
    write = folders.sklearn_skops if kind == "skops" else folders.sklearn_pickle
    folder = write(tmp_path / "m", MeanShift(bandwidth=1.0).fit(X))
    version = convert_version(ctx, actions.import_folder(ctx, folder, "m").name, allow_pickle=kind == "pickle")
    assert version.package is not None, version.refusal
    iris(ctx)
    made = score_dataset(ctx, Wish("m:1", "flowers", "scores", chunk=7, processes=3))
    assert (made.rows, made.failed, made.made) == (ROWS, 0, 1)
    found = scores(ctx)
    expected = MeanShift(bandwidth=1.0).fit(X).predict(X[:ROWS])
    assert found[score_column(found)].to_list() == expected.tolist()
    assert set(found[BY]) == {"m:1"}
    left = [" ".join(one.cmdline()) for one in psutil.Process().children(recursive=True)]
    assert not [line for line in left if "outside.child" in line or "spawn_main" in line], "nothing that scored is left"


def test_a_row_that_makes_the_model_raise_costs_one_row(ctx: Context, tmp_path: Path, marks: Path) -> None:
    own_code(ctx, tmp_path / "m", marks)
    rows(ctx, {13: RAISES, 40: RAISES})
    made = score_dataset(ctx, Wish("m:1", "rows", "scores", chunk=25, processes=2))
    assert made.failed == 2
    found = scores(ctx)
    assert found.filter(pl.col(ERROR).is_not_null())["id"].to_list() == [13, 40]
    assert "a row of no use" in str(found[ERROR][13])
    good = found.filter(pl.col(ERROR).is_null())
    assert np.allclose(good[score_column(found)].to_numpy(), good["id"].to_numpy())


def test_a_process_that_is_killed_once_costs_nothing(ctx: Context, tmp_path: Path, marks: Path) -> None:
    own_code(ctx, tmp_path / "m", marks)
    rows(ctx, {31: DIES})
    (marks / "deadly").write_text("2")
    made = score_dataset(ctx, Wish("m:1", "rows", "scores", chunk=10, processes=2))
    assert (made.rows, made.failed) == (ROWS, 0)
    assert (marks / "deaths").read_text() == "xxx"
    assert np.allclose(scores(ctx)[score_column(scores(ctx))].to_numpy(), np.arange(ROWS))


def test_rows_that_kill_it_are_named_and_the_rest_is_kept(
    ctx: Context, tmp_path: Path, marks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_code(ctx, tmp_path / "m", marks)
    rows(ctx, {33: DIES})
    (marks / "deadly").write_text("99")
    wish = Wish("m:1", "rows", "scores", chunk=10, processes=2)
    with pytest.raises(WorkerDied) as caught:
        score_dataset(ctx, wish)
    assert "m:1: Its process was ended by SIGKILL, 3 times over the same rows (rows 31 to 40 of rows:1)" in str(
        caught.value
    )
    assert "of 60 rows are kept" in caught.value.message
    assert (marks / "deaths").read_text() == "xxx"
    with ctx.db.reading() as connection:
        kept = {row["place"] for row in scoring.tables.scored_of(connection, scoring.scorings(ctx)[0].id)}
    assert {0, 1, 2} <= kept, "what was under way beside it is kept"
    assert 3 not in kept
    (marks / "deadly").unlink()
    worked: list[int] = []
    real = scoring._keep
    monkeypatch.setattr(scoring, "_keep", lambda c, s, place, piece: worked.append(place) or real(c, s, place, piece))
    made = score_dataset(ctx, wish)
    assert sorted(worked) == sorted({0, 1, 2, 3, 4, 5} - kept)
    assert (made.rows, made.failed) == (ROWS, 0)
    assert scores(ctx)["id"].to_list() == list(range(ROWS))


def test_a_large_piece_is_asked_for_in_parts(
    ctx: Context, tmp_path: Path, marks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_code(ctx, tmp_path / "m", marks)
    package = pieces_of(ctx)
    monkeypatch.setattr(pieces, "ASKED", 4)
    patient = pieces.Patient(package.scorer)
    (name, found), *_ = patient.outputs({"a": np.arange(10.0), "b": np.zeros(10)}).items()
    assert found.tolist() == (np.arange(10.0) * 2).tolist()
    assert patient.score({"a": np.ones(1), "b": np.zeros(1)}).tolist() == [2.0]
    assert patient.outputs({"a": np.empty(0), "b": np.empty(0)})[name].shape == (0,)
    package.close()


def pieces_of(ctx: Context) -> Any:
    return scoring.load(ctx.blobs, str(actions.get_version(ctx, "m:1").package))


@pytest.fixture
def killed(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    script = tmp_path / "score_it.py"
    script.write_text(SCORER)
    process = subprocess.Popen([sys.executable, str(script), str(tmp_path)])
    yield process
    process.kill()
    process.wait()


def test_killed_in_the_middle_it_goes_on_and_leaves_no_process(
    tmp_path: Path, marks: Path, request: pytest.FixtureRequest
) -> None:
    ctx = make_context(tmp_path)
    own_code(ctx, tmp_path / "m", marks)
    rows(ctx)
    (marks / "slow").touch()
    process: subprocess.Popen[bytes] = request.getfixturevalue("killed")

    def kept() -> list[int]:
        with ctx.db.reading() as connection:
            begun = scoring.scorings(ctx)
            return [row["place"] for row in scoring.tables.scored_of(connection, begun[0].id)] if begun else []

    wait_for(lambda: len(kept()) >= 3)
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) >= 3, "its crew, and the models' processes"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    wait_for(lambda: not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in family))
    before = kept()
    assert 3 <= len(before) < ROWS // 5
    told: list[int] = []
    made = score_dataset(ctx, Wish("m:1", "rows", "scores", chunk=5, processes=2), lambda done, _all: told.append(done))
    assert told[0] == len(before) * 5
    assert (made.rows, made.failed, made.made) == (ROWS, 0, 1)
    assert scores(ctx)["id"].to_list() == list(range(ROWS))
    assert len(data.versions(ctx, "scores")) == 1
    ctx.db.close()
