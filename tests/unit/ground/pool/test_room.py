"""Sharing out a machine: never more than there is, and everything comes back."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelloop.ground.core.errors import PipelineInvalid
from modelloop.ground.flow.elsewhere import Resources
from modelloop.ground.pool import machine
from modelloop.ground.pool.room import Lot, Room

GB = 1_000_000_000


def taken(room: Room, *asked: Resources) -> list[Lot | None]:
    return [room.take(resources) for resources in asked]


def test_halves_and_tenths_are_exact() -> None:
    assert [lot is not None for lot in taken(Room(1, GB), *[Resources(cpus=0.5)] * 3)] == [True, True, False]
    assert sum(lot is not None for lot in taken(Room(1, GB), *[Resources(cpus=0.1)] * 20)) == 10


def test_however_little_is_asked_for_processes_are_not_without_number() -> None:
    assert sum(lot is not None for lot in taken(Room(2, GB), *[Resources(cpus=0)] * 100)) == 32


def test_memory_is_shared_out_where_it_is_asked_for() -> None:
    room = Room(8, 3 * GB)
    first, second = taken(room, *[Resources(memory=2 * GB)] * 2)
    assert second is None
    assert room.take(Resources()) is not None
    assert first is not None
    room.give(first)
    assert room.take(Resources(memory=3 * GB)) is not None


def test_a_share_of_a_gpu_goes_where_one_is_begun_and_whole_ones_stay_whole() -> None:
    room = Room(16, GB, ("0", "1", "2"))
    half, quarter, two, none = taken(room, *(Resources(gpus=g) for g in (0.5, 0.25, 2, 1)))
    assert half is not None
    assert quarter is not None
    assert two is not None
    assert half.devices == quarter.devices
    assert len(set(two.devices)) == 2
    assert set(half.devices).isdisjoint(two.devices)
    assert none is None


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (Resources(cpus=3), "3 processors; here are 2 processors, 1,000 MB of memory, 1 GPUs"),
        (Resources(memory=2 * GB), "2,000 MB of memory"),
        (Resources(gpus=2), "2 GPUs"),
        (Resources(gpus=1.5), "1.5 GPUs"),
        (Resources(cpus=-1), "less than nothing"),
    ],
)
def test_what_there_never_is_is_refused(asked: Resources, told: str) -> None:
    with pytest.raises(PipelineInvalid, match=told):
        Room(2, GB, ("0",)).check(asked)


resources = st.builds(
    Resources,
    cpus=st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0, 2.0]),
    memory=st.integers(0, GB),
    gpus=st.sampled_from([0.0, 0.3, 0.5, 1.0, 2.0]),
)


@given(st.lists(st.one_of(resources, st.none()), max_size=40))
def test_never_more_than_there_is_and_all_comes_back(steps: list[Resources | None]) -> None:
    """A None gives the oldest lot back."""
    room, held = Room(2, GB, ("0", "1")), list[Lot]()
    for step in steps:
        if step is None:
            room.give(held.pop(0)) if held else None
        elif (lot := room.take(step)) is not None:
            held.append(lot)
        assert sum(lot.cpus for lot in held) <= 20_000
        assert sum(lot.memory for lot in held) <= GB
        for name in ("0", "1"):
            assert sum(share for lot in held for device, share in lot.gpus if device == name) <= 10_000
    for lot in held:
        room.give(lot)
    assert room.take(Resources(cpus=2, memory=GB, gpus=2)) is not None


def test_gpus_are_those_that_may_be_seen(tmp_path: Path) -> None:
    for name in ("nvidia0", "nvidia10", "nvidia2", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    assert machine.gpus({}, tmp_path) == ("0", "2", "10")
    assert machine.gpus({"CUDA_VISIBLE_DEVICES": "1, 0"}, tmp_path) == ("1", "0")
    assert machine.gpus({"CUDA_VISIBLE_DEVICES": "GPU-ab,-1,2"}, tmp_path) == ("GPU-ab",)
    assert machine.gpus({"CUDA_VISIBLE_DEVICES": ""}, tmp_path) == ()


def test_threads_are_set_where_the_user_has_not_and_gpus_are_named() -> None:
    made = machine.environment_of(3, ("1",), {"OMP_NUM_THREADS": "8", "HOME": "/h"})
    assert (made["OMP_NUM_THREADS"], made["POLARS_MAX_THREADS"], made["HOME"]) == ("8", "3", "/h")
    assert made["CUDA_VISIBLE_DEVICES"] == "1"
    assert "CUDA_VISIBLE_DEVICES" not in machine.environment_of(1, (), {})


def test_there_are_processors_and_memory_here() -> None:
    assert machine.processors() >= 1
    assert machine.memory() > 100_000_000
