"""Run by MLflow's own Python: fill a store with 200 runs and all that an import has to bring over."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import mlflow
import numpy as np
from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput, Metric, Param, RunTag

RUNS = 200
folder = Path(sys.argv[1])
mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
client = MlflowClient()


def dataset() -> object:
    return mlflow.data.from_numpy(np.arange(12.0).reshape(4, 3), name="flights", source="http://data/flights.csv")


def fill(experiment: str, number: int) -> str:
    tags = {"team": f"Zürich {number % 3}", "mlflow.note.content": "line one\nline two"}
    run = client.create_run(experiment, run_name=f"try {number}", start_time=1_700_000_000_000 + number, tags=tags)
    run_id = run.info.run_id
    points = [Metric("loss", 1.0 / (step + number + 1), 1_700_000_000_000 + step, step) for step in range(20)]
    points += [
        Metric("odd/deep name", value, 1_700_000_000_500 + n, -n)
        for n, value in enumerate((math.nan, math.inf, -math.inf, 0.1 + 0.2, 1e-300, -0.0))
    ]
    client.log_batch(
        run_id,
        metrics=points,
        params=[Param("alpha", repr(number / 7)), Param("wörd", "x" * 5000)],
        tags=[RunTag("late", str(number))],
    )
    if number % 10 == 0:
        client.log_text(run_id, f"text of {number}\n" * 100, "notes/deep/text é.txt")
        client.log_text(run_id, "", "empty.txt")
    state = ("FINISHED", "FAILED", "KILLED", None)[number % 4]
    if state:
        client.set_terminated(run_id, status=state, end_time=1_700_000_900_000 + number)
    return run_id


def model(experiment: str, run_id: str) -> str:
    made = client.create_logged_model(
        experiment, name="ridge", source_run_id=run_id, tags={"kind": "linear"}, params={"alpha": "1"}, model_type="m"
    )
    place = folder / "model"
    place.mkdir(exist_ok=True)
    (place / "MLmodel").write_text("flavors:\n  python_function:\n    loader_module: nothing\n")
    (place / "weights.txt").write_text(run_id)
    client.log_model_artifacts(made.model_id, str(place))
    client.finalize_logged_model(made.model_id, "READY")
    client.log_metric(run_id, "auc", 0.75, step=3, model_id=made.model_id, timestamp=1_700_000_000_000)
    client.log_outputs(run_id, [LoggedModelOutput(made.model_id, 3)])
    return made.model_id


first = client.create_experiment("flights/late", tags={"owner": "me"})
second = client.create_experiment("gone")
runs = [fill((first, "0", second)[number % 3 if number < 60 else 0], number) for number in range(RUNS)]
for run_id in runs[:6:2]:
    mlflow.set_experiment(experiment_id=client.get_run(run_id).info.experiment_id)
    with mlflow.start_run(run_id=run_id):
        mlflow.log_input(dataset(), context="training")
client.delete_run(runs[7])
models = [model(first, runs[0]), model(first, runs[3])]
client.delete_experiment(second)
client.create_registered_model("delay", tags={"a": "b"}, description="how late")
for place in (f"models:/{models[0]}", f"runs:/{runs[0]}/notes"):
    client.create_model_version("delay", place, run_id=runs[0], tags={"t": "u"}, description="made")
client.create_model_version("delay", client.get_logged_model(models[1]).artifact_location, run_id=runs[3])
client.delete_model_version("delay", "2")
client.set_registered_model_alias("delay", "best", 3)
sys.stdout.write(f"{len(runs)} runs\n")
