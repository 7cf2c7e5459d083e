"""Experiments and runs by MLflow's protocol: shapes, codes, statuses, and what must be refused."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from mlflow_face import Client, Reply, client_of
from modelloop.ground.store.context import Context


@pytest.fixture
def client(ctx: Context) -> Iterator[Client]:
    with client_of(ctx) as made:
        yield made


def of(values: list[dict[str, Any]]) -> dict[str, Any]:
    return {value["key"]: value["value"] for value in values}


def test_an_experiment_from_beginning_to_end(client: Client) -> None:
    made = client.post("experiments/create", name="prices", tags=[{"key": "team", "value": "blue"}])
    number = made.json["experiment_id"]
    assert isinstance(number, str)
    found = client.get("experiments/get-by-name", experiment_name="prices").json["experiment"]
    assert found["experiment_id"] == number
    assert found["artifact_location"] == f"mlflow-artifacts:/{number}"
    assert found["lifecycle_stage"] == "active"
    assert isinstance(found["creation_time"], int)
    assert of(found["tags"]) == {"team": "blue"}
    assert client.post("experiments/set-experiment-tag", experiment_id=number, key="a", value="b").json == {}
    assert client.post("experiments/delete-experiment-tag", experiment_id=number, key="team").json == {}
    assert client.post("experiments/update", experiment_id=number, new_name="costs").status == 200
    found = client.get("experiments/get", experiment_id=number).json["experiment"]
    assert (found["name"], of(found["tags"])) == ("costs", {"a": "b"})
    assert client.post("experiments/delete", experiment_id=number).status == 200
    assert client.get("experiments/get", experiment_id=number).json["experiment"]["lifecycle_stage"] == "deleted"
    assert [e["name"] for e in client.post("experiments/search").json["experiments"]] == ["Default"]
    assert client.post("experiments/restore", experiment_id=number).status == 200


def test_what_is_not_there_or_there_already(client: Client) -> None:
    assert client.post("experiments/create", name="one").status == 200
    again = client.post("experiments/create", name="one")
    assert (again.status, again.code) == (400, "RESOURCE_ALREADY_EXISTS")
    for reply in (
        client.get("experiments/get", experiment_id="99"),
        client.get("experiments/get-by-name", experiment_name="two"),
        client.get("runs/get", run_id="run_x"),
        client.post("runs/log-metric", run_id="run_x", key="k", value=1, timestamp=1),
        client.get("logged-models/m-1"),
        client.get("metrics/get-history", run_id="run_x", metric_key="k"),
        client.post("runs/create", experiment_id="99", start_time=1),
    ):
        assert (reply.status, reply.code) == (404, "RESOURCE_DOES_NOT_EXIST"), reply.body
    for reply in (
        client.get("experiments/get", experiment_id="abc"),
        client.get("experiments/get"),
        client.post("experiments/create"),
        client.post("experiments/create", name="x", artifact_location="s3://elsewhere"),
        client.get("runs/get", run_id="../../etc"),
    ):
        assert (reply.status, reply.code) == (400, "INVALID_PARAMETER_VALUE"), reply.body


def test_two_clients_make_the_same_experiment_at_once(client: Client) -> None:
    replies: list[Reply] = []

    def make() -> None:
        replies.append(client.post("experiments/create", name="contested"))

    threads = [threading.Thread(target=make) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(reply.status for reply in replies) == [200, 400]
    assert next(reply for reply in replies if reply.status == 400).code == "RESOURCE_ALREADY_EXISTS"


def test_experiments_come_in_pages_and_in_order(client: Client) -> None:
    for name in ("b", "a", "c"):
        client.post("experiments/create", name=name)
    first = client.post("experiments/search", max_results=2, order_by=["name ASC"], filter="name != 'Default'").json
    assert [e["name"] for e in first["experiments"]] == ["a", "b"]
    rest = client.get(
        "experiments/search",
        max_results=2,
        order_by=["name ASC"],
        filter="name != 'Default'",
        page_token=first["next_page_token"],
        view_type="ALL",
    )
    assert rest.status == 200, rest.body


def test_a_run_from_beginning_to_end(client: Client) -> None:
    run = client.begin(user_id="ann", run_name="first", tags=[{"key": "team", "value": "blue"}])
    info = run["info"]
    assert (info["run_id"], info["run_name"], info["user_id"]) == (info["run_uuid"], "first", "ann")
    assert (info["status"], info["start_time"], info["lifecycle_stage"]) == ("RUNNING", 1_700_000_000_000, "active")
    assert info["artifact_uri"] == f"mlflow-artifacts:/0/{info['run_id']}/artifacts"
    assert of(run["data"]["tags"]) == {"team": "blue", "mlflow.runName": "first"}
    run_id = info["run_id"]
    for step, value in enumerate((3.0, 2.0, 1.0)):
        body = {"run_uuid": run_id, "run_id": run_id, "key": "loss", "value": value, "timestamp": 10 + step}
        assert client.post("runs/log-metric", **body, step=step).json == {}
    assert client.post("runs/log-parameter", run_id=run_id, key="depth", value="6").status == 200
    assert client.post("runs/set-tag", run_id=run_id, key="note", value="x").status == 200
    assert client.post("runs/delete-tag", run_id=run_id, key="team").status == 200
    ended = client.post("runs/update", run_id=run_id, status="FINISHED", end_time=1_700_000_001_000)
    assert ended.json["run_info"]["status"] == "FINISHED"
    found = client.run_of(run_id)
    assert found["info"]["end_time"] == 1_700_000_001_000
    assert found["data"]["metrics"] == [{"key": "loss", "value": 1.0, "timestamp": 12, "step": 2}]
    assert of(found["data"]["params"]) == {"depth": "6"}
    assert of(found["data"]["tags"]) == {"mlflow.runName": "first", "note": "x"}
    history = client.get("metrics/get-history", run_id=run_id, metric_key="loss").json["metrics"]
    assert [point["value"] for point in history] == [3.0, 2.0, 1.0]


def test_a_run_without_a_name_gets_one(client: Client) -> None:
    run = client.begin()
    assert run["info"]["run_name"]
    assert of(run["data"]["tags"])["mlflow.runName"] == run["info"]["run_name"]
    both = client.post("runs/create", run_name="a", tags=[{"key": "mlflow.runName", "value": "b"}])
    assert (both.status, both.code) == (400, "INVALID_PARAMETER_VALUE")


def test_states_come_by_name_and_by_number(client: Client) -> None:
    run_id = client.begin()["info"]["run_id"]
    assert client.post("runs/update", run_id=run_id, status=4).json["run_info"]["status"] == "FAILED"
    assert client.post("runs/update", run_id=run_id, status="5").json["run_info"]["status"] == "KILLED"
    wrong = client.post("runs/update", run_id=run_id, status="DONE")
    assert (wrong.status, wrong.code) == (400, "INVALID_PARAMETER_VALUE")
    assert "FINISHED" in wrong.message


def test_numbers_that_json_lacks(client: Client) -> None:
    run_id = client.begin()["info"]["run_id"]
    for key, value in (("a", "NaN"), ("b", "Infinity"), ("c", "-Infinity")):
        assert client.post("runs/log-metric", run_id=run_id, key=key, value=value, timestamp=1).status == 200
    assert of(client.run_of(run_id)["data"]["metrics"]) == {"a": "NaN", "b": "Infinity", "c": "-Infinity"}


def test_a_batch_is_whole_or_not_at_all(client: Client) -> None:
    run_id = client.begin()["info"]["run_id"]
    good = {"key": "m", "value": 1.5, "timestamp": 5, "step": 1}
    batch = {"run_id": run_id, "metrics": [good], "params": [{"key": "p", "value": "1"}], "tags": [{"key": "t"}]}
    assert client.post("runs/log-batch", **batch).json == {}
    wrong = client.post("runs/log-batch", run_id=run_id, metrics=[good | {"key": "n"}, good | {"key": "a\nb"}])
    assert (wrong.status, wrong.code) == (400, "INVALID_PARAMETER_VALUE")
    changed = client.post("runs/log-batch", run_id=run_id, params=[{"key": "p", "value": "2"}], metrics=[good])
    assert (changed.status, changed.code) == (400, "INVALID_PARAMETER_VALUE")
    data = client.run_of(run_id)["data"]
    assert of(data["metrics"]) == {"m": 1.5}
    assert of(data["params"]) == {"p": "1"}
    assert of(data["tags"])["t"] == ""


@pytest.mark.parametrize(
    "batch",
    [
        {"metrics": [{"key": "m", "value": 1.0, "timestamp": 1}] * 1001},
        {"params": [{"key": f"p{n}", "value": ""} for n in range(101)]},
        {"params": [{"key": "p", "value": "x" * 1_000_000}]},
        {"params": [{"key": "p", "value": "1"}, {"key": "p", "value": "2"}]},
        {"metrics": [{"key": "m", "timestamp": 1}]},
        {"metrics": [{"key": "../m", "value": 1.0, "timestamp": 1}]},
        {"metrics": [{"key": "m", "value": True, "timestamp": 1}]},
        {"metrics": {"key": "m"}},
    ],
    ids=lambda batch: str(batch)[:30],
)
def test_batches_that_are_refused(client: Client, batch: dict[str, Any]) -> None:
    run_id = client.begin()["info"]["run_id"]
    reply = client.post("runs/log-batch", run_id=run_id, **batch)
    assert (reply.status, reply.code) == (400, "INVALID_PARAMETER_VALUE")
    assert client.run_of(run_id)["data"]["metrics"] == []


def test_names_with_slashes_and_unicode_are_kept(client: Client) -> None:
    run_id = client.begin()["info"]["run_id"]
    names = ["train/loss", "Verlust größer", "日本語", "a.b-c d:e"]
    metrics = [{"key": name, "value": 1.0, "timestamp": 1} for name in names]
    assert client.post("runs/log-batch", run_id=run_id, metrics=metrics).status == 200
    assert set(of(client.run_of(run_id)["data"]["metrics"])) == set(names)
    found = client.get("metrics/get-history", run_id=run_id, metric_key="日本語")
    assert len(found.json["metrics"]) == 1


def test_a_deleted_run_refuses_and_comes_back(client: Client) -> None:
    run_id = client.begin()["info"]["run_id"]
    assert client.post("runs/delete", run_id=run_id).status == 200
    refused = client.post("runs/log-metric", run_id=run_id, key="k", value=1, timestamp=1)
    assert (refused.status, refused.code) == (400, "INVALID_PARAMETER_VALUE")
    assert client.post("runs/search", experiment_ids=["0"]).json["runs"] == []
    gone = client.post("runs/search", experiment_ids=["0"], run_view_type="DELETED_ONLY").json["runs"]
    assert [run["info"]["lifecycle_stage"] for run in gone] == ["deleted"]
    assert client.post("runs/restore", run_id=run_id).status == 200
    assert client.run_of(run_id)["info"]["lifecycle_stage"] == "active"


def test_search_filters_orders_and_pages(client: Client) -> None:
    for number in range(5):
        run_id = client.begin(run_name=f"r{number}")["info"]["run_id"]
        metrics = [{"key": "acc", "value": number / 10, "timestamp": 1}]
        client.post("runs/log-batch", run_id=run_id, metrics=metrics, params=[{"key": "n", "value": str(number)}])
    asked = {"experiment_ids": ["0"], "filter": "metrics.acc > 0.05", "order_by": ["metrics.acc DESC"]}
    first = client.post("runs/search", **asked, max_results=3).json
    assert [run["info"]["run_name"] for run in first["runs"]] == ["r4", "r3", "r2"]
    rest = client.post("runs/search", **asked, max_results=3, page_token=first["next_page_token"]).json
    assert [run["info"]["run_name"] for run in rest["runs"]] == ["r1"]
    assert "next_page_token" not in rest
    assert client.post("runs/search", experiment_ids=[]).json["runs"] == []


def test_a_document_is_made_anew_when_its_run_changed(client: Client) -> None:
    run_id = client.begin()["info"]["run_id"]
    before = client.post("runs/search", experiment_ids=["0"]).json["runs"][0]
    assert before["data"]["metrics"] == []
    client.post("runs/log-metric", run_id=run_id, key="k", value=1, timestamp=1)
    after = client.post("runs/search", experiment_ids=["0"]).json["runs"][0]
    assert of(after["data"]["metrics"]) == {"k": 1.0}
    assert after == client.run_of(run_id)


@pytest.mark.parametrize(
    ("text", "position"),
    [("metrics.acc >", 14), ("metrics.acc > 0.9 OR x = 'y'", 19), ("nobody.a = 1", 1), ("params.a = 'x", 12)],
)
def test_a_malformed_filter_is_told_by_its_position(client: Client, text: str, position: int) -> None:
    reply = client.post("runs/search", experiment_ids=["0"], filter=text)
    assert (reply.status, reply.code) == (400, "INVALID_PARAMETER_VALUE")
    assert f"at character {position}" in reply.message
    assert reply.message.rstrip().endswith("^"), "a line below it shows the place"


@pytest.mark.parametrize(
    "body", [{"max_results": 0}, {"max_results": 50_001}, {"page_token": "x"}, {"order_by": ["?"]}]
)
def test_searches_out_of_bounds(client: Client, body: dict[str, Any]) -> None:
    reply = client.post("runs/search", experiment_ids=["0"], **body)
    assert (reply.status, reply.code) == (400, "INVALID_PARAMETER_VALUE")


def test_history_comes_in_pages(client: Client) -> None:
    run_id = client.begin()["info"]["run_id"]
    metrics = [{"key": "k", "value": step, "timestamp": step, "step": step} for step in range(10)]
    client.post("runs/log-batch", run_id=run_id, metrics=metrics)
    first = client.get("metrics/get-history", run_id=run_id, metric_key="k", max_results=7).json
    rest = client.get(
        "metrics/get-history", run_id=run_id, metric_key="k", max_results=7, page_token=first["next_page_token"]
    ).json
    assert [point["step"] for point in first["metrics"] + rest["metrics"]] == list(range(10))
    assert "next_page_token" not in rest
    assert client.get("metrics/get-history", run_id=run_id, metric_key="k", max_results=-1).status == 400


def test_histories_of_many_runs_are_thinned_evenly(client: Client) -> None:
    runs = [client.begin()["info"]["run_id"] for _ in range(2)]
    for run_id in runs:
        metrics = [{"key": "k", "value": step, "timestamp": 1, "step": step} for step in range(100)]
        client.post("runs/log-batch", run_id=run_id, metrics=metrics)
    path = "metrics/get-history-bulk-interval"
    found = client.get(path, run_ids=runs, metric_key="k", max_results=5).json["metrics"]
    assert [(point["run_id"], point["step"]) for point in found] == [
        (run_id, step) for run_id in runs for step in (0, 25, 50, 74, 99)
    ]
    some = client.get(path, run_ids=runs[:1], metric_key="k", start_step=10, end_step=12).json["metrics"]
    assert [point["step"] for point in some] == [10, 11, 12]
    assert client.get(path, run_ids=runs, metric_key="k", start_step=5).status == 400
    assert client.get(path, metric_key="k").status == 400
    assert len(client.get("metrics/get-history-bulk", run_id=runs, metric_key="k").json["metrics"]) == 200


def test_datasets_of_a_run(client: Client) -> None:
    run_id = client.begin()["info"]["run_id"]
    dataset = {"name": "train", "digest": "abc", "source_type": "local", "source": "{}", "schema": "[]"}
    given = {"dataset": dataset, "tags": [{"key": "mlflow.data.context", "value": "training"}]}
    assert client.post("runs/log-inputs", run_id=run_id, datasets=[given]).json == {}
    assert client.run_of(run_id)["inputs"]["dataset_inputs"] == [given]
    told = client.post("experiments/search-datasets", experiment_ids=["0"]).json["dataset_summaries"]
    assert told == [{"experiment_id": "0", "name": "train", "digest": "abc", "context": "training"}]
    found = client.post("runs/search", experiment_ids=["0"], filter="dataset.name = 'train'").json["runs"]
    assert [run["info"]["run_id"] for run in found] == [run_id]


def test_what_old_clients_note_of_a_model(client: Client) -> None:
    run_id = client.begin()["info"]["run_id"]
    said = {"artifact_path": "m", "flavors": {}, "utc_time_created": "now", "run_id": run_id}
    for _ in range(2):
        assert client.post("runs/log-model", run_id=run_id, model_json=json.dumps(said)).status == 200
    assert json.loads(of(client.run_of(run_id)["data"]["tags"])["mlflow.log-model.history"]) == [said, said]
    for text in ("{", "[]", "{}", "null"):
        assert client.post("runs/log-model", run_id=run_id, model_json=text).status == 400


def test_many_clients_log_to_one_run_at_once(client: Client) -> None:
    run_id = client.begin()["info"]["run_id"]
    failed: list[Reply] = []

    def log(worker: int) -> None:
        for step in range(25):
            reply = client.post("runs/log-metric", run_id=run_id, key=f"k{worker}", value=step, timestamp=1, step=step)
            if reply.status != 200:
                failed.append(reply)

    threads = [threading.Thread(target=log, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert of(client.run_of(run_id)["data"]["metrics"]) == {f"k{worker}": 24.0 for worker in range(4)}
