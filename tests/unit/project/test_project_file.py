from __future__ import annotations

from pathlib import Path

import pytest

from modelloop.evaluate.settings import Task
from modelloop.ground.core.errors import NotFound, ProjectFileInvalid
from modelloop.ground.core.toml import Mistake
from modelloop.project import Project, parse_project, read_project
from modelloop.scaffold import scaffold

FIVE = """\
[project]
name = "flights"
owner = "ops"

[objective]
question = "Will it be late?"
task = "binary"
metric = "acu"
meaning = "of a late and a timely flight, how often the late one scores higher"
label = "late"

[sources.flights]
path = "landing/flights"
dataset = "flights"
contract = "fligths"

[contracts.flights.columns]
flight = { type = "string" }
distance.type = "float"
distance.min = "0"

[pipelines.train]
function = "steps:train"
inputs = { flights = "flights" }
model = "delay"
params.trials = 8
tme_limit = "1h"

[gates.parity]
check = "parity"

[endpoints.delay]
model = "delay"

[endpoints.delay.rollout]
canary = [
  0.5,
  0.1,
]
"""


def refused(text: str) -> list[dict[str, object]]:
    with pytest.raises(ProjectFileInvalid) as caught:
        parse_project(text)
    found: list[dict[str, object]] = caught.value.detail["mistakes"]
    return found


def test_five_mistakes_of_five_kinds_are_reported_at_once_with_their_lines() -> None:
    found = refused(FIVE)
    assert [(one["line"], one["where"]) for one in found] == [
        (8, "objective.metric"),
        (15, "sources.flights.contract"),
        (20, "contracts.flights.columns.distance.min"),
        (27, "pipelines.train.tme_limit"),
        (38, "endpoints.delay.rollout.canary[1]"),
    ]
    assert [one["hint"] for one in found] == [
        'did you mean "auc"?',
        'did you mean "flights"?',
        "",
        'did you mean "time_limit"?',
        "",
    ]
    assert all(one["file"] == "modelloop.toml" and one["found"] for one in found)
    assert found[2]["found"] == '"0"'
    assert found[2]["allowed"] == "a number"


def test_what_hangs_on_a_mistake_is_not_reported_too() -> None:
    (only,) = refused(
        FIVE.replace('"acu"', '"auc"').replace("fligths", "flights").replace('"0"', "0").replace("0.1", "1")
    )
    assert only["where"] == "pipelines.train.tme_limit"
    text = FIVE.replace("sources", "source").replace("tme", "time").replace('"0"', "0").replace("0.1", "1")
    assert [one["where"] for one in refused(text)] == ["objective.metric", "source"]


def test_a_mended_file_is_read() -> None:
    text = FIVE.replace('"acu"', '"auc"').replace("fligths", "flights").replace('"0"', "0").replace("0.1", "1")
    read = parse_project(text.replace("tme_", "time_"))
    assert read.pipelines["train"].params["trials"] == 8
    assert read.endpoints["delay"].rollout.canary == (0.5, 1.0)
    assert read.contracts["flights"].columns["distance"].min == 0


def test_an_empty_file_lacks_project_and_objective(tmp_path: Path) -> None:
    file = tmp_path / "modelloop.toml"
    file.write_text("")
    with pytest.raises(ProjectFileInvalid) as caught:
        read_project(file)
    assert [one["where"] for one in caught.value.detail["mistakes"]] == ["objective", "project"]


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "modelloop.toml", tmp_path / "no" / "folder"):
        with pytest.raises(NotFound, match="modelloop init"):
            read_project(path)


def test_a_file_that_is_not_utf8_says_where(tmp_path: Path) -> None:
    file = tmp_path / "modelloop.toml"
    file.write_bytes(b'[project]\nname = "caf\xe9"\n')
    with pytest.raises(ProjectFileInvalid) as caught:
        read_project(file)
    (only,) = caught.value.detail["mistakes"]
    assert (only["line"], only["found"]) == (2, "a byte that is not UTF-8 (0xe9)")


def test_a_syntax_error_has_its_line(tmp_path: Path) -> None:
    file = tmp_path / "modelloop.toml"
    file.write_text("[project]\nname = flights\n")
    with pytest.raises(ProjectFileInvalid, match=r"modelloop\.toml:2  found no valid TOML"):
        read_project(file)


@pytest.mark.parametrize("start", ["\ufeff", "\n"])
def test_what_windows_editors_write_is_read(tmp_path: Path, start: str) -> None:
    scaffold(tmp_path, "demo", task=Task.BINARY)
    file = tmp_path / "modelloop.toml"
    file.write_bytes((start + file.read_text()).replace("\n", "\r\n").encode())
    assert read_project(tmp_path).project.name == "demo"


def test_every_table_by_name_has_names_that_are_safe_in_a_path() -> None:
    patterns = {name: part.metadata["pattern"] for name, part in Project.__dataclass_fields__.items()}
    del patterns["project"], patterns["objective"], patterns["pool"]
    assert set(patterns.values()) == {"[a-z][a-z0-9_-]{0,62}"}


def test_a_mistake_reads_as_a_sentence() -> None:
    mistake = Mistake(12, "objective.metric", '"acu"', "auc, brier", 'did you mean "auc"?', "modelloop.toml")
    assert str(mistake) == (
        'modelloop.toml:12  objective.metric: found "acu"; allowed: auc, brier; did you mean "auc"?'
    )
