"""What a run does is the same wherever it goes: a server over HTTP, or the project's own store."""

from __future__ import annotations

import io
import json
import math
import os
import pickle
import random
import sys
import threading
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import modelloop
from modelloop.ground.core.errors import InvalidInput, NotFound
from modelloop.ground.flow.step import current
from modelloop.sdk.keeping import LONGEST_QUEUE
from modelloop.sdk.run import start_run
from tracked import Place


def test_everything_arrives_where_it_belongs(place: Place) -> None:
    with modelloop.start_run(
        "first", name="one", params={"lr": 0.1, "tree": {"depth": 3}}, tags={"who": "me"}, to=place.to
    ) as run:
        sys.stdout.write("told by the training\n")
        for value in (0.5, 0.25, 0.125):
            run.log("loss", value)
        run.log("late", 1.0, step=10)
        run.log({"acc": 0.9, "auc": 0.8}, step=2)
        run.log("note", "some words")
        run.log("raw.bin", b"\x00\x01")
    seen = place.look(run.id)
    assert (seen.status, seen.experiment, seen.name) == ("FINISHED", "first", "one")
    assert seen.series("loss") == [(0, 0.5), (1, 0.25), (2, 0.125)]
    assert seen.series("late") == [(10, 1.0)]
    assert seen.series("acc") == [(2, 0.9)]
    assert seen.params == {"lr": "0.1", "tree.depth": "3"}
    assert seen.tags["who"] == "me"
    assert seen.files["note.txt"] == b"some words"
    assert seen.files["raw.bin"] == b"\x00\x01"
    assert b"told by the training\n" in seen.files["output.log"]
    assert run.problems == {}


def test_it_learns_where_it_comes_from_by_itself(place: Place) -> None:
    np.random.seed(42)
    with start_run(to=place.to) as run:
        random.seed(7)
        np.random.default_rng(11)
    seen = place.look(run.id)
    assert seen.experiment == "Default"
    assert {"mlflow.user", "mlflow.source.name", "modelloop.python", "modelloop.command"} <= set(seen.tags)
    assert seen.tags["modelloop.seed.random.seed"] == "7"
    assert seen.tags["modelloop.seed.numpy.random.seed"] == "42"
    assert seen.tags["modelloop.seed.numpy.random.default_rng"] == "11"
    assert json.loads(seen.files["code/packages.json"])["packages"]["numpy"] == np.__version__
    assert "random" in json.loads(seen.files["code/seeds.json"])["states"]
    assert "system/process_memory_megabytes" in {name for name, _, _ in seen.points}
    assert random.seed.__module__ != "modelloop.sdk.seeds", "put back at the end"


def test_numbers_of_all_kinds_are_metrics(place: Place) -> None:
    values = {
        "int": 3, "bool": True, "float32": np.float32(0.5), "float64": np.float64(0.25), "array of one": np.ones(1),
        "decimal": Decimal("1.5"), "fraction": Fraction(1, 2), "nan": math.nan, "inf": math.inf, "-inf": -math.inf,
        "huge": 10**400, "tiny": 5e-324, "-0": -0.0,
    }  # fmt: skip
    with start_run(to=place.to, capture=False) as run:
        run.log(values)
    seen = place.look(run.id)
    found = {name: float(value) for name, value, _ in seen.points}
    assert math.isnan(found.pop("nan"))
    assert found == {
        "int": 3.0, "bool": 1.0, "float32": 0.5, "float64": 0.25, "array of one": 1.0, "decimal": 1.5, "fraction": 0.5,
        "inf": math.inf, "-inf": -math.inf, "huge": math.inf, "tiny": 5e-324, "-0": 0.0,
    }  # fmt: skip
    assert run.problems == {}


def test_tables_arrays_and_documents_are_files(place: Place) -> None:
    frame = pl.DataFrame({"a": [1, 2], "b": ["x", None]})
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    with start_run(to=place.to, capture=False) as run:
        run.log("frame", frame)
        run.log("rows", [{"a": 1, "b": None}, {"a": 2}])
        run.log("step", frame, step=3)
        run.log("weights", array)
        run.log("turned", np.asfortranarray(array))
        run.log("settings", {"deep": {"er": [1, 2]}})
    files = place.look(run.id).files
    assert pl.read_parquet(io.BytesIO(files["tables/frame.parquet"])).equals(frame)
    assert json.loads(files["tables/frame.json"]) == {"columns": ["a", "b"], "data": [[1, "x"], [2, None]]}
    assert files["tables/rows.csv"] == b"a,b\r\n1,\r\n2,\r\n"
    assert "tables/step/00000003.parquet" in files
    assert np.array_equal(np.load(io.BytesIO(files["weights.npy"])), array)
    assert np.array_equal(np.load(io.BytesIO(files["turned.npy"])), array)
    assert json.loads(files["settings.json"]) == {"deep": {"er": [1, 2]}}


