"""Ids, hashes, times, rights and errors."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelloop.ground.core.clock import SystemClock, iso, parse_time, utc
from modelloop.ground.core.errors import Denied, IdInvalid, InvalidInput, ModelloopError, NotFound
from modelloop.ground.core.hashing import canonical_json, hash_bytes, hash_json
from modelloop.ground.core.ids import check_id, check_name, encode, is_name, new_id
from modelloop.ground.core.records import Actor, Role
from modelloop.ground.core.rights import Right, may, require
from modelloop.testing.fakes import FakeClock

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
moments = st.datetimes(datetime(2000, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(earlier=moments, later=moments)
def test_ids_sort_by_time(earlier: datetime, later: datetime) -> None:
    if later - earlier >= timedelta(milliseconds=1):
        assert new_id("run", earlier) < new_id("run", later)


@given(st.integers(0, 2**48 - 1), st.integers(0, 2**80 - 1))
def test_ids_have_one_form(milliseconds: int, noise: int) -> None:
    text = "run_" + encode(milliseconds, noise)
    assert check_id(text, "run") == text


def test_ids_differ() -> None:
    assert len({new_id("run", NOW) for _ in range(1000)}) == 1000


GOOD = new_id("run", NOW)


@pytest.mark.parametrize(
    "text",
    ["", "run_", GOOD.lower(), GOOD + "0", GOOD[:-1] + "U", GOOD + "\n", "../" + GOOD, GOOD.replace("run", "job")],
)
def test_other_words_are_no_ids(text: str) -> None:
    with pytest.raises(IdInvalid, match="not an id of the kind 'run'"):
        check_id(text, "run")


@pytest.mark.parametrize("text", ["flights", "a", "x-1_b", "a" * 63])
def test_names(text: str) -> None:
    assert check_name(text, "model") == text


@pytest.mark.parametrize("text", ["", "A", "1a", "a/b", "..", "a b", "a\n", "a" * 64, "ü", "-a"])
def test_other_words_are_no_names(text: str) -> None:
    assert not is_name(text)
    with pytest.raises(IdInvalid, match="cannot name a model"):
        check_name(text, "model")


def test_hashes_are_those_of_the_standard() -> None:
    assert hash_bytes(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert canonical_json({"b": [1, 2.5], "a": "ü"}) == '{"a":"ü","b":[1,2.5]}'.encode()


@given(st.dictionaries(st.text(), st.integers()))
def test_the_order_of_keys_does_not_matter(value: dict[str, int]) -> None:
    assume_encodable = all(key.isprintable() for key in value)
    if assume_encodable:
        assert hash_json(value) == hash_json(dict(reversed(value.items())))


def test_nan_has_no_hash() -> None:
    with pytest.raises(ValueError, match="JSON"):
        hash_json({"x": float("nan")})


@given(moments)
def test_times_are_read_as_they_were_written(moment: datetime) -> None:
    assert parse_time(iso(moment)) == moment
    assert iso(moment).endswith("Z")


def test_times_without_a_zone_are_utc() -> None:
    assert parse_time("2013-03-01T05:15:00") == datetime(2013, 3, 1, 5, 15, tzinfo=UTC)
    assert utc(datetime(2013, 3, 1, 5, tzinfo=timezone(timedelta(hours=-5)))).hour == 10
    assert SystemClock().now().tzinfo is UTC


def test_the_fake_clock_moves_by_hand() -> None:
    clock = FakeClock(NOW)
    assert clock.now() == NOW
    assert clock.advance(timedelta(days=1)) == NOW + timedelta(days=1) == clock.now()


MATRIX = {
    Role.VIEWER: {"public", "read"},
    Role.SCIENTIST: {"public", "read", "run", "label"},
    Role.ENGINEER: {"public", "read", "run", "label", "deploy"},
    Role.ADMIN: {"public", "read", "run", "label", "deploy", "admin"},
    Role.SYSTEM: {"public", "read", "run", "label", "deploy", "admin"},
}


@pytest.mark.parametrize("right", list(Right))
@pytest.mark.parametrize("role", list(Role))
def test_every_role_has_its_rights_and_no_others(role: Role, right: Right) -> None:
    actor = Actor("someone", role)
    assert may(actor, right) == (right.value in MATRIX[role])
    if may(actor, right):
        require(actor, right)
    else:
        with pytest.raises(Denied, match=f"someone .{role}. may not {right}"):
            require(actor, right)


def test_an_error_says_what_and_what_to_do() -> None:
    error = NotFound("No model is called 'x'.", hint="Known: flights.", detail={"known": ["flights"]})
    assert str(error) == "No model is called 'x'. Known: flights."
    assert error.as_json() == {"error": str(error), "code": "ML200", "detail": {"known": ["flights"]}}
    assert isinstance(error, ModelloopError)
    assert InvalidInput().as_json() == {"error": "The input is not of the form it must have.", "code": "ML100"}
