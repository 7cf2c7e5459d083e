"""Runs in MLflow's own environment: experiments, runs, metrics, params, tags, datasets, search, pages, errors."""

import math
import os
import tempfile
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException

client = MlflowClient()


def refused(code, call, *args, **more):
    try:
        call(*args, **more)
    except MlflowException as error:
        found = error
    else:
        raise AssertionError(f"{call} was not refused")
    assert found.error_code == code, (found.error_code, found.message)
    return found.message


# experiments
experiment = client.create_experiment("prices", tags={"team": "blue"})
assert client.get_experiment_by_name("prices").experiment_id == experiment
assert client.get_experiment_by_name("nobody") is None
refused("RESOURCE_ALREADY_EXISTS", client.create_experiment, "prices")
refused("RESOURCE_DOES_NOT_EXIST", client.get_experiment, "9999")
client.set_experiment_tag(experiment, "kind", "test")
assert client.get_experiment(experiment).tags == {"team": "blue", "kind": "test"}
second = client.create_experiment("second")
client.rename_experiment(second, "zweites")
client.delete_experiment(second)
assert [e.name for e in client.search_experiments(view_type=ViewType.DELETED_ONLY)] == ["zweites"]
client.restore_experiment(second)
found = client.search_experiments(filter_string="name LIKE 'z%'", order_by=["name ASC"])
assert [e.experiment_id for e in found] == [second]
pages = client.search_experiments(max_results=2)
assert len(pages) == 2
assert pages.token
assert len(client.search_experiments(max_results=2, page_token=pages.token)) == 1

# runs by the fluent API, nested
mlflow.set_experiment("prices")
with mlflow.start_run(run_name="parent", description="a parent") as parent:
    mlflow.log_params({"depth": 3, "lr": 0.1, "name": "größer"})
    for step in range(20):
        mlflow.log_metric("train/loss", 1 / (step + 1), step=step)
    mlflow.log_metrics({"acc": 0.9, "nan": math.nan, "inf": math.inf, "low": -math.inf}, step=3)
    mlflow.set_tags({"a": "b", "c": "d"})
    mlflow.delete_tag("c")
    with mlflow.start_run(run_name="child", nested=True) as child:
        mlflow.log_metric("acc", 0.5)
        mlflow.log_param("depth", 5)
    frame = pd.DataFrame({"x": [1.0, 2.0], "y": [0, 1]})
    mlflow.log_input(mlflow.data.from_pandas(frame, name="frame", targets="y"), context="training")
    mlflow.log_input(mlflow.data.from_numpy(np.zeros((3, 2)), name="array"), context="validation")
run = client.get_run(parent.info.run_id)
assert run.info.status == "FINISHED"
assert run.info.run_name == "parent"
assert run.info.end_time >= run.info.start_time
assert run.data.params == {"depth": "3", "lr": "0.1", "name": "größer"}
assert run.data.metrics["train/loss"] == 1 / 20
assert math.isnan(run.data.metrics["nan"])
assert (run.data.metrics["inf"], run.data.metrics["low"]) == (math.inf, -math.inf)
assert run.data.tags["a"] == "b"
assert "c" not in run.data.tags
assert run.data.tags["mlflow.note.content"] == "a parent"
assert [(i.dataset.name, i.tags[0].value) for i in run.inputs.dataset_inputs] in (
    [("frame", "training"), ("array", "validation")],
    [("array", "validation"), ("frame", "training")],
)
assert client.get_run(child.info.run_id).data.tags["mlflow.parentRunId"] == parent.info.run_id
history = client.get_metric_history(parent.info.run_id, "train/loss")
assert [(m.step, m.value) for m in history] == [(step, 1 / (step + 1)) for step in range(20)]
assert client.get_metric_history(parent.info.run_id, "nothing") == []

# a run that fails says so
try:
    with mlflow.start_run() as broken:
        raise ValueError("broken")
except ValueError:
    pass
assert client.get_run(broken.info.run_id).info.status == "FAILED"

# batches, beyond one request's limits and in the background
made = client.create_run(experiment, run_name="batches", tags={"mlflow.user": "ann"})
run_id = made.info.run_id
client.log_batch(
    run_id,
    metrics=[Metric("m", float(n), 1000 + n, n) for n in range(900)],
    params=[Param(f"p{n}", str(n)) for n in range(50)],
    tags=[RunTag("t", "1")],
)
assert len(client.get_metric_history(run_id, "m")) == 900
with mlflow.start_run(run_id=run_id):
    mlflow.log_params({f"q{n}": n for n in range(250)})
    mlflow.log_metrics({f"metric {n}": float(n) for n in range(2500)})
    waiting = [mlflow.log_metric("later", n, step=n, synchronous=False) for n in range(200)]
    waiting.append(mlflow.log_params({"later": "yes"}, synchronous=False))
    mlflow.flush_async_logging()
    for one in waiting:
        one.wait()
