"""Runs in MLflow's own environment: a large file goes there and back; asked for parts, the client goes on without."""

import hashlib
import os
import sys
from pathlib import Path

import mlflow
from mlflow import MlflowClient

size = int(sys.argv[1])
client = MlflowClient()
folder = Path(sys.argv[2])


def hashed(path):
    whole = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(1 << 20):
            whole.update(block)
    return whole.hexdigest()


file = folder / "large.bin"
block = os.urandom(1 << 20)
with file.open("wb") as out:
    for number in range(size >> 20):
        out.write(number.to_bytes(8, "big") + block[8:])
with mlflow.start_run() as run:
    mlflow.log_artifact(str(file))
os.environ["MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD"] = "true"
os.environ["MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE"] = str(5 << 20)
with mlflow.start_run(run_id=run.info.run_id):
    mlflow.log_artifact(str(file), "again")
for path in ("large.bin", "again/large.bin"):
    local = client.download_artifacts(run.info.run_id, path, str(folder))
    assert hashed(local) == hashed(file), path
    if local != str(file):
        Path(local).unlink()
