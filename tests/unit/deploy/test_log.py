"""The prediction log: whole frames come back, torn and damaged ends never do, a full disk is counted."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelloop.deploy.log import LogWriter, frame, read_frames
from modelloop.ground.core.errors import IdInvalid

VALUES = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text()
RECORDS = st.lists(st.dictionaries(st.text(max_size=8), VALUES | st.lists(VALUES, max_size=4), max_size=5), max_size=8)


def write_bytes(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@given(records=RECORDS, data=st.data())
def test_a_torn_end_gives_the_whole_records_before_it(
    records: list[dict[str, Any]], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    frames = [frame(record) for record in records]
    whole = b"".join(frames)
    cut = data.draw(st.integers(0, len(whole)))
    path = write_bytes(tmp_path_factory.mktemp("log") / "x.log", whole[:cut])
    found, offset = read_frames(path)
    assert found == records[: len(found)]
    assert offset == sum(map(len, frames[: len(found)])) <= cut
    assert len(found) == len(records) or offset + len(frames[len(found)]) > cut
    path.write_bytes(whole)  # the rest arrives
    rest, end = read_frames(path, offset)
    assert found + rest == records
    assert end == len(whole)


@given(records=RECORDS.filter(bool), data=st.data())
def test_a_flipped_bit_is_never_a_record(
    records: list[dict[str, Any]], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = bytearray(b"".join(map(frame, records)))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= 1 << data.draw(st.integers(0, 7))
    found, offset = read_frames(write_bytes(tmp_path_factory.mktemp("log") / "x.log", bytes(whole)))
    assert found == records[: len(found)]
    assert offset <= at


def test_zeros_after_a_power_loss_are_no_records(tmp_path: Path) -> None:
    good = frame({"k": "a"})
    assert read_frames(write_bytes(tmp_path / "x.log", good + b"\0" * 4096)) == ([{"k": "a"}], len(good))


def test_a_limit_reads_in_pieces(tmp_path: Path) -> None:
    records = [{"n": n} for n in range(50)]
    path = write_bytes(tmp_path / "x.log", b"".join(map(frame, records)))
    found: list[dict[str, Any]] = []
    offset, before = 0, -1
    while offset != before:
        before = offset
        part, offset = read_frames(path, offset, limit=20)
        assert len(part) <= 5
        found += part
    assert found == records


def test_files_are_named_by_age_and_rotate(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path, "g1", 7, rotate_at=100)
    for number in range(20):
        assert writer.write([frame({"n": number, "pad": "x" * 20})])
    writer.close()
    files = sorted((tmp_path / "g1").iterdir())
    assert len(files) > 3
    assert files[0].name == "00000000000000000007-000000.log"
    assert all(file.stat().st_size <= 100 for file in files)
    assert [record["n"] for file in files for record in read_frames(file)[0]] == list(range(20))


def test_a_new_start_never_writes_behind_an_old_end(tmp_path: Path) -> None:
    first = LogWriter(tmp_path, "g1", 1)
    first.write([frame({"n": 1})])
    torn = next((tmp_path / "g1").iterdir())
    torn.write_bytes(torn.read_bytes() + b"\x09")
    second = LogWriter(tmp_path, "g1", 2)
    second.write([frame({"n": 2})])
    assert [read_frames(file)[0] for file in sorted((tmp_path / "g1").iterdir())] == [[{"n": 1}], [{"n": 2}]]


def test_a_full_disk_is_counted_and_half_a_frame_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = LogWriter(tmp_path, "g1", 1)
    writer.write([frame({"n": 1})])
    real = os.write
    room = [5]

    def full(descriptor: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken, room[0] = min(room[0], len(data)), 0
        return real(descriptor, data[:taken])

    monkeypatch.setattr(os, "write", full)
    assert not writer.write([frame({"n": 2}), frame({"n": 3})])
    assert not writer.write([frame({"n": 4})])
    assert writer.failed == 3
    assert "No space left" in writer.failing
    monkeypatch.setattr(os, "write", real)
    assert writer.write([frame({"n": 5})])
    assert writer.failing == ""
    files = sorted((tmp_path / "g1").iterdir())
    assert [record["n"] for file in files for record in read_frames(file)[0]] == [1, 5]
    assert len(files) == 2


def test_a_gateway_name_is_no_path(tmp_path: Path) -> None:
    with pytest.raises(IdInvalid):
        LogWriter(tmp_path, "../g1", 1)
