"""Tasks, headline metrics and the project's own metrics, as the project file may say them."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelloop.evaluate.settings import Task
from modelloop.ground.core.errors import ProjectFileInvalid
from modelloop.project import parse_project
from modelloop.scaffold import scaffold

OWN = """
[metrics.saved]
formula = "4 * label * decision - decision"
meaning = "What warnings save."
unit = "EUR"

[gates.pays]
check = "metric"
own = "saved"
bound = 0.1
"""


@pytest.fixture
def text(tmp_path: Path) -> str:
    scaffold(tmp_path, "trial", task=Task.BINARY)
    return (tmp_path / "modelloop.toml").read_text(encoding="utf-8")


def test_own_metrics_and_their_gates_are_read(text: str) -> None:
    project = parse_project(text + OWN)
    assert project.metrics["saved"].unit == "EUR"
    assert project.gates["pays"].own == "saved"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('own = "saved"', 'own = "save"', 'did you mean "saved"'),
        ('own = "saved"', 'own = "saved"\nmetric = "f1"', "one of the two"),
        ("[metrics.saved]", "[metrics.auc]", "no known metric"),
        ("label * decision", "label ** decision", "character 12"),
        ('task = "binary"', 'task = "multiclass"', 'the task is "multiclass"'),
        ('task = "binary"', 'task = "ranking"', "column of the query"),
        ('metric = "auc"', 'metric = "bias"', 'the task is "binary"'),
    ],
)
def test_what_cannot_be_is_told(text: str, old: str, new: str, said: str) -> None:
    assert old in text + OWN
    with pytest.raises(ProjectFileInvalid) as told:
        parse_project((text + OWN).replace(old, new))
    assert said in str(told.value)


def test_a_sign_is_no_headline(tmp_path: Path) -> None:
    scaffold(tmp_path, "trial", task=Task.REGRESSION)
    text = (tmp_path / "modelloop.toml").read_text(encoding="utf-8")
    assert parse_project(text.replace('metric = "mae"', 'metric = "wape"')).objective.metric == "wape"
    with pytest.raises(ProjectFileInvalid, match="show it with `also`"):
        parse_project(text.replace('metric = "mae"', 'metric = "bias"'))
