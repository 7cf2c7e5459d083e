"""What tracking promises, on every engine: experiments, runs, batches, artifacts, models, pipelines' runs."""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from modelloop.ground.core.errors import Conflict, InvalidInput, ModelloopError, NotFound
from modelloop.ground.store.context import Context
from modelloop.train.tracking import actions
from modelloop.train.tracking.actions import artifacts
from modelloop.train.tracking.records import (
    CHUNK,
    Batch,
    DatasetInput,
    Lifecycle,
    Metric,
    ModelOutput,
    ModelState,
    Owner,
    Param,
    Tag,
    TrackedState,
)
from modelloop.train.tracking.writer import Writer


def test_the_default_experiment_is_there(both_engines: Context) -> None:
    assert actions.get_experiment(both_engines, 0).name == "Default"
    with pytest.raises(InvalidInput, match="default"):
        actions.delete_experiment(both_engines, 0)


def test_experiments_come_and_go(both_engines: Context) -> None:
    ctx = both_engines
    number = actions.create_experiment(ctx, "a/ü b", {"k": "v" * 20_000})
    kept, gone = actions.create_run(ctx, number), actions.create_run(ctx, number)
    actions.delete_run(ctx, gone.id)
    actions.rename_experiment(ctx, number, "new")
    actions.set_experiment_tag(ctx, number, "k", "w")
    actions.delete_experiment(ctx, number)
    for refused in (
        lambda: actions.delete_experiment(ctx, number),
        lambda: actions.rename_experiment(ctx, number, "x"),
        lambda: actions.set_experiment_tag(ctx, number, "k", "x"),
        lambda: actions.create_run(ctx, number),
        lambda: actions.log_batch(ctx, kept.id, [Metric("m", 1.0)]),
        lambda: actions.restore_run(ctx, gone.id),
        lambda: actions.create_experiment(ctx, "new"),
        lambda: actions.ensure_experiment(ctx, "new"),
    ):
        with pytest.raises(ModelloopError):
            refused()
    actions.restore_experiment(ctx, number)
    found = actions.get_experiment(ctx, number)
    assert (found.name, found.lifecycle, dict(found.tags)) == ("new", Lifecycle.ACTIVE, {"k": "w"})
    assert actions.get_run(ctx, kept.id).lifecycle is Lifecycle.ACTIVE
    assert actions.get_run(ctx, gone.id).lifecycle is Lifecycle.DELETED  # it was gone before
    actions.delete_experiment_tag(ctx, number, "k")
    with pytest.raises(NotFound):
        actions.delete_experiment_tag(ctx, number, "k")
    assert actions.find_experiment(ctx, "nobody") is None
    assert actions.ensure_experiment(ctx, "new") == number


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a\x00", "x" * 501, "\ud800"])
def test_names_of_experiments_that_are_refused(ctx: Context, name: str) -> None:
    with pytest.raises(InvalidInput):
        actions.create_experiment(ctx, name)


def test_numbers_beyond_all_bounds_are_nobodys(both_engines: Context) -> None:
    ctx = both_engines
    for number in (10**30, -1):
        for act in (actions.get_experiment, actions.delete_experiment, actions.restore_experiment, actions.create_run):
            with pytest.raises(NotFound):
                act(ctx, number)
        assert not actions.find_runs(ctx, [number]).items
        assert not actions.search_models(ctx, [number]).items
        assert actions.datasets_of(ctx, [number]) == []


def test_names_of_runs_have_a_limit_also_as_a_tag(both_engines: Context) -> None:
    run = actions.create_run(both_engines, 0)
    for name in ("x" * 1001, "a\nb"):
        with pytest.raises(InvalidInput, match="name of a run"):
            actions.set_tags(both_engines, run.id, {"mlflow.runName": name})
    actions.set_tags(both_engines, run.id, {"mlflow.runName": "x" * 1000})


