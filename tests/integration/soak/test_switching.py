"""The switch experiment, short: `python -m benchmarks.studies.switching --minutes 10` is the long one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT))

from benchmarks.studies.switching import switched  # noqa: E402 - the benchmarks are no installed package


@pytest.mark.parametrize(("way", "http"), [("table", "hot"), ("control", "hot"), ("table", "asgi")])
def test_switches_under_load_give_nobody_a_wrong_answer_or_none(tmp_path: Path, way: str, http: str) -> None:
    told = switched(tmp_path, way, seconds=20, switches=10, rate=200, options=("--http", http))
    assert (told.answers, told.switches) == (4000, 10)
    assert told.failed == []
    assert told.wrong == []
    assert (told.not_logged, told.logged_twice, told.logged_otherwise, told.logged_unasked) == (0, 0, 0, 0)
    assert set(told.versions) >= {"delay:1", "delay:2", "delay:3"}
