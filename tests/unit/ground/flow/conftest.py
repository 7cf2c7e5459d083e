"""Makes `flow_project` importable: tests are no package."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelloop.ground.store.context import Context

sys.path.insert(0, str(Path(__file__).parent))

from flow_project import Project


@pytest.fixture
def project(ctx: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    made = Project(ctx, tmp_path / "project")
    made.folder.mkdir()
    yield made
    made.forget()