def at_once(count: int, act: Callable[[int], object]) -> list[object]:
    gate = threading.Barrier(count)

    def one(number: int) -> object:
        gate.wait()
        try:
            return act(number)
        except ModelloopError as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def test_of_eight_clients_that_make_an_experiment_one_wins(both_engines: Context) -> None:
    answers = at_once(8, lambda _: actions.create_experiment(both_engines, "same"))
    assert sum(isinstance(one, int) for one in answers) == 1
    assert sum(type(one) is Conflict for one in answers) == 7
    assert set(at_once(8, lambda _: actions.ensure_experiment(both_engines, "other"))) == {
        actions.ensure_experiment(both_engines, "other")
    }


def test_a_run_from_begin_to_end(both_engines: Context) -> None:
    ctx = both_engines
    run = actions.create_run(ctx, 0, name="first", user="ann", start_ms=5, tags={"a": "1"})
    assert actions.get_run(ctx, run.id) == run
    actions.log_batch(
        ctx,
        run.id,
        [Metric("m", 1.0, 2, 10), Metric("m", 5.0, 1, 99), Metric("n", math.nan), Metric("n", math.inf, 1)],
        [Param("p", "x\ny ü 'q\""), Param("empty", "")],
        [Tag("a", "2"), Tag("mlflow.runName", "renamed")],
    )
    found = actions.get_run(ctx, run.id)
    assert (found.metrics["m"].value, found.metrics["n"].value) == (1.0, math.inf)
    assert dict(found.params) == {"p": "x\ny ü 'q\"", "empty": ""}
    assert (found.tags["a"], found.name) == ("2", "renamed")
    assert found.revision > run.revision
    ended = actions.update_run(ctx, run.id, status=TrackedState.FINISHED, end_ms=50, name="again")
    assert (ended.status, ended.end_ms, ended.name, ended.tags["mlflow.runName"]) == (
        TrackedState.FINISHED,
        50,
        "again",
        "again",
    )
    actions.delete_tag(ctx, run.id, "a")
    with pytest.raises(NotFound):
        actions.delete_tag(ctx, run.id, "a")
    assert actions.revision_of(ctx, run.id) == actions.get_run(ctx, run.id).revision
    assert [one.id for one in actions.get_runs(ctx, [run.id, run.id])] == [run.id, run.id]


def test_a_given_id_is_taken_once(both_engines: Context) -> None:
    actions.create_run(both_engines, 0, run_id="d2bd0b2a7bb14ae1ac54b4d0f1b2c3d4")
    with pytest.raises(Conflict):
        actions.create_run(both_engines, 0, run_id="d2bd0b2a7bb14ae1ac54b4d0f1b2c3d4")
    with pytest.raises(NotFound):
        actions.create_run(both_engines, 77)
    for act in (actions.get_run, actions.revision_of, actions.delete_run, actions.restore_run):
        with pytest.raises(NotFound):
            act(both_engines, "nobody")


def test_a_deleted_run_refuses_what_is_logged(both_engines: Context) -> None:
    ctx = both_engines
    run = actions.create_run(ctx, 0)
    actions.delete_run(ctx, run.id)
    actions.delete_run(ctx, run.id)  # deleting twice is deleting once
    for refused in (
        lambda: actions.log_batch(ctx, run.id, [Metric("m", 1.0)]),
        lambda: actions.set_tags(ctx, run.id, {"a": "b"}),
        lambda: actions.update_run(ctx, run.id, status=TrackedState.FAILED),
        lambda: actions.log_inputs(ctx, run.id, [DatasetInput("d", "x")]),
        lambda: artifacts.put(ctx, Owner("run", run.id), "a", b""),
    ):
        with pytest.raises(InvalidInput, match="must be in the 'active' state"):
            refused()
    actions.restore_run(ctx, run.id)
    actions.log_batch(ctx, run.id, [Metric("m", 1.0)])
    with pytest.raises(InvalidInput, match="'deleted' state"):
        actions.restore_run(ctx, run.id)