def test_a_file_is_what_it_was_when_it_was_logged(place: Place, tmp_path: Path) -> None:
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    (tmp_path / "folder" / "deep" / "a.txt").write_text("a")
    (tmp_path / "secret").write_text("not to be seen")
    (tmp_path / "folder" / "link").symlink_to(tmp_path / "secret")
    model = tmp_path / "model.txt"
    model.write_text("first")
    with start_run(to=place.to, capture=False) as run:
        run.log(model)
        run.log("kept", model)
        run.log("folder", tmp_path / "folder")
        model.write_text("second")
        run.log(tmp_path / "nowhere.txt")
        model.unlink()
    files = place.look(run.id).files
    assert files["model.txt"] == files["kept.txt"] == b"first"
    assert {name for name in files if name.startswith("folder")} == {"folder/deep/a.txt"}
    assert any("nowhere.txt" in problem for problem in run.problems)


def test_a_name_that_cannot_be_is_said_once_and_stops_nothing(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    bad = ["loss%", "a\nb", "a//b", "../a", "/a", "", "x" * 251, "\x00", "\ud800", 7, ("a",)]
    with start_run(to=place.to, capture=False) as run:
        for name in bad:
            run.log({name: 1.0})  # type: ignore[dict-item]
            run.log(name, 1.0)  # type: ignore[arg-type]
            run.log(params={name: 1}, tags={name: 1})  # type: ignore[dict-item]
        run.log("größe/前.x:y -z", 1.0)
        run.log("good", 1.0)
    seen = place.look(run.id)
    assert seen.own == {"good", "größe/前.x:y -z"}
    assert len(run.problems) >= len(bad)
    assert run.problems[next(text for text in run.problems if "loss%" in text and "metric" in text)] == 2
    assert "modelloop.problems" in seen.tags


@pytest.mark.parametrize(
    "name", ["../up", "a/../../b", "/abs", "a\\b", "C:/x", "%2e%2e/x", "%252e%252e/x", "a\x00b", "n" * 1001]
)
def test_an_artifact_that_would_lie_elsewhere_is_not_kept(place: Place, name: str) -> None:
    with start_run(to=place.to, capture=False) as run:
        run.log(name, b"bytes")
        run.log("good.bin", b"bytes")
    assert set(place.look(run.id).files) == {"good.bin"}
    assert len(run.problems) == 1


def test_params_stay_and_long_ones_lose_nothing(place: Place) -> None:
    with start_run(to=place.to, params={"a": 1, "b": "x" * 1_000_000}, capture=False) as run:
        run.log(params={"a": 1})
        run.log(params={"a": 2, "c": None})
        run.log(tags={"t": "y" * 20_000, "odd": "\x00\ud800"})
        run.log(params={f"p{number}": number for number in range(250)})
    seen = place.look(run.id)
    assert seen.params["a"] == "1"
    assert seen.params["c"] == "None"
    assert seen.params["b"].endswith("(1000000 letters: params/b.txt)")
    assert len(seen.params["b"]) == 6000
    assert seen.files["params/b.txt"] == b"x" * 1_000_000
    assert seen.files["tags/t.txt"] == b"y" * 20_000
    assert seen.tags["odd"] == "\\x00\\ud800"
    assert len(seen.params) == 253
    assert [text for text in run.problems if "'a'" in text] == list(run.problems)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("the data is odd"), "FAILED"),
        (KeyboardInterrupt(), "KILLED"),
        (SystemExit(0), "FINISHED"),
        (SystemExit(3), "FAILED"),
    ],
)
def test_a_run_ends_as_its_block_does(place: Place, error: BaseException, status: str) -> None:
    run = start_run(to=place.to, capture=False)
    run.log("before", 1.0)
    with pytest.raises(type(error)), run:
        raise error
    seen = place.look(run.id)
    assert seen.status == status
    assert seen.series("before") == [(0, 1.0)]
    if isinstance(error, ValueError):
        assert seen.tags["modelloop.error"] == "ValueError: the data is odd"
        assert b"test_behaviour.py" in seen.files["error.txt"]


def test_what_is_logged_after_the_end_is_said(place: Place) -> None:
    run = start_run(to=place.to, capture=False)
    run.log("a", 1.0)
    run.end()
    run.end()
    run.log("a", 2.0)
    assert place.look(run.id).series("a") == [(0, 1.0)]
    assert list(run.problems.values()) == [1]


def test_a_part_of_a_run_names_its_whole(place: Place) -> None:
    with start_run("folds", to=place.to, capture=False) as run:
        parts = []
        for number in range(2):
            with run.child(f"fold {number}", params={"fold": number}) as part:
                part.log("score", float(number))
            parts.append(part.id)
    for number, part_id in enumerate(parts):
        seen = place.look(part_id)
        assert seen.tags["mlflow.parentRunId"] == run.id
        assert (seen.experiment, seen.name) == ("folds", f"fold {number}")
        assert seen.series("score") == [(0, float(number))]


