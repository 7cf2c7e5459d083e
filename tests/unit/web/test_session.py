from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from modelloop.ground.core.records import Role
from modelloop.web.session import SESSION_LIVES, Doorkeeper

NOW = datetime.now(UTC)


@pytest.fixture
def door(tmp_path: Path) -> Doorkeeper:
    return Doorkeeper("the-token", tmp_path / "secrets")


def test_a_token_opens(door: Doorkeeper) -> None:
    actor = door.bearer("Bearer the-token")
    assert actor is not None
    assert actor.role is Role.ADMIN


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer the-tokem", "Basic the-token", "Bearer the-token-and-more"]
)
def test_nothing_else_does(door: Doorkeeper, header: str | None) -> None:
    assert door.bearer(header) is None


def test_an_address_opens_once(door: Doorkeeper) -> None:
    token = door.once(NOW)
    session = door.redeem(token, NOW)
    assert session is not None
    assert door.session(session, NOW) is not None
    assert door.redeem(token, NOW) is None


def test_an_address_does_not_open_after_a_day(door: Doorkeeper) -> None:
    assert door.redeem(door.once(NOW), NOW + timedelta(hours=25)) is None


def test_addresses_that_nobody_used_are_forgotten(door: Doorkeeper, tmp_path: Path) -> None:
    door.once(NOW)
    door.once(NOW + timedelta(days=3))
    assert len(list((tmp_path / "secrets" / "once").iterdir())) == 1


def test_no_token_lies_on_disk(door: Doorkeeper, tmp_path: Path) -> None:
    token = door.once(NOW)
    assert all(token not in path.name for path in tmp_path.rglob("*"))


def test_a_session_outlives_a_restart_and_ends_in_time_and_with_the_token(door: Doorkeeper, tmp_path: Path) -> None:
    session = door.redeem(door.once(NOW), NOW)
    again = Doorkeeper("the-token", tmp_path / "secrets")
    assert again.session(session, NOW) is not None
    assert again.session(session, NOW + SESSION_LIVES + timedelta(seconds=1)) is None
    assert Doorkeeper("another", tmp_path / "secrets").session(session, NOW) is None


@pytest.mark.parametrize("change", ["", "x", "9999999999.a.b", "a.b.c", "..", "١.a.b"])
def test_a_session_cannot_be_made_up(door: Doorkeeper, change: str) -> None:
    assert door.session(change, NOW) is None


def test_a_session_cannot_be_prolonged(door: Doorkeeper) -> None:
    began, noise, seal = (door.redeem(door.once(NOW), NOW) or "").split(".")
    assert door.session(f"{int(began) + 3600}.{noise}.{seal}", NOW + timedelta(hours=1)) is None