def test_the_same_point_twice_is_one(both_engines: Context) -> None:
    ctx = both_engines
    run = actions.create_run(ctx, 0)
    points = [Metric("m", value, 1, 5) for value in (1.0, 1.0, 2.0, math.nan, math.nan, -math.inf)]
    for _ in range(2):
        actions.log_batch(ctx, run.id, points)
    found = actions.history(ctx, run.id, "m").items
    assert sorted(map(str, (one.value for one in found))) == ["-inf", "1.0", "2.0", "nan"]


def test_params_never_change(both_engines: Context) -> None:
    ctx = both_engines
    run = actions.create_run(ctx, 0)
    actions.log_batch(ctx, run.id, params=[Param("p", "1")])
    actions.log_batch(ctx, run.id, params=[Param("p", "1"), Param("q", "2")])
    with pytest.raises(InvalidInput, match=r"Changing param values is not allowed.*'p'.*'1'.*'2'"):
        actions.log_batch(ctx, run.id, [Metric("m", 1.0)], [Param("p", "2"), Param("r", "3")])
    found = actions.get_run(ctx, run.id)
    assert (dict(found.params), dict(found.metrics)) == ({"p": "1", "q": "2"}, {})


def test_a_bad_batch_does_not_spoil_the_others(both_engines: Context) -> None:
    ctx = both_engines
    one, two = actions.create_run(ctx, 0), actions.create_run(ctx, 0)
    answers = actions.apply(
        ctx,
        [
            Batch(one.id, [Metric("m", 1.0)], [Param("p", "1")]),
            Batch("nobody", [Metric("m", 1.0)]),
            Batch(one.id, [Metric("lost", 1.0)], [Param("p", "2")]),
            Batch(two.id, [Metric("a//b", 1.0)]),
            Batch(two.id, [Metric("m", 2.0)], tags=[Tag("t", "x")]),
            Batch(two.id, dropped_tags=["t"]),
            Batch(two.id, dropped_tags=["t"], tags=[Tag("lost", "x")]),
            Batch(two.id, [Metric("lost", 1.0, model_id="m-nobody")]),
        ],
    )
    kinds = [type(answer).__name__ for answer in answers]
    assert kinds == [
        "NoneType",
        "NotFound",
        "InvalidInput",
        "InvalidInput",
        "NoneType",
        "NoneType",
        "NotFound",
        "NotFound",
    ]
    first, second = actions.get_runs(ctx, [one.id, two.id])
    assert (set(first.metrics), set(second.metrics), "t" in second.tags, "lost" in second.tags) == (
        {"m"},
        {"m"},
        False,
        False,
    )


