"""The rooms stand in order: import-linter's contracts, and what they cannot say."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from functools import cache

import grimp
import pytest
from source import PACKAGE, ROOT, STAGES, sources

# Entered from outside; everything else in a stage is a topic: pure.
EFFECTS = {"actions", "tables", "routes", "adapters", "gateway", "replica"}
# Within training: what runs code in processes, and what writes behind a queue.
RUNNING = {
    "modelloop.train.parallel",
    "modelloop.train.search",
    "modelloop.train.tracking.writer",
    "modelloop.train.studies.folder",
}
# Topics whose subject is bytes: they are handed a Blobs and know no facts.
OF_BYTES = {"modelloop.register.package", "modelloop.register.manifest"}
BYTES = {"modelloop.ground.store", "modelloop.ground.store.blobs", "modelloop.ground.store.trash"}
HEAVY = {
    "pyarrow",
    "duckdb",
    "lightgbm",
    "sklearn",
    "optuna",
    "onnx",
    "skl2onnx",
    "scipy",
    "onnxruntime",
    "alembic",
    "torch",
}


@cache
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("modelloop", exclude_type_checking_imports=True, cache_dir=None)


def test_the_contracts_hold() -> None:
    """The same as `lint-imports` of `make check`."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_contracts_have_no_exceptions() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    assert [c["name"] for c in settings["contracts"] if any("ignore" in key for key in c)] == []


@pytest.mark.parametrize("stage", STAGES)
def test_topics_are_pure(stage: str) -> None:
    impure = []
    for module in sorted(graph().find_descendants(f"modelloop.{stage}")):
        if EFFECTS.intersection(module.split(".")[2:]) or module.startswith(tuple(RUNNING)):
            continue
        allowed = BYTES if module in OF_BYTES else set()
        below = graph().find_upstream_modules(module) - allowed
        found = sorted(name for name in below if name.startswith(("modelloop.ground.store", "modelloop.ground.pool")))
        impure += [" -> ".join(graph().find_shortest_chain(module, name) or ()) for name in found[:1]]
    assert impure == []


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_entered_through_its_front(stage: str) -> None:
    """Tables and adapters of a stage are its own; the contracts name them, this finds what was forgotten there."""
    for part in ("tables", "adapters"):
        name = f"modelloop.{stage}.{part}"
        inside = {name} | (graph().find_descendants(name) if name in graph().modules else set())
        for module in inside & graph().modules:
            strangers = [
                m for m in graph().find_modules_that_directly_import(module) if not m.startswith(f"modelloop.{stage}.")
            ]
            assert strangers == [], module


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_begins_with_what_it_is(stage: str) -> None:
    (front,) = [source for source in sources(PACKAGE) if source.path == PACKAGE / stage / "__init__.py"]
    assert ast.get_docstring(front.tree), "say what goes in and what comes out"
    assert len(front.tree.body) == 1, "a stage's __init__ is its docstring alone"


@pytest.mark.parametrize("stage", [stage for stage in STAGES if f"modelloop.{stage}.actions" in graph().modules])
def test_actions_are_light_to_import(stage: str) -> None:
    """`modelloop status` and the pages load every stage's actions; who computes loads what computes."""
    assert loaded(f"modelloop.{stage}.actions") & HEAVY == set()


def test_the_gateway_loads_no_facts_and_no_tables() -> None:
    assert (
        loaded("modelloop.deploy.gateway.__main__") & {"sqlalchemy", "alembic", "polars", "pandas", "jinja2"} == set()
    )


def test_help_is_light() -> None:
    assert loaded("modelloop.cli") & {"sqlalchemy", "numpy", "polars", "starlette", *HEAVY} == set()


def loaded(module: str) -> set[str]:
    """Return the top-level packages that importing `module` brings into a fresh process."""
    code = f"import sys, {module}; print(' '.join({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())
