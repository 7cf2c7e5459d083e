"""A disk that is really full: a small file system of its own, filled to the last byte."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from io import RawIOBase
from pathlib import Path

import pytest

from modelloop.deploy.log import PredictionLog, finished, frame, read_frames


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A disk of 300 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(place)], check=False, capture_output=True
    )
    if made.returncode:
        pytest.skip("no right to mount a small disk here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(file: RawIOBase) -> None:
    while True:
        file.write(bytes(4096))


def test_a_full_disk_kills_nobody_is_counted_and_left(small: Path) -> None:
    log = PredictionLog(small, "g1", 1)
    one = frame({"k": "a", "pad": "x" * 1000})
    kept = [log.append(one) for _ in range(400)]
    written = kept.count(True)
    assert 150 < written < 400
    assert log.failed == 400 - written
    assert "No space left" in log.failing
    told: list[bool] = []
    log.append_disk(one, told.append)
    assert told == [False]
    deadline = time.monotonic() + 5
    while not all(finished(file) for file in (small / "g1").glob("*.log")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    for file in (small / "g1").glob("*.log"):
        file.unlink()  # as the collector does
    while not log.append(one):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert log.failing == ""
    log.close()


def test_others_may_fill_the_disk_under_an_open_log(small: Path) -> None:
    """The room of the open file is its own: nothing that others write can make an append fail or kill the process."""
    log = PredictionLog(small, "g1", 1, rotate_at=64 * 1024)
    one = frame({"k": "a", "pad": "x" * 1000})
    assert log.append(one)
    with (small / "others").open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        fill(file)
    assert all(log.append(one) for _ in range(60))
    assert log.append_buffered(one)
    log.close()
    (path,) = (small / "g1").glob("*.log")
    assert len(read_frames(path)[0]) == 62
    assert log.failed == 0
