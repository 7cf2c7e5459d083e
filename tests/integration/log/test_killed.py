"""Real processes, killed while they append: what had returned is there, and what was lost is counted."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from log_appender import ACK
from modelloop.deploy.log import read_counts, read_frames

APPENDER = Path(__file__).parents[2] / "log_appender.py"


def killed(folder: Path, durability: str, seconds: float, rotate_at: int) -> tuple[list[tuple[int, float]], float]:
    """Let a process append for a while and kill it; return what it had said, and when it was killed."""
    argv = [sys.executable, str(APPENDER), str(folder), durability, str(rotate_at)]
    said = folder / "said"
    with said.open("wb") as out, subprocess.Popen(argv, stdout=out) as process:
        while not said.stat().st_size:
            assert process.poll() is None
            time.sleep(0.005)
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        at = time.monotonic()
        assert process.wait(10) == -signal.SIGKILL
    data = said.read_bytes()
    return list(ACK.iter_unpack(data[: len(data) // ACK.size * ACK.size])), at


def logged(folder: Path) -> list[int]:
    files = sorted((folder / "g1").glob("*.log"))
    return [record["n"] for file in files for record in read_frames(file)[0]]


@pytest.mark.parametrize("durability", ["process", "disk"])
@pytest.mark.parametrize("rotate_at", [3000, 16 << 20])
def test_nothing_whose_append_returned_is_missing(tmp_path: Path, durability: str, rotate_at: int) -> None:
    draw = random.Random(rotate_at)
    for attempt in range(4):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        said, _ = killed(folder, durability, draw.uniform(0, 0.15), rotate_at)
        found = logged(folder)
        assert said
        assert found == list(range(len(found)))
        assert len(said) <= len(found) <= len(said) + 1


def test_buffered_loses_a_second_at_most_and_counts_it(tmp_path: Path) -> None:
    for attempt, seconds in enumerate((0.1, 0.7, 1.3)):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        said, at = killed(folder, "buffered", seconds, 16 << 20)
        found = logged(folder)
        assert found == list(range(len(found)))
        missing = [moment for number, moment in said if number >= len(found)]
        assert all(at - moment < 1.0 for moment in missing)
        (path,) = (folder / "g1").glob("*.counts")
        told = read_counts(path)
        assert not told.alive
        assert len(said) <= told.promised <= len(said) + 1
        assert told.killed == told.promised - len(found)
        assert seconds > 0.5 or told.killed  # what was lost in the first case was lost
