from __future__ import annotations

import contextlib
import json
import random
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from toml_values import tables
from toml_writer import Writer

from modelloop.evaluate.settings import Task
from modelloop.ground.core.errors import ProjectFileInvalid
from modelloop.ground.core.toml import draft, json_schema
from modelloop.project import Project, parse_project
from modelloop.project_reference import PAGE, SCHEMA, page_text, schema_text
from modelloop.scaffold import TASKS, scaffold

CHECKOUT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def validator() -> Any:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_the_shipped_schema_and_page_are_what_the_records_say() -> None:
    anew = "run: .venv/bin/python -m modelloop.project_reference"
    assert SCHEMA.read_text(encoding="utf-8") == schema_text(), anew
    assert (CHECKOUT / PAGE).read_text(encoding="utf-8") == page_text(), anew


@pytest.mark.parametrize("task", TASKS)
def test_the_template_keeps_the_schema(tmp_path: Path, validator: Any, task: Task) -> None:
    scaffold(tmp_path, "demo", task=task)
    raw = tomllib.loads((tmp_path / "modelloop.toml").read_text())
    assert not list(validator.iter_errors(raw))


def test_every_project_file_in_the_checkout_keeps_the_schema(validator: Any) -> None:
    folders = [CHECKOUT / "examples", CHECKOUT / "src" / "modelloop" / "demo"]
    for file in (file for folder in folders for file in folder.rglob("modelloop.toml")):
        assert not list(validator.iter_errors(tomllib.loads(file.read_text()))), file


def _spoil(table: dict[str, Any], rnd: random.Random) -> None:
    """Change, add or take out one thing somewhere."""
    name = rnd.choice([*table, "new"])
    if isinstance(table.get(name), dict) and rnd.random() < 0.8:
        _spoil(table[name], rnd)
    elif rnd.random() < 0.2:
        table.pop(name, None)
    else:
        table[name] = rnd.choice([1, -1.5, "x", True, [], {}, [1], ["a"], {"a": 1}])


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)
@given(tables(Project), st.integers(0, 2**32), st.integers(0, 2))
def test_schema_and_parser_agree_and_no_check_breaks(raw: dict[str, Any], seed: int, changes: int) -> None:
    rnd = random.Random(seed)
    raw = json.loads(json.dumps(raw))
    for _ in range(changes):
        _spoil(raw, rnd)
    text = Writer(rnd).write(raw)
    accepted = not draft(text, Project, file="modelloop.toml").mistakes
    assert accepted == jsonschema.Draft202012Validator(json_schema(Project)).is_valid(raw)
    with contextlib.suppress(ProjectFileInvalid):  # names lead nowhere in most; that is found, not stumbled over
        parse_project(text)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["objective", "metric"], "acu"),
        (["objective", "extra"], 1),
        (["project", "name"], "No Name"),
        (["sources", "UP"], {"path": "x", "dataset": "d", "contract": "c"}),
        (["gates", "beats-the-mean", "min_rows"], 0),
        (["gates", "beats-the-mean", "confidence"], 1),
        (["monitors", "quality", "every"], "7 days"),
        (["endpoints", "demo", "rollout", "canary"], 0.1),
        (["pipelines", "train", "function"], "train"),
    ],
)
def test_the_schema_refuses_what_the_parser_refuses(
    tmp_path: Path, validator: Any, path: list[str], value: object
) -> None:
    scaffold(tmp_path, "demo", task=Task.BINARY)
    raw: Any = tomllib.loads((tmp_path / "modelloop.toml").read_text())
    table = raw
    for name in path[:-1]:
        table = table[name]
    table[path[-1]] = value
    assert list(validator.iter_errors(raw))


def test_every_setting_is_explained() -> None:
    schema = json_schema(Project)
    for record in (schema, *schema["$defs"].values()):
        assert record["additionalProperties"] is False
        for name, setting in record["properties"].items():
            assert setting["description"], name


def test_the_page_names_every_setting() -> None:
    page = page_text()
    for name, record in json_schema(Project)["$defs"].items():
        for setting in record["properties"]:
            assert f"| `{setting}` |" in page, (name, setting)


def test_order_does_not_matter(validator: Any, tmp_path: Path) -> None:
    scaffold(tmp_path, "demo", task=Task.BINARY)
    raw = tomllib.loads((tmp_path / "modelloop.toml").read_text())
    keys = list(raw)
    random.Random(1).shuffle(keys)
    assert validator.is_valid({key: raw[key] for key in keys})
