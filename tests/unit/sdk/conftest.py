"""Places that a run goes to, and a cache of its own for what waits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fake_mlflow import TOKEN, FakeMlflow
from tracked import Place, fake_place, make_project, store_place


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Away from this checkout, with a cache of its own, and quick to give up."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("MODELLOOP_TRACKING_TOKEN", TOKEN)
    monkeypatch.delenv("MODELLOOP_TRACKING_URI", raising=False)


@pytest.fixture
def fake() -> Iterator[FakeMlflow]:
    """A server that chooses run ids by itself."""
    made = FakeMlflow()
    yield made
    made.stop()


@pytest.fixture(params=["server", "server that takes ids", "store"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Each place that a run can go to, in turn."""
    if request.param == "store":
        yield store_place(make_project(tmp_path / "project"))
        return
    made = FakeMlflow(takes_ids=request.param != "server")
    yield fake_place(made)
    made.stop()


@pytest.fixture
def spools(tmp_path: Path) -> Path:
    """Where spools are when there is no project."""
    return tmp_path / "cache" / "modelloop" / "spool"
