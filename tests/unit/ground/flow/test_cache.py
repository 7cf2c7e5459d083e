"""What a kept result depends on."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from flow_project import Project

from modelloop.ground.flow.records import InputRef
from modelloop.ground.flow.sources import Sources

STEPS = """
    import helpers
    from helpers import Scaler, again
    from modelloop import pipeline, step

    LIMIT = 3

    @step
    def scaled(numbers, factor=2):
        '''Scale.'''
        return [helpers.scale(n) * factor + LIMIT for n in numbers]

    @step
    def total(numbers):
        return sum(numbers)

    @pipeline
    def main(numbers=(1, 2), factor=2):
        return total(scaled(numbers, factor))
"""
HELPERS = """
    import functools
    import math

    OFFSETS = {"a": 1}
    PATTERN = __import__("re").compile("a+")

    def scale(n):
        # a comment
        return inner(n) + OFFSETS["a"]

    def inner(n):
        return n * 10 if n < 100 else scale(n - 100)

    def other(n):
        return n

    class Scaler:
        def up(self, n):
            return n + 1

    @functools.lru_cache
    def again(n):
        return deep(n)

    def deep(n):
        return n if PATTERN.match("a") else 0
"""


@pytest.fixture
def flow(project: Project) -> Project:
    project.write("steps.py", STEPS)
    project.write("helpers.py", HELPERS)
    run = project.run()
    assert project.states(run) == ["done", "done"]
    assert project.result(run) == 2 * (11 + 21) + 6
    return project


def test_the_second_run_comes_from_the_first(flow: Project) -> None:
    run = flow.run()
    assert flow.states(run) == ["cached", "cached"]
    assert flow.result(run) == 70
    assert "same code, arguments, seed and environment as call 0 of run_" in flow.steps(run)[0].reason


@pytest.mark.parametrize(
    ("file", "old", "new", "reason"),
    [
        ("helpers.py", "n * 10", "n * 11", "code helpers:inner changed"),
        ("helpers.py", '{"a": 1}', '{"a": 2}', "code value helpers:OFFSETS changed"),
        ("steps.py", "LIMIT = 3", "LIMIT = 4", "code value steps:LIMIT changed"),
        ("steps.py", "* factor", "+ factor", "code steps:scaled changed"),
    ],
)
def test_a_change_of_code_it_reaches_makes_it_run(flow: Project, file: str, old: str, new: str, reason: str) -> None:
    path = flow.folder / file
    path.write_text(path.read_text().replace(old, new, 1))
    run = flow.run()
    assert flow.states(run)[0] == "done"
    assert reason in flow.steps(run)[0].reason


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("helpers.py", "# a comment", "# another\n\n"),
        ("helpers.py", "def scale(n):", "\n\n\ndef scale(n):\n    '''Now documented.'''"),
        ("helpers.py", "return n\n", "return -n\n"),
        ("steps.py", "'''Scale.'''", "'''Scales all.'''"),
    ],
)
def test_comments_docstrings_layout_and_unused_code_do_not_count(flow: Project, file: str, old: str, new: str) -> None:
    path = flow.folder / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    assert flow.states(flow.run()) == ["cached", "cached"]


def test_arguments_and_seed_count(flow: Project) -> None:
    run = flow.run(factor=3)
    assert flow.states(run)[0] == "done"
    assert flow.steps(run)[0].reason == "argument factor changed"
    run = flow.run(seed=1)
    assert flow.states(run) == ["done", "done"]
    assert "seed 0 -> 1" in flow.steps(run)[0].reason
    assert flow.states(flow.run(factor=2)) == ["cached", "cached"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("return n + 1", "return n + 2"),  # a method of a class that is named
        ("return n if PATTERN", "return -n if PATTERN"),  # behind an lru_cache
        ('compile("a+")', 'compile("aa*")'),  # a global without a value to hash
    ],
)
def test_classes_wrappers_and_globals_without_a_value_count(project: Project, old: str, new: str) -> None:
    text = """
        import helpers
        from modelloop import step
        @step
        def main(n=1):
            def local():
                from helpers import Scaler
                return Scaler().up(n)
            return local() + helpers.again(n)
    """
    project.write("steps.py", text)
    project.write("helpers.py", HELPERS)
    assert project.states(project.run()) == ["done"]
    assert project.states(project.run()) == ["cached"]
    path = project.folder / "helpers.py"
    path.write_text(path.read_text().replace(old, new, 1))
    assert project.states(project.run()) == ["done"]


def test_code_of_functions_and_objects_given_as_arguments_counts(project: Project) -> None:
    text = """
        from dataclasses import dataclass
        from modelloop import step, pipeline
        @dataclass
        class Rule:
            k: int
            def apply(self, n):
                return n + self.k
        def square(n):
            return n * n
        @step
        def use(f, rule, n):
            return f(rule.apply(n))
        @pipeline
        def main(n=2):
            return use(square, Rule(1), n), use(lambda x: x + 1, Rule(1), n)
    """
    project.write("steps.py", text)
    run = project.run()
    assert project.result(run) == (9, 4)
    assert project.states(project.run()) == ["cached", "cached"]
    path = project.folder / "steps.py"
    path.write_text(path.read_text().replace("n + self.k", "n - self.k"))
    run = project.run()
    assert project.states(run) == ["done", "done"]
    assert project.result(run) == (1, 2)
    path.write_text(path.read_text().replace("x + 1", "x + 2"))
    assert project.states(project.run()) == ["cached", "done"]


def test_cache_false_runs_in_each_run_and_seeded_false_is_shared(project: Project) -> None:
    text = """
        from modelloop import step, pipeline
        @step(cache=False)
        def outside():
            return 1
        @step(seeded=False)
        def plain():
            return 1
        @pipeline
        def main():
            return outside() + plain()
    """
    project.write("steps.py", text)
    assert project.states(project.run(seed=1)) == ["done", "done"]
    assert project.states(project.run(seed=2)) == ["done", "cached"]


def test_a_kept_result_whose_bytes_are_gone_is_made_again(project: Project) -> None:
    text = """
        import polars as pl
        from modelloop import step
        @step
        def main():
            return pl.DataFrame({"a": [1, 2]})
    """
    project.write("steps.py", text)
    project.run()
    for blob in list(project.ctx.blobs.hashes()):
        path = project.ctx.blobs.path(blob)
        assert path is not None
        path.unlink()
    run = project.run()
    assert project.states(run) == ["done"]
    assert isinstance(project.result(run), pl.DataFrame)
    assert project.states(project.run()) == ["cached"]


def test_inputs_count_by_the_digest_of_their_version(project: Project) -> None:
    text = """
        from modelloop import step, pipeline
        @step
        def count(rows):
            return rows.lazy().collect().height
        @pipeline
        def main(rows):
            return count(rows)
    """
    project.write("steps.py", text)
    project.inputs["rows"] = InputRef("flights", 1, "1" * 64), pl.DataFrame({"a": [1]})
    assert project.result(project.run()) == 1
    project.inputs["rows"] = InputRef("flights", 1, "1" * 64), pl.LazyFrame({"a": [1]})
    assert project.states(project.run()) == ["cached"]
    project.inputs["rows"] = InputRef("flights", 2, "2" * 64), pl.LazyFrame({"a": [1, 2]})
    assert project.result(project.run()) == 2


def test_values_changed_in_place_between_steps_are_seen(project: Project) -> None:
    text = """
        import polars as pl
        from modelloop import step, pipeline
        @step
        def make():
            return {"frame": pl.DataFrame({"a": [1, 2]}), "list": [1]}
        @step
        def add(made):
            return made["frame"]["a"].sum() + sum(made["list"])
        @pipeline
        def main():
            made = make()
            first = add(made)
            made["frame"][0, "a"] = 10
            second = add(made)
            made["list"].append(100)
            return first, second, add(made)
    """
    project.write("steps.py", text)
    assert project.result(project.run()) == (4, 13, 113)
    assert project.result(project.run()) == (4, 13, 113)


def test_installed_and_hidden_files_below_the_project_are_not_its_code(project: Project) -> None:
    sources = Sources(project.folder)
    assert sources.owns(str(project.folder / "steps.py"))
    assert not sources.owns(str(project.folder / ".venv/lib/python3/site-packages/numpy/__init__.py"))
    assert not sources.owns(str(Path(pl.__file__)))
    assert not sources.owns("<stdin>")
    assert not sources.owns(None)
