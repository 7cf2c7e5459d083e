"""The prediction log: whole frames come back, torn and damaged ends never do, a full disk is counted."""

from __future__ import annotations

import errno
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelloop.deploy.log import PredictionLog, finished, frame, read_counts, read_frames, segment, writer
from modelloop.ground.core.errors import IdInvalid

VALUES = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text()
RECORDS = st.lists(st.dictionaries(st.text(max_size=8), VALUES | st.lists(VALUES, max_size=4), max_size=5), max_size=8)


def write_bytes(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@settings(deadline=None)
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


@settings(deadline=None)
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
    log = PredictionLog(tmp_path, "g1", 7, rotate_at=100)
    for number in range(20):
        assert log.write([frame({"n": number, "pad": "x" * 20})])
    log.close()
    assert len(files(tmp_path)) > 3
    assert files(tmp_path)[0].name == "00000000000000000007-000000.log"
    assert all(file.stat().st_size <= 100 and finished(file) for file in files(tmp_path))
    assert numbers(tmp_path) == list(range(20))
    assert {path.suffix for path in (tmp_path / "g1").iterdir()} == {".log"}


@pytest.fixture(params=["mapped", "plain"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to write a file: where room can be reserved, and where not."""
    if request.param == "plain":

        def refuse(*_: object) -> None:
            raise OSError(errno.EOPNOTSUPP, "Operation not supported")

        monkeypatch.setattr(os, "posix_fallocate", refuse)
    return str(request.param)


def files(folder: Path) -> list[Path]:
    return sorted((folder / "g1").glob("*.log"))


def numbers(folder: Path) -> list[int]:
    return [record["n"] for file in files(folder) for record in read_frames(file)[0]]


@settings(deadline=None)
@given(
    sizes=st.lists(st.integers(0, 300), max_size=40), rotate_at=st.integers(20, 1000), ways=st.lists(st.integers(0, 2))
)
def test_whatever_is_appended_is_read_once_and_in_order(
    sizes: list[int], rotate_at: int, ways: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("log")
    log = PredictionLog(folder, "g1", 1, rotate_at=rotate_at)
    synced: list[bool] = []
    for number, size in enumerate(sizes):
        one = frame({"n": number, "pad": "x" * size})
        way = ways[number % len(ways)] if ways else 0
        if way == 2:
            log.append_disk(one, synced.append)
        else:
            assert log.append(one) if way else log.write([one])
    log.close()
    assert all(synced)
    assert (numbers(folder) if sizes else []) == list(range(len(sizes)))


def test_threads_and_durabilities_share_one_log(tmp_path: Path, kind: str) -> None:
    log = PredictionLog(tmp_path, "g1", 1, rotate_at=4000)
    done: list[bool] = []

    def work(first: int) -> None:
        for number in range(first, first + 300):
            one = frame({"n": number, "pad": kind})
            if first == 0:
                log.append_disk(one, done.append)
            elif first == 300:
                assert log.append_buffered(one)
            else:
                assert log.append(one)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, (0, 300, 600, 900)))
    log.close()
    assert sorted(numbers(tmp_path)) == list(range(1200))
    assert done == [True] * 300
    assert (log.failed, log.lost, log.failing, log.lag) == (0, 0, "", 0.0)


def test_a_reader_takes_each_record_once_while_it_is_written(tmp_path: Path, kind: str) -> None:
    log = PredictionLog(tmp_path, "g1", 1)
    assert log.append(frame({"n": 0}))
    (path,) = files(tmp_path)
    found, offset = read_frames(path)
    assert kind == "plain" or path.stat().st_size > offset  # room that is taken and not used
    assert read_frames(path, offset) == ([], offset)
    assert log.append(frame({"n": 1}))
    more, _ = read_frames(path, offset)
    assert [record["n"] for record in found + more] == [0, 1]
    assert not finished(path)
    log.close()
    assert finished(path)
    assert path.stat().st_size == len(frame({"n": 0})) + len(frame({"n": 1}))


def test_a_new_start_never_writes_behind_an_old_end(tmp_path: Path) -> None:
    first = PredictionLog(tmp_path, "g1", 1)
    first.write([frame({"n": 1})])
    first.close()
    (torn,) = files(tmp_path)
    torn.chmod(0o600)
    torn.write_bytes(torn.read_bytes() + b"\x09")
    second = PredictionLog(tmp_path, "g1", 2)
    second.write([frame({"n": 2})])
    second.close()
    assert [read_frames(file)[0] for file in files(tmp_path)] == [[{"n": 1}], [{"n": 2}]]


def test_a_clock_that_went_back_does_not_turn_the_order(tmp_path: Path) -> None:
    for number, start in enumerate((1000, 10, 1000)):
        log = PredictionLog(tmp_path, "g1", start)
        log.append(frame({"n": number}))
        log.close()
    assert numbers(tmp_path) == [0, 1, 2]


def test_a_log_that_was_closed_begins_a_new_file(tmp_path: Path, kind: str) -> None:
    log = PredictionLog(tmp_path, "g1", 1)
    for number in range(3):
        assert log.append(frame({"n": number, "kind": kind}))
        log.close()
    assert numbers(tmp_path) == [0, 1, 2]


def test_a_full_disk_is_counted_and_left_when_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "RETRY_SECONDS", 0.0)
    log = PredictionLog(tmp_path, "g1", 1, rotate_at=64)
    assert log.append(frame({"n": 1, "pad": "x" * 50}))
    real = os.posix_fallocate

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    assert not log.write([frame({"n": 2}), frame({"n": 3})])
    told: list[bool] = []
    log.append_disk(frame({"n": 4, "pad": "x" * 50}), told.append)
    assert (log.failed, told) == (3, [False])
    assert "No space left" in log.failing
    counts = read_counts(next((tmp_path / "g1").glob("*.counts")))
    assert (counts.failed, counts.alive) == (3, True)
    monkeypatch.setattr(os, "posix_fallocate", real)
    assert log.append(frame({"n": 5, "pad": "x" * 50}))
    assert log.failing == ""
    log.close()
    assert numbers(tmp_path) == [1, 5]
    assert len(files(tmp_path)) == 2


def test_half_a_frame_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that can reserve nothing, and runs full in the middle of a frame."""
    monkeypatch.delattr(os, "posix_fallocate")
    log = PredictionLog(tmp_path, "g1", 1)
    assert log.append(frame({"n": 1}))
    real, room = os.write, [5]

    def full(descriptor: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken, room[0] = min(room[0], len(data)), 0
        return real(descriptor, data[:taken])

    monkeypatch.setattr(os, "write", full)
    assert not log.write([frame({"n": 2}), frame({"n": 3})])
    assert not log.append(frame({"n": 4}))
    assert log.failed == 3
    monkeypatch.setattr(os, "write", real)
    assert log.append(frame({"n": 5}))
    log.close()
    assert numbers(tmp_path) == [1, 5]


def test_a_disk_with_little_room_gives_smaller_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.posix_fallocate

    def small(descriptor: int, start: int, size: int) -> None:
        if size > 100_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor, start, size)

    monkeypatch.setattr(os, "posix_fallocate", small)
    log = PredictionLog(tmp_path, "g1", 1)
    assert log.append(frame({"n": 1}))
    assert segment.LEAST <= files(tmp_path)[0].stat().st_size <= 100_000
    log.close()


def test_buffered_records_are_written_soon_and_counted(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path, "g1", 1)
    for number in range(10):
        assert log.append_buffered(frame({"n": number}))
    assert log.lag < 1
    (path,) = (tmp_path / "g1").glob("*.counts")
    assert read_counts(path).promised == 10
    deadline = time.monotonic() + 5
    while read_counts(path).settled < 10:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert numbers(tmp_path) == list(range(10))
    log.close()
    assert not path.exists()  # nothing to tell


def test_what_waits_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "MOST_HELD", 100)
    log = PredictionLog(tmp_path, "g1", 1)
    one = frame({"n": 1, "pad": "x" * 40})
    assert [log.append_buffered(one) for _ in range(4)] == [True, False, False, False]
    log.close()
    assert log.lost == 3
    (path,) = (tmp_path / "g1").glob("*.counts")
    told = read_counts(path)
    assert (told.lost, told.killed, told.alive) == (3, 0, False)


def test_a_quiet_file_is_closed_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "ROTATE_SECONDS", 0.0)
    log = PredictionLog(tmp_path, "g1", 1)
    log.append(frame({"n": 1}))
    deadline = time.monotonic() + 5
    while not finished(files(tmp_path)[0]):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert log.append(frame({"n": 2}))
    log.close()
    assert numbers(tmp_path) == [1, 2]


def test_a_gateway_name_is_no_path(tmp_path: Path) -> None:
    with pytest.raises(IdInvalid):
        PredictionLog(tmp_path, "../g1", 1)


def test_files_made_ahead_are_filled_before_anybody_appends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled: list[tuple[str, int]] = []
    fill = segment._fill

    def noted(descriptor: int, size: int) -> None:
        filled.append((threading.current_thread().name, os.fstat(descriptor).st_ino))
        fill(descriptor, size)

    monkeypatch.setattr(segment, "_fill", noted)
    log = PredictionLog(tmp_path, "g1", 7, rotate_at=4096)
    for number in range(400):
        assert log.append(frame({"n": number, "pad": "x" * 30}))
        if number % 60 == 59:
            log._turn()
    first, *others = files(tmp_path)
    assert first.stat().st_ino not in {place for _, place in filled}, "nobody waits for the first file to be filled"
    assert {place for _, place in filled} & {other.stat().st_ino for other in others}
    log.close()
    assert numbers(tmp_path) == list(range(400))


def test_a_file_made_ahead_is_as_any_other(tmp_path: Path) -> None:
    size = 2 * segment.PIECE + 4096
    made = segment.open_segment(tmp_path / "one.log", size, 0, ahead=True)
    assert made.used() == 0
    assert (tmp_path / "one.log").stat().st_size == size
    assert read_frames(tmp_path / "one.log") == ([], 0)
    made.put(frame({"n": 1}))
    made.close(sync=False)
    assert (tmp_path / "one.log").stat().st_size == len(frame({"n": 1}))
    assert read_frames(tmp_path / "one.log")[0] == [{"n": 1}]
