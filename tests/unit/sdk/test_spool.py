"""The spool keeps what it is given: through torn tails, full disks and other processes."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelloop.sdk import spool as spools
from modelloop.sdk.keeping import file_record
from modelloop.sdk.spool import Sent, Spool, adopt, create, left


@pytest.fixture
def spool(tmp_path: Path) -> Any:
    made = create(tmp_path / "spool", "run_1", 1)
    yield made
    made.close(remove=False)


def numbered(first: int, count: int) -> list[dict[str, Any]]:
    return [{"k": "p", "items": {str(number): "x" * 100}} for number in range(first, first + count)]


def read_all(spool: Spool) -> list[str]:
    found = []
    while True:
        records, mark = spool.read()
        if not records:
            return found
        found += [name for record in records for name in record["items"]]
        spool.arrived(mark)


def test_what_is_kept_is_read_once(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spools, "CHUNK", 1000)
    spool.append(numbered(0, 50))
    assert read_all(spool) == [str(number) for number in range(50)]
    spool.append(numbered(50, 10))
    assert read_all(spool) == [str(number) for number in range(50, 60)]


def test_what_has_not_arrived_is_read_again(spool: Spool) -> None:
    spool.append(numbered(0, 5))
    assert spool.read() == spool.read()


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 5000))
def test_a_torn_tail_loses_what_was_torn(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    made = create(tmp_path_factory.mktemp("torn") / "spool", "run_1", 1)
    made.append(numbered(0, 30))
    made.close(remove=False)
    log = made.folder / "log"
    size = log.stat().st_size
    os.truncate(log, max(0, size - cut))
    again = adopt(made.folder)
    assert again is not None
    found = read_all(again)
    each = size / 30
    assert found == [str(number) for number in range(len(found))]
    assert len(found) >= int((size - cut) / each) - 1
    again.close(remove=True)
    assert not made.folder.exists()


def test_how_far_it_arrived_outlives_the_process(spool: Spool) -> None:
    spool.append(numbered(0, 3))
    _, mark = spool.read()
    spool.arrived(Sent(mark.offset, "the run", "7"))
    spool.append(numbered(3, 2))
    spool.close(remove=False)
    again = adopt(spool.folder)
    assert again is not None
    assert (again.sent.run, again.sent.experiment) == ("the run", "7")
    assert read_all(again) == ["3", "4"]
    again.close(remove=False)


def test_nobody_takes_what_a_living_process_holds(spool: Spool) -> None:
    assert adopt(spool.folder) is None
    assert left(spool.folder.parent) == [spool.folder]
    spool.close(remove=False)
    taken = adopt(spool.folder)
    assert taken is not None
    assert adopt(spool.folder) is None
    taken.close(remove=True)
    assert left(spool.folder.parent) == []


class FullDisk:
    """Writes fail, the first of them after half its bytes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full, self.half = True, True
        self._write = os.write
        monkeypatch.setattr(spools.os, "write", self.write)

    def write(self, descriptor: int, data: bytes) -> int:
        if not self.full:
            return self._write(descriptor, data)
        if self.half and len(data) > 1:
            self.half = False
            return self._write(descriptor, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_waited_out_in_memory(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    spool.append(numbered(0, 10))
    disk = FullDisk(monkeypatch)
    spool.append(numbered(10, 10))
    assert not spool.print("words")
    spool.append(numbered(20, 5))
    assert read_all(spool) == [str(number) for number in range(25)], "sent from memory"
    spool.append(numbered(25, 5))
    disk.full = False
    spool.append(numbered(30, 5))
    assert spool.print("words")
    spool.close(remove=False)
    again = adopt(spool.folder)
    assert again is not None
    assert read_all(again) == [str(number) for number in range(25, 35)], "on disk as soon as there is room"
    again.close(remove=False)
    assert spool.lost == 0


def test_memory_has_a_bound(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    FullDisk(monkeypatch)
    monkeypatch.setattr(spools, "MOST_IN_MEMORY", 2000)
    spool.append(numbered(0, 100))
    kept = read_all(spool)
    assert 10 <= len(kept) < 20
    assert spool.lost == 100 - len(kept)


def test_files_go_when_they_have_arrived(spool: Spool, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a" * 3_000_000)
    first = file_record(spool, "a", tmp_path / "a")
    second = file_record(spool, "b", b"bytes")
    assert (spool.folder / "files" / first["file"]).read_bytes() == b"a" * 3_000_000
    spool.append([first, second])
    _, mark = spool.read()
    spool.arrived(mark, [first["file"]])
    assert [path.name for path in (spool.folder / "files").iterdir()] == [second["file"]]
    with pytest.raises(FileNotFoundError):
        file_record(spool, "c", tmp_path / "nowhere")


def test_a_spool_in_somebody_elses_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spools.os, "getuid", lambda: os.geteuid() + 1)
    with pytest.raises(PermissionError):
        create(tmp_path / "spool", "run_1", 1)
