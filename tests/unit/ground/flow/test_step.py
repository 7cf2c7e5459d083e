from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import modelloop
from modelloop import artifact, log, pipeline, step
from modelloop.ground.core.errors import PipelineInvalid


@step
def double(number: int, *, plus: int = 0) -> int:
    """Double it."""
    log("doubled", number)
    artifact("note", "text")
    return number * 2 + plus


@pipeline
def chain(start: int = 1) -> list[int]:
    """Go on."""
    return [double(start), *double.map([1, 2], plus=1)]


def test_outside_a_run_step_and_pipeline_are_the_plain_functions() -> None:
    assert double(4, plus=1) == 9
    assert double.map(iter([1, 2]), plus=1) == [3, 5]
    assert chain() == [2, 3, 5]
    assert (double.__name__, double.__doc__, double.__module__) == ("double", "Double it.", __name__)
    assert str(inspect.signature(double)) == "(number: 'int', *, plus: 'int' = 0) -> 'int'"
    assert str(inspect.signature(chain)) == "(start: 'int' = 1) -> 'list[int]'"


def test_outside_a_run_errors_are_pythons_own() -> None:
    with pytest.raises(TypeError, match="unexpected keyword"):
        double(1, wrong=2)  # type: ignore[call-arg]


def test_a_method_can_be_a_step() -> None:
    class Model:
        k = 3

        @step
        def times(self, number: int) -> int:
            return self.k * number

    assert Model().times(2) == 6


@pytest.mark.parametrize("decorate", [step, pipeline, step(cache=False)])
def test_generators_and_coroutines_are_refused_when_they_are_marked(decorate: object) -> None:
    def numbers():  # type: ignore[no-untyped-def]
        yield 1

    async def later() -> int:
        return 1

    for function in (numbers, later):
        with pytest.raises(PipelineInvalid, match=function.__name__):
            decorate(function)  # type: ignore[operator]
    with pytest.raises(PipelineInvalid, match="must be a function"):
        decorate(3)  # type: ignore[operator]


def test_importing_modelloop_needs_the_standard_library_only() -> None:
    code = (
        "import sys; import modelloop; "
        "heavy = {'sqlalchemy', 'obstore', 'numpy', 'polars', 'msgspec', 'inspect'} & set(sys.modules); "
        "sys.exit(', '.join(heavy) or None)"
    )
    done = subprocess.run([sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"], check=False)
    assert done.returncode == 0
    assert set(modelloop.__all__) >= {"StepTimeout", "WorkerDied", "artifact", "ask", "log", "pipeline", "step"}
