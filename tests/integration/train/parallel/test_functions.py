"""Which functions reach other processes: of modules, scripts, notebooks; local ones; and what is said of the others."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest

from modelloop.ground.core.errors import InvalidInput
from modelloop.train.parallel.crew import Failed, Finished, crew_for

sys.path.insert(0, str(Path(__file__).parent))
import parallel_objectives

OFFSET = 7.0


def objective(trying: Any) -> float:
    return trying["a"] + OFFSET


def with_more(extra: Any, trying: Any) -> float:
    return float(trying["a"] + extra["x"].sum() + extra["f"](trying))


named_lambda = lambda trying: trying["a"] * 3  # noqa: E731


def result(function: Callable[..., Any], **data: Any) -> float:
    """Return what a function gives in another process."""
    with closing(crew_for(function, processes=2, data=data)) as crew:
        crew.start(0, {"a": 2.0}, 0)
        end = crew.next(60)
    assert isinstance(end, Finished), end
    assert isinstance(end.value, float)
    return end.value


def local_with(array: Any, scale: float = 2.0) -> Callable[[Any], float]:
    def total(values: Any, times: float = scale) -> float:
        return float(values.sum()) * times

    def deep(trying: Any, *, plus: float = scale + 1) -> float:
        """Say a word."""
        return total(array) + trying["a"] + plus + OFFSET + objective(trying)

    return deep


def test_functions_of_a_module() -> None:
    assert result(parallel_objectives.add) == 2.0
    assert result(objective) == 9.0
    assert result(named_lambda) == 6.0


def test_local_functions_take_what_they_close_over_along() -> None:
    assert result(local_with(np.arange(5.0))) == 20.0 + 2 + 3 + 7 + 9


def test_lambdas_keep_the_values_of_their_defaults() -> None:
    made = [lambda trying, k=k: trying["a"] + k for k in range(3)]
    assert [result(each) for each in made] == [2.0, 3.0, 4.0]


def test_a_local_class_goes_along() -> None:
    class Doubling:
        def __init__(self, value: float) -> None:
            self.value = value

        def twice(self) -> float:
            return 2 * self.value

    def local(trying: Any) -> float:
        return Doubling(trying["a"]).twice()

    assert result(local) == 4.0


def test_partial_functions() -> None:
    assert result(functools.partial(plus, 5, more=local_with(np.ones(1)))) == 2 + 5 + (2 + 2 + 3 + 7 + 9)


def plus(number: int, trying: Any, *, more: Callable[[Any], float]) -> float:
    return trying["a"] + number + more(trying)


def test_what_cannot_go_along_is_named() -> None:
    lock = __import__("threading").Lock()

    def local(trying: Any) -> float:
        with lock:
            return 1.0

    with pytest.raises(InvalidInput, match=r"uses 'lock', which cannot go with it.*_thread.lock"):
        result(local)


def test_methods_of_objects_are_refused_with_what_to_do() -> None:
    class Model:
        def fit(self, trying: Any) -> float:
            return float(trying["a"])

    with pytest.raises(InvalidInput, match=r"an object, not a function.*top of a module"):
        result(Model().fit)


SCRIPT = """
    import sys
    from contextlib import closing
    import numpy as np
    from modelloop.train.parallel.crew import crew_for

    print("started")
    SCALE = 10

    def objective(trying):
        return scaled(trying["a"]) + float(trying.data["x"].sum())

    def scaled(value):
        return value * SCALE

    {guard}
    {indent}with closing(crew_for(objective, processes=2, data={{"x": np.ones(3)}})) as crew:
    {indent}    crew.start(0, {{"a": 2.0}}, 0)
    {indent}    print(crew.next(60).value)
    """


@pytest.mark.parametrize("guarded", [True, False])
@pytest.mark.parametrize("how", ["file", "module"])
def test_a_script_works_guarded_or_not(tmp_path: Path, how: str, *, guarded: bool) -> None:
    guard = 'if __name__ == "__main__":' if guarded else ""
    text = dedent(SCRIPT).format(guard=guard, indent="    " if guarded else "")
    (tmp_path / "script.py").write_text(text)
    words = ["script.py"] if how == "file" else ["-m", "script"]
    done = subprocess.run(
        [sys.executable, *words], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["started", "23.0"], "what the script prints is printed once"


def test_an_objective_that_is_defined_too_late_is_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(
        dedent(
            """
            from contextlib import closing
            from modelloop.train.parallel.crew import crew_for
            def first(trying):
                return 1.0
            with closing(crew_for(first, processes=2)) as crew:
                crew.start(0, {}, 0)
                print(crew.next(60).value)
            def second(trying):
                return 2.0
            with closing(crew_for(second, processes=2)) as crew:
                crew.start(0, {}, 0)
                print(crew.next(60).value)
            """
        )
    )
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.split() == ["1.0"]
    assert "has no 'second' in another process" in done.stderr
    assert "if __name__" in done.stderr


NOTEBOOK = """
    import linecache, sys, types
    cells = [
        "import numpy as np\\nimport math\\nfrom contextlib import closing\\n"
        "from modelloop.train.parallel.crew import crew_for\\nweights = np.arange(4.0)\\nlabel = {'k': 2}",
        "class Net:\\n    def __init__(self, w):\\n        self.w = w\\n"
        "    def out(self):\\n        return float(self.w.sum())",
        "def inner(v):\\n    return math.floor(v) + label['k']",
        "def objective(trying):\\n    return inner(trying['a']) + Net(weights).out()",
        "with closing(crew_for(objective, processes=2)) as crew:\\n    crew.start(0, {'a': 2.5}, 0)\\n"
        "    print(crew.next(60).value)",
    ]
    space = sys.modules['__main__'].__dict__
    del space['__file__']
    for place, cell in enumerate(cells):
        name = f'<ipython-input-{place}>'
        linecache.cache[name] = (len(cell), None, cell.splitlines(True), name)
        exec(compile(cell, name, 'exec'), space)
    """


def test_functions_of_a_notebook_take_what_they_use_along(tmp_path: Path) -> None:
    (tmp_path / "notebook.py").write_text(dedent(NOTEBOOK))
    done = subprocess.run(
        [sys.executable, "notebook.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.split() == ["10.0"], done.stderr


def test_a_prompt_has_no_source() -> None:
    text = "from modelloop.train.parallel.crew import crew_for\ndef f(t): return 1.0\ncrew_for(f, processes=2)"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60, check=False)
    assert "its source cannot be read" in done.stderr
    assert "at the top of a .py file" in done.stderr


def test_a_function_that_fails_to_report_where_it_is_written_is_told() -> None:
    def local(trying: Any) -> float:
        return trying["b"]

    with closing(crew_for(local, processes=2)) as crew:
        crew.start(0, {"a": 1}, 0)
        end = crew.next(60)
    assert isinstance(end, Failed)
    assert end.error.startswith("KeyError: 'b'")