def test_histories_come_in_pages(both_engines: Context) -> None:
    ctx = both_engines
    run = actions.create_run(ctx, 0)
    points = [Metric("m", float(number % 7), -number, number // 3) for number in range(50)]
    actions.log_batch(ctx, run.id, points)
    found, token = [], None
    while True:
        page = actions.history(ctx, run.id, "m", 7, token)
        found += page.items
        token = page.next_token
        if token is None:
            break
    assert found == sorted(points, key=lambda one: (one.at_ms, one.step, one.value))
    assert not actions.history(ctx, run.id, "absent").items
    with pytest.raises(NotFound):
        actions.history(ctx, "nobody", "m")


def test_curves_are_thinned_out_evenly(both_engines: Context) -> None:
    ctx = both_engines
    runs = [actions.create_run(ctx, 0).id for _ in range(2)]
    for run in runs:
        actions.log_batch(ctx, run, [Metric("m", float(step), step, step) for step in range(1000)])
    found = actions.history_of_many(ctx, runs, "m", 100)
    assert 90 <= len(found) <= 110
    for run in runs:
        steps = [one.step for one in found if one.run_id == run]
        assert (steps[0], steps[-1]) == (0, 999)
        assert steps == sorted(steps)
    some = actions.history_of_many(ctx, runs[:1], "m", 100, first=10, last=12)
    assert [one.step for one in some] == [10, 11, 12]


def test_five_thousand_names_on_a_run(both_engines: Context) -> None:
    ctx = both_engines
    run = actions.create_run(ctx, 0)
    assert actions.apply(ctx, [Batch(run.id, [Metric(f"m/{n}", float(n)) for n in range(5000)])], limits=False) == [
        None
    ]
    assert len(actions.get_run(ctx, run.id).metrics) == 5000
    assert actions.find_runs(ctx, [0], "metrics.`m/4999` = 4999", order_by=["metrics.`m/7` DESC"]).items


def test_writers_of_the_same_runs_do_not_lock_each_other_out(both_engines: Context) -> None:
    ctx = both_engines
    runs = [actions.create_run(ctx, 0).id for _ in range(6)]

    def write(number: int) -> object:
        order = runs if number % 2 else runs[::-1]
        for turn in range(10):
            batches = [
                Batch(run, [Metric("m", float(number), turn, number)], tags=[Tag("t", str(number))]) for run in order
            ]
            assert actions.apply(ctx, batches) == [None] * 6
        return None

    assert at_once(4, write) == [None] * 4
    assert len(actions.history(ctx, runs[0], "m").items) == 40


def test_the_writer_writes_for_all(both_engines: Context) -> None:
    ctx = both_engines
    writer = Writer(ctx)
    run = writer.run(actions.create_run, 0, name="x").result()
    good = [writer.submit(Batch(run.id, [Metric("m", float(n), n)])) for n in range(200)]
    bad = writer.submit(Batch("nobody", [Metric("m", 1.0)]))
    last = writer.submit(Batch(run.id, status=TrackedState.FINISHED, end_ms=9))
    assert isinstance(bad.exception(), NotFound)
    assert [one.result() for one in (*good, last)] == [None] * 201
    writer.close()
    found = actions.get_run(ctx, run.id)
    assert (found.metrics["m"].value, found.status) == (199.0, TrackedState.FINISHED)


def test_datasets_and_models_of_a_run(both_engines: Context) -> None:
    ctx = both_engines
    run = actions.create_run(ctx, 0)
    given = DatasetInput("d", "x1", "local", '{"uri": 1}', "{}", None, {"mlflow.data.context": "train"})
    model = actions.create_model(ctx, 0, name="m", source_run=run.id, tags={"t": "v"})
    actions.log_inputs(ctx, run.id, [given], [model.id])
    actions.log_inputs(ctx, run.id, [DatasetInput("d", "x1", tags={"more": "y"})], [model.id])
    actions.log_outputs(ctx, run.id, [ModelOutput(model.id, 3)])
    found = actions.get_run(ctx, run.id)
    (dataset,) = found.inputs
    assert (dataset.source, dict(dataset.tags)) == ('{"uri": 1}', {"mlflow.data.context": "train", "more": "y"})
    assert (list(found.model_inputs), list(found.model_outputs)) == ([model.id], [ModelOutput(model.id, 3)])
    assert actions.datasets_of(ctx, [0]) == [(0, "d", "x1", "train")]
    for wrong in (DatasetInput("", "x"), DatasetInput("d", "x" * 37), DatasetInput("d", "x", source="s" * 70_000)):
        with pytest.raises(InvalidInput):
            actions.log_inputs(ctx, run.id, [wrong])


def test_logged_models_come_and_go(both_engines: Context) -> None:
    ctx = both_engines
    model = actions.create_model(ctx, 0, params={"a": "1"})
    assert model.id.startswith("m-")
    assert model.status is ModelState.PENDING
    actions.log_model_params(ctx, model.id, {"a": "1", "b": "2"})
    with pytest.raises(InvalidInput, match="for good"):
        actions.log_model_params(ctx, model.id, {"a": "2"})
    actions.set_model_tags(ctx, model.id, {"t": "v"})
    actions.delete_model_tag(ctx, model.id, "t")
    with pytest.raises(NotFound):
        actions.delete_model_tag(ctx, model.id, "t")
    assert actions.finalize_model(ctx, model.id, ModelState.FAILED, "why").status is ModelState.FAILED
    assert dict(actions.get_model(ctx, model.id).params) == {"a": "1", "b": "2"}
    actions.delete_model(ctx, model.id)
    with pytest.raises(NotFound):
        actions.get_model(ctx, model.id)
    assert actions.get_model(ctx, model.id, deleted=True).lifecycle is Lifecycle.DELETED
    for name in ("a/b", "a:b", 'a"b', "a.b"):
        with pytest.raises(InvalidInput):
            actions.create_model(ctx, 0, name=name)


def test_artifacts_are_cut_and_come_back_whole(both_engines: Context) -> None:
    ctx = both_engines
    run = actions.create_run(ctx, 0)
    owner = Owner("run", run.id)
    whole = bytes(range(256)) * (CHUNK // 256) + b"the rest"
    with artifacts.open_upload(ctx, owner, "models/big.bin") as upload:
        for start in range(0, len(whole), 1_000_003):
            upload.write(whole[start : start + 1_000_003])
        assert artifacts.list_artifacts(ctx, owner) == []  # nothing is seen before
        upload.commit()
    size, pieces = artifacts.read(ctx, owner, "models/big.bin")
    assert (size, b"".join(pieces)) == (len(whole), whole)
    artifacts.put(ctx, owner, "models/a/empty", b"")
    artifacts.put(ctx, owner, "models-2.txt", b"x")
    artifacts.put(ctx, owner, "models-2.txt", b"yy")  # replaced
    listed = [(one.path, one.size, one.is_dir) for one in artifacts.list_artifacts(ctx, owner)]
    assert listed == [("models", 0, True), ("models-2.txt", 2, False)]
    assert [one.path for one in artifacts.list_artifacts(ctx, owner, "models")] == ["models/a", "models/big.bin"]
    assert artifacts.list_artifacts(ctx, owner, "models-2.txt") == []
    paths = [file.path for file, _ in artifacts.files_of(ctx, owner)]
    assert paths == ["models-2.txt", "models/a/empty", "models/big.bin"]
    some = {part for _, parts in artifacts.files_of(ctx, owner) for part, _ in parts}
    assert artifacts.mentioned(ctx, [*some, "0" * 64]) == some
    assert artifacts.delete(ctx, owner, "models") == 2
    assert [one.path for one in artifacts.list_artifacts(ctx, owner)] == ["models-2.txt"]
    for missing in (lambda: artifacts.delete(ctx, owner, "models"), lambda: artifacts.read(ctx, owner, "models")):
        with pytest.raises(NotFound):
            missing()


def test_a_file_is_no_folder(both_engines: Context) -> None:
    ctx = both_engines
    owner = Owner("model", actions.create_model(ctx, 0).id)
    artifacts.put(ctx, owner, "a/b", b"1")
    for path in ("a", "a/b/c"):
        with pytest.raises(Conflict):
            artifacts.open_upload(ctx, owner, path)
    late = artifacts.open_upload(ctx, owner, "x/y")
    artifacts.put(ctx, owner, "x", b"1")
    with pytest.raises(Conflict):
        late.commit()
    with pytest.raises(NotFound):
        artifacts.open_upload(ctx, Owner("run", "nobody"), "a")
    with pytest.raises(InvalidInput):
        artifacts.open_upload(ctx, Owner("experiment", "0"), "a")


def test_an_upload_that_was_broken_off_is_not_seen(ctx: Context) -> None:
    owner = Owner("run", actions.create_run(ctx, 0).id)
    with artifacts.open_upload(ctx, owner, "a") as upload:
        upload.write(b"x" * 100)
    assert artifacts.list_artifacts(ctx, owner) == []
    with pytest.raises(Conflict, match="ended before"):
        upload.write(b"more")


def test_long_unicode_paths_fit_the_index(both_engines: Context) -> None:
    ctx = both_engines
    owner = Owner("run", actions.create_run(ctx, 0).id)
    rnd = random.Random(3)
    path = "".join(chr(rnd.randrange(0x4E00, 0x9FFF)) for _ in range(790))  # not compressible
    artifacts.put(ctx, owner, path, b"x")
    assert [one.path for one in artifacts.list_artifacts(ctx, owner)] == [path]