def test_a_run_goes_on_by_its_id(place: Place) -> None:
    with start_run("again", to=place.to, capture=False) as run:
        for value in (1.0, 2.0, 3.0):
            run.log("loss", value)
    with start_run("again", id=run.id, to=place.to, capture=False) as more:
        assert more.id == run.id
        more.log("loss", 4.0)
        more.log(params={"late": 1})
    seen = place.look(run.id)
    assert seen.series("loss") == [(0, 1.0), (1, 2.0), (2, 3.0), (3, 4.0)]
    assert seen.status == "FINISHED"
    assert len(place.all()) == 1


def test_a_run_that_is_not_there_cannot_go_on(place: Place) -> None:
    with pytest.raises(NotFound):
        start_run(id="run_01JD8Z6V3Q4W5X6Y7Z8A9B0C1D", to=place.to, capture=False)


def test_many_threads_lose_nothing(place: Place) -> None:
    with start_run(to=place.to, capture=False) as run:

        def train(number: int) -> None:
            for value in range(500):
                run.log("all", float(value))
                run.log(f"own {number}", float(value), step=value)

        threads = [threading.Thread(target=train, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    seen = place.look(run.id)
    assert [step for step, _ in seen.series("all")] == list(range(4000))
    for number in range(8):
        assert seen.series(f"own {number}") == [(value, float(value)) for value in range(500)]


def test_many_names_and_many_values_stay_bounded(place: Place) -> None:
    with start_run(to=place.to, capture=False) as run:
        longest = 0
        for value in range(50_000):
            run.log("many", float(value), step=value)
            longest = max(longest, len(run._queue))
        for number in range(5000):
            run.log(f"name {number}", 1.0)
    seen = place.look(run.id)
    assert longest <= LONGEST_QUEUE + 1
    assert len(seen.own) == 5001
    assert len(seen.series("many")) == 50_000 or len(seen.series("many")) == 25_000  # a page of the store's history


def test_a_forked_child_adds_and_sends_nothing_twice(place: Place) -> None:
    with start_run(to=place.to, capture={"output"}) as run:
        for value in range(100):
            run.log("before", float(value))
        child = os.fork()
        if child == 0:
            for value in range(10):
                run.log("child", float(value), step=value)
            run.end()
            os._exit(0)
        os.waitpid(child, 0)
        run.log("after", 1.0)
    seen = place.look(run.id)
    assert len(seen.series("before")) == 100
    assert seen.series("after") == [(0, 1.0)]
    assert seen.status == "FINISHED"
    assert len(seen.series("child")) == 10
    assert len(place.all()) == 1


def test_a_run_travels_to_another_process(place: Place) -> None:
    with start_run(to=place.to, capture=False) as run:
        run.log("here", 1.0)
        other = pickle.loads(pickle.dumps(run))
        other.log("there", 2.0)
        other.end()
    seen = place.look(run.id)
    assert seen.series("here") == [(0, 1.0)]
    assert seen.series("there") == [(0, 2.0)]
    assert seen.status == "FINISHED"


def test_within_a_pipeline_it_names_the_pipelines_run(place: Place) -> None:
    class Session:
        run_id = "run_01JD8Z6V3Q4W5X6Y7Z8A9B0C1D"

    token = current.set(Session())  # type: ignore[arg-type]
    try:
        with start_run(to=place.to, capture=False) as run:
            run.log("a", 1.0)
    finally:
        current.reset(token)
    assert place.look(run.id).tags["modelloop.run"] == Session.run_id


def test_what_is_no_number_and_no_file_is_said(place: Place) -> None:
    class Odd:
        def __float__(self) -> float:
            raise RuntimeError("not today")

    with start_run(to=place.to, capture=False) as run:
        run.log("thing", object())
        run.log("odd", Odd())
        run.log("none", None)
        run.log("fine", 1.0, step="first")  # type: ignore[arg-type]
        run.log("fine", 2.0, step=2**70)
        run.log("fine", 3.0, step=np.int64(7))  # type: ignore[arg-type]
    seen = place.look(run.id)
    assert seen.own == {"fine"}
    assert seen.series("fine") == [(0, 1.0), (1, 2.0), (7, 3.0)]
    assert len(run.problems) == 5


@pytest.mark.parametrize(
    "wrong",
    [
        {"experiment": ""},
        {"experiment": "a\nb"},
        {"experiment": "x" * 501},
        {"name": "a\x00b"},
        {"capture": {"all"}},
        {"id": "../x"},
    ],
)
def test_what_cannot_begin_says_so_at_once(place: Place, wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        start_run(**{"to": place.to, **wrong})  # type: ignore[arg-type]
