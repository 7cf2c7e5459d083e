"""What is told of an error in a run is the user's code, not ours and not how Python imports."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelloop.ground.core.errors import PipelineInvalid
from modelloop.ground.flow.failure import describe, raised_elsewhere
from modelloop.ground.flow.project import load_function
from modelloop.ground.flow.records import RunError
from modelloop.ground.flow.shape import Shape


def told(tmp_path: Path, text: str, reference: str = "told_steps:go") -> RunError:
    (tmp_path / "told_steps.py").write_text(text)
    with pytest.raises(Exception) as caught:  # noqa: PT011 - any: what is told of it is the test
        load_function(tmp_path, reference)()
    return describe(caught.value)


def test_a_syntax_error_is_told_with_its_line_only(tmp_path: Path) -> None:
    error = told(tmp_path, "def go(:\n    pass\n")
    assert 'told_steps.py", line 1' in error.traceback
    assert "def go(:" in error.traceback
    assert "importlib" not in error.traceback


def test_our_own_error_is_told_without_what_led_to_it(tmp_path: Path) -> None:
    error = told(tmp_path, "", "no_such_steps:go")
    assert "\nPipelineInvalid: 'no_such_steps:go' is not to be found" in error.traceback
    assert "ModuleNotFoundError" not in error.traceback
    assert "ground/flow/project.py" not in error.traceback


def test_arguments_that_do_not_fit_are_told_without_inspect() -> None:
    with pytest.raises(PipelineInvalid) as caught:
        Shape(lambda *, months: months).bind((), {"month": 2})
    told = describe(caught.value).traceback
    assert "TypeError" not in told
    assert "inspect.py" not in told


def test_the_users_own_chain_of_errors_stays(tmp_path: Path) -> None:
    tries = "def go():\n    try:\n        {}['x']\n"
    error = told(tmp_path, f"{tries}    except KeyError as error:\n        raise ValueError('no x') from error\n")
    assert "KeyError: 'x'" in error.traceback
    assert error.traceback.rstrip().endswith("ValueError: no x")


def test_what_was_raised_in_another_process_keeps_its_traceback() -> None:
    there = RunError("KeyError", "'x'", 'Traceback\n  File "steps.py", line 3\nKeyError: x', None)
    assert 'File "steps.py", line 3' in describe(raised_elsewhere(there)).traceback
