"""The look at a pipeline before anything runs."""

from __future__ import annotations

import importlib
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from flow_project import Project
from hypothesis import given
from hypothesis import strategies as st

from modelloop.ground.core.errors import PipelineInvalid
from modelloop.ground.flow.calls import mistakes_in, steps_in
from modelloop.ground.flow.look import check_params
from modelloop.ground.flow.shape import Shapes
from modelloop.ground.flow.sources import Sources

STEPS = """
    import other
    from modelloop import pipeline, step
    from other import far

    @step
    def load(path: str, *, days: int = 7) -> list[int]:
        return [1]

    @step
    def total(numbers: list[int]) -> int:
        return sum(numbers)

    @step
    def tell(text: str) -> str:
        return text
"""
OTHER = """
    from modelloop import step

    @step
    def far(text: str) -> str:
        return text
"""


def mistakes(project: Project, body: str) -> list[str]:
    project.write("other.py", OTHER)
    text = (
        textwrap.dedent(STEPS)
        + "\n\n@pipeline\ndef main(path='p', flag=True):\n"
        + textwrap.indent(textwrap.dedent(body).strip(), "    ")
    )
    (project.folder / "steps.py").write_text(text + "\n")
    project.forget()
    sys.path.insert(0, str(project.folder))
    importlib.invalidate_caches()
    return mistakes_in(importlib.import_module("steps").main, Sources(project.folder), Shapes())


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("load()", ["steps.py:21: load cannot be called like this: missing a required argument: 'path'."]),
        ("load(path, dais=3)", ["unexpected keyword argument 'dais'"]),
        ("load(path, 3)", ["too many positional arguments"]),
        ("other.far()", ["far cannot be called like this"]),
        ("tell(total(load(path)))", ["'text' of tell must be str; total(load(path)) is int."]),
        ("n = total(load(path))\nreturn tell(n)", ["steps.py:22: 'text' of tell must be str; n is int."]),
        ("load(path, days='seven')", ["'days' of load must be int; found 'seven' (str)."]),
        ("load.map([path], day=1)", ["unexpected keyword argument 'day'"]),
        ("tell(load.map([path]))", ["is list[list[int]]"]),
        ("load()\nif flag:\n    tell(1, 2)\n", ["steps.py:21", "steps.py:23"]),
        ("load(*path, day=1)", ["load takes no argument 'day'."]),
    ],
)
def test_calls_that_cannot_work_are_found_with_their_line(project: Project, body: str, expected: list[str]) -> None:
    found = mistakes(project, body)
    assert len(found) == len(expected), found
    for told, part in zip(found, expected, strict=True):
        assert part in told


@pytest.mark.parametrize(
    "body",
    [
        "tell(far('x'))\ntotal(load(path, days=3))",
        "load(*path)\nload(**{'path': path})\nload(path, **{'days': 1})",
        "load = print\nload(1, 2, 3)",
        "try:\n    load()\nexcept Exception:\n    pass",
        "n = total(load(path))\nn = str(n)\nreturn tell(n)",
        "for tell in [print]:\n    tell(1, 2)",
        "n = total(load(path)) if flag else 'x'\nreturn tell(n)",
        "[tell for tell in [len]][0]('x')",
        "def inner(total):\n    return total(1, 2)\nreturn inner(max)",
        "other.nothing(1)\n",
        "tell.function('x')",
        "total(load.map([path])[0])",
        "load.map(items=[path])",
    ],
)
def test_what_may_work_is_let_through(project: Project, body: str) -> None:
    assert mistakes(project, body) == []


