"""A worker takes up a changed project file, and goes on with the one before where the new one has mistakes."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from modelloop.evaluate.settings import Task
from modelloop.project import FILE, read_project
from modelloop.scaffold import scaffold
from modelloop.testing.fakes import make_context
from modelloop.worker import Worker


def test_a_changed_project_file_is_taken_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    scaffold(tmp_path, "trial", task=Task.BINARY)
    ctx = make_context(tmp_path)
    worker = Worker(ctx, read_project(tmp_path), tmp_path)
    try:
        file = tmp_path / FILE
        right = file.read_text()
        file.write_text(right.replace('description = ""', 'description = "new"'))
        worker.turn()
        assert worker._file.look().project.description == "new"
        file.write_text(right.replace("[project]", "[prject]"))
        with caplog.at_level(logging.ERROR, logger="modelloop.worker"):
            worker.turn()
            worker.turn()
        assert worker._file.look().project.description == "new"
        assert sum("goes on" in record.message for record in caplog.records) == 1
        file.write_text(right)
        worker.turn()
        assert worker._file.look().project.description == ""
    finally:
        worker.close()
        ctx.db.close()
