"""Runs in MLflow's own environment, several at once: they begin one experiment together and log without an error."""

import sys
import tempfile
from pathlib import Path

import mlflow
from mlflow import MlflowClient

number = sys.argv[1]
mlflow.set_experiment("together")
client = MlflowClient()
for attempt in range(3):
    with mlflow.start_run(run_name=f"{number}.{attempt}") as run, tempfile.TemporaryDirectory() as folder:
        mlflow.log_params({f"p{n}": n for n in range(20)})
        for step in range(60):
            mlflow.log_metric("loss", 1 / (step + 1), step=step)
            mlflow.log_metrics({f"m{n}": step for n in range(10)}, step=step)
        file = Path(folder) / "data.bin"
        file.write_bytes(number.encode() * 3_000_000)
        mlflow.log_artifact(str(file), "files")
    found = client.get_run(run.info.run_id)
    assert len(found.data.metrics) == 11
    assert found.data.metrics["loss"] == 1 / 60
    assert len(client.get_metric_history(run.info.run_id, "loss")) == 60
    local = client.download_artifacts(run.info.run_id, "files/data.bin")
    assert Path(local).read_bytes() == number.encode() * 3_000_000
    assert len(client.search_runs([found.info.experiment_id], "metrics.loss > 0")) >= 1