run = client.get_run(run_id)
assert len(run.data.params) == 301
assert len(run.data.metrics) == 2502
assert [m.value for m in client.get_metric_history(run_id, "later")] == [float(n) for n in range(200)]
client.set_terminated(run_id, "KILLED")
client.update_run(run_id, name="renamed")
run = client.get_run(run_id)
assert (run.info.status, run.info.run_name, run.data.tags["mlflow.runName"]) == ("KILLED", "renamed", "renamed")

# what is refused, and says why
assert "not allowed" in refused("INVALID_PARAMETER_VALUE", client.log_param, run_id, "later", "no")
refused("INVALID_PARAMETER_VALUE", client.log_metric, run_id, "../up", 1.0)
refused("INVALID_PARAMETER_VALUE", client.log_metric, run_id, "a\nb", 1.0)
refused("RESOURCE_DOES_NOT_EXIST", client.get_run, "f" * 32)
refused("RESOURCE_DOES_NOT_EXIST", client.delete_tag, run_id, "nothing")
assert "character 15" in refused("INVALID_PARAMETER_VALUE", client.search_runs, [experiment], "metrics.acc > 'x'")
os.environ["MLFLOW_TRUNCATE_LONG_VALUES"] = "false"
refused("INVALID_PARAMETER_VALUE", client.log_param, run_id, "long", "x" * 1_000_000)

# searching
frame = mlflow.search_runs(
    experiment_names=["prices"], filter_string="metrics.acc > 0.4", order_by=["metrics.acc DESC"]
)
assert list(frame["tags.mlflow.runName"]) == ["parent", "child"]
one = client.search_runs([experiment], "params.depth = '5' AND tags.`mlflow.runName` LIKE 'ch%'")
assert [r.info.run_id for r in one] == [child.info.run_id]
one = client.search_runs([experiment], "attributes.status = 'FAILED'")
assert [r.info.run_id for r in one] == [broken.info.run_id]
one = client.search_runs([experiment], "datasets.name = 'frame'")
assert [r.info.run_id for r in one] == [parent.info.run_id]
for number in range(30):
    client.set_terminated(client.create_run(second, run_name=f"r{number:02}").info.run_id)
seen, token = [], None
while True:
    page = client.search_runs([second], max_results=7, order_by=["attributes.run_name ASC"], page_token=token)
    seen += [r.info.run_name for r in page]
    token = page.token
    if not token:
        break
assert seen == [f"r{number:02}" for number in range(30)]
client.delete_run(child.info.run_id)
assert client.search_runs([experiment], "params.depth = '5'") == []
refused("INVALID_PARAMETER_VALUE", client.log_metric, child.info.run_id, "a", 1.0)
client.restore_run(child.info.run_id)
assert len(client.search_runs([experiment], "params.depth = '5'")) == 1

# artifacts
with mlflow.start_run(run_id=parent.info.run_id), tempfile.TemporaryDirectory() as folder:
    mlflow.log_text("hello", "texts/a b.txt")
    mlflow.log_text("", "texts/empty.txt")
    mlflow.log_dict({"a": 1}, "größe.json")
    mlflow.log_table({"question": ["a"], "answer": ["b"]}, "table.json")
    deep = Path(folder, "deep", "er")
    deep.mkdir(parents=True)
    (deep / "100%.bin").write_bytes(b"\x00\xff" * 1000)
    mlflow.log_artifacts(folder, "folder")
    uri = mlflow.get_artifact_uri()
assert sorted(f.path for f in client.list_artifacts(parent.info.run_id)) == [
    "folder", "größe.json", "table.json", "texts",
]  # fmt: skip
assert {(f.path, f.is_dir, f.file_size) for f in client.list_artifacts(parent.info.run_id, "texts")} == {
    ("texts/a b.txt", False, 5),
    ("texts/empty.txt", False, 0),
}
assert mlflow.artifacts.load_text(f"{uri}/texts/a b.txt") == "hello"
local = client.download_artifacts(parent.info.run_id, "folder")
assert Path(local, "deep", "er", "100%.bin").read_bytes() == b"\x00\xff" * 1000
whole = mlflow.artifacts.download_artifacts(run_id=parent.info.run_id, artifact_path="")
assert Path(whole, "texts", "empty.txt").exists()
assert list(mlflow.load_table("table.json", run_ids=[parent.info.run_id])["answer"]) == ["b"]

# what is out of scope says so and breaks nothing
refused("NOT_IMPLEMENTED", client.create_webhook, "w", "https://example.com", [])
assert "Traces" in refused("NOT_IMPLEMENTED", client.search_traces, [experiment])


@mlflow.trace
def traced(x):
    return x + 1


assert traced(1) == 2
mlflow.flush_trace_async_logging()
refused("INVALID_PARAMETER_VALUE", client.create_experiment, "elsewhere", "s3://bucket")
