"""What the supervisor decides, without processes."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelloop import supervise
from modelloop.ground.core.errors import AddressRefused, Conflict
from modelloop.ground.core.settings import read_settings

AGES = st.lists(st.floats(0, 100), max_size=40)


def test_the_first_deaths_are_met_at_once() -> None:
    assert supervise.pause_after([0.0]) == 0
    assert supervise.pause_after([0.0, 1.0, 2.0]) == 0
    assert supervise.pause_after([0.0, 1.0, 2.0, 3.0]) > 0


@given(AGES)
def test_one_more_death_never_shortens_the_pause_and_it_is_bounded(ages: list[float]) -> None:
    pause = supervise.pause_after(ages)
    assert 0 <= pause <= supervise.LONGEST_PAUSE
    assert supervise.pause_after([*ages, 0.0]) >= pause


@given(AGES)
def test_deaths_long_ago_count_for_nothing(ages: list[float]) -> None:
    old = [supervise.CALM + 1] * 30
    assert supervise.pause_after([*ages, *old]) == supervise.pause_after(ages)


@given(AGES, st.floats(0, 100))
def test_what_lived_long_is_started_again_sooner_than_what_died_young(ages: list[float], lived: float) -> None:
    pause = supervise.pause_after(ages, lived=lived)
    assert pause == max(0.0, supervise.pause_after(ages) - lived)
    assert supervise.pause_after(ages, lived=supervise.LONGEST_PAUSE) == 0


def test_ports_are_chosen_once_below_the_systems_own_range(tmp_path: Path) -> None:
    environ = {"MODELLOOP_CONTROL_PORT": "0", "MODELLOOP_GATEWAY_PORT": "0", "MODELLOOP_GATEWAYS": "3"}
    settings, programs = supervise.programs(read_settings(environ, tmp_path))
    ports = [int((program.address or "0").rpartition(":")[2]) for program in programs if program.address]
    assert len(set(ports)) == 4
    assert all(10_000 <= port < 32_768 for port in ports)
    assert [program.kind for program in programs] == ["control", "worker", "gateway", "gateway", "gateway"]
    assert str(settings.control_port) in programs[0].argv


def test_a_taken_port_is_told(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        settings = read_settings({"MODELLOOP_CONTROL_PORT": str(port), "MODELLOOP_GATEWAY_PORT": "0"}, tmp_path)
        with pytest.raises(AddressRefused, match=str(port)):
            supervise.programs(settings)


def test_there_is_one_supervisor_for_a_folder(tmp_path: Path) -> None:
    with supervise.alone(tmp_path), pytest.raises(Conflict, match="already"), supervise.alone(tmp_path):
        pass
    with supervise.alone(tmp_path):
        pass


def test_the_state_of_a_dead_supervisor_is_nobodys(tmp_path: Path) -> None:
    assert supervise.running(tmp_path) is None
    (tmp_path / supervise.STATE).write_text('{"pid": 999999999, "processes": []}')
    assert supervise.running(tmp_path) is None
    (tmp_path / supervise.STATE).write_text(f'{{"pid": {os.getpid()}, "processes": []}}')
    assert supervise.running(tmp_path) is not None
    (tmp_path / supervise.STATE).write_text('{"pid"')
    assert supervise.running(tmp_path) is None


def test_processes_of_a_port_share_it_and_have_their_own_names(tmp_path: Path) -> None:
    environ = {"MODELLOOP_GATEWAY_PORT": "12000", "MODELLOOP_GATEWAYS": "2", "MODELLOOP_GATEWAY_PROCESSES": "2"}
    settings = read_settings({**environ, "MODELLOOP_GRPC_PORT": "12009", "MODELLOOP_GATEWAY_HTTP": "asgi"}, tmp_path)
    listed = supervise.gateways(settings)
    ids = [program.argv[program.argv.index("--id") + 1] for program in listed]
    assert ids == ["g1", "g2", "g3", "g4", "grpc1"]
    assert [program.held.port for program in listed if program.held] == [12000, 12000, 12001, 12001]
    assert all(program.held.share for program in listed if program.held)
    assert listed[-1].argv[listed[-1].argv.index("--face") + 1] == "grpc"
    assert all("asgi" in program.argv for program in listed)


def test_a_gateway_beyond_loopback_is_told_that_it_may(tmp_path: Path) -> None:
    near = supervise.gateway_argv(read_settings({}, tmp_path), 1, "g1")
    far = read_settings({"MODELLOOP_HOST": "0.0.0.0", "MODELLOOP_ALLOW_REMOTE": "yes"}, tmp_path)
    assert "--allow-remote" not in near
    assert "--allow-remote" in supervise.gateway_argv(far, 1, "g1")