@given(
    args=st.lists(st.sampled_from(["1", "'a'", "None"]), max_size=4),
    keywords=st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), st.sampled_from(["1", "'a'"]), max_size=3),
    parameters=st.sampled_from(
        ["a", "a, b=1", "a, /, b", "*a", "a, **b", "a, *, b", "*, a, b=2", "a=1, *b, c=3, **d", ""]
    ),
)
def test_no_call_that_python_accepts_is_refused(args: list[str], keywords: dict[str, str], parameters: str) -> None:
    called = ", ".join([*args, *(f"{name}={value}" for name, value in keywords.items())])
    folder = Path(_folder())
    name = f"accepts_{abs(hash((called, parameters)))}"
    step = f"@step\ndef s({parameters}): return 1\n"
    text = f"from modelloop import pipeline, step\n{step}@pipeline\ndef main(): s({called})\n"
    (folder / f"{name}.py").write_text(text)
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    module: Any = importlib.import_module(name)
    try:
        module.main()
        works = True
    except TypeError:
        works = False
    assert bool(mistakes_in(module.main, Sources(folder), Shapes())) is not works


def _folder() -> str:
    folder = Path(__file__).parent / "__pycache__" / "accepts"
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder)


def test_the_steps_that_a_pipeline_names_are_found(project: Project) -> None:
    mistakes(project, "tell(far('x'))")
    found = steps_in(sys.modules["steps"].main, Sources(project.folder))
    assert sorted(step.__qualname__ for step in found) == ["far", "tell"]


def test_nothing_runs_where_a_call_cannot_work(project: Project) -> None:
    project.write("steps.py", STEPS + "\n    @pipeline\n    def main():\n        load('p')\n        tell(1)\n")
    project.write("other.py", OTHER)
    run = project.run()
    assert run.error is not None
    assert run.error.kind == "PipelineInvalid"
    assert "steps.py:21: 'text' of tell must be str; found 1 (int)." in run.error.message
    assert project.steps(run) == []


def test_wrong_values_are_refused_when_a_step_is_called_and_when_it_returns(project: Project) -> None:
    text = """
        from modelloop import pipeline, step
        @step
        def number(n: int) -> int:
            return "no number" if n == 2 else n
        @pipeline
        def main(given=1):
            return number(given)
    """
    project.write("steps.py", text)
    assert project.result(project.run()) == 1
    wrong = project.run(given="x")
    assert wrong.error is not None
    assert wrong.error.kind == "PipelineInvalid"
    assert "number was called with what it does not take: 'n' must be int; found 'x' (str)" in wrong.error.message
    wrong = project.run(given=2)
    assert wrong.error is not None
    assert (wrong.error.kind, wrong.error.step) == ("StepFailed", "number")
    assert "returned 'no number' (str); it says that it returns int" in wrong.error.message
    assert project.run(given=2).state == "failed", "a wrong result is not kept"


LOOKED_AT = """
from modelloop import pipeline
raise RuntimeError("never imported")

@pipeline
def main(rows, months: int, *, name="x"):
    pass

def plain(**anything):
    pass

@other
def odd(a):
    pass
"""


@pytest.mark.parametrize(
    ("function", "given_values", "told"),
    [
        ("steps:main", {"mounths": 2, "months": 1}, "main has no parameter 'mounths'. Did you mean 'months'?"),
        ("steps:main", {}, "main needs 'months', and it was not given."),
        ("steps:main", {"months": "two"}, "'months' must be int; found 'two' (str)."),
        ("steps:main", {"months": 2, "name": 3}, None),
        ("steps:plain", {"a": 1}, None),
        ("steps:odd", {"b": 1}, None),
        ("steps:gone", {"b": 1}, None),
        ("nowhere:gone", {"b": 1}, None),
    ],
)
def test_parameters_are_looked_at_without_running_the_module(
    tmp_path: Path, function: str, given_values: dict[str, Any], told: str | None
) -> None:
    (tmp_path / "steps.py").write_text(LOOKED_AT)
    if told is None:
        check_params(tmp_path, function, given_values, inputs={"rows": "r"} if "main" in function else {})
        return
    with pytest.raises(PipelineInvalid) as caught:
        check_params(tmp_path, function, given_values, inputs={"rows": "r"})
    assert told in str(caught.value)
