"""Personal data before it is kept: hashed so that it still joins, or masked so that nobody is told."""

from __future__ import annotations

import hashlib
import hmac

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelloop.data.insight.protect import protect
from modelloop.data.settings import Personal
from modelloop.ground.core.errors import InvalidInput

KEY = b"k" * 32
VALUES = st.lists(st.one_of(st.none(), st.text(max_size=30), st.emails(), st.ip_addresses().map(str)), max_size=20)


def one(value: object, way: Personal = Personal.MASK) -> str | None:
    return protect(pl.Series("x", [value]), way, KEY)[0]


@settings(deadline=None)
@given(VALUES)
def test_a_hash_is_the_keyed_hash_of_the_value(values: list[str | None]) -> None:
    found = protect(pl.Series("x", values, dtype=pl.String), Personal.HASH, KEY)
    expected = [v if v is None else hmac.new(KEY, v.encode(), hashlib.sha256).hexdigest()[:32] for v in values]
    assert found.to_list() == expected
    assert found.name == "x"
    assert found.dtype == pl.String


def test_another_key_makes_other_hashes() -> None:
    series = pl.Series(["anna"])
    assert protect(series, Personal.HASH, KEY)[0] != protect(series, Personal.HASH, b"other")[0]
    with pytest.raises(InvalidInput, match="has no key"):
        protect(series, Personal.HASH, b"")


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("anna@example.org", "a***@***.org"),
        ("+49 30 1234567", "***-4567"),
        ("4111 1111 1111 1234", "***-1234"),
        ("DE89 3704 0044 0532 0130 00", "***-3000"),
        ("Anna", "***"),
        ("A", "***"),
        ("", "***"),
        ("call Anna, 030 1234567", "***"),
        ("1980-05-17", "****-**-**"),
        ("17.05.1980", "****-**-**"),
        ("123-45-6789", "***-6789"),
        ("1234", "***"),
        ("192.168.1.1", "*.*.*.*"),
        ("2001:db8::1", "*:*:*"),
        (4111111111111234, "***-1234"),
        (None, None),
    ],
)
def test_a_mask_shows_the_kind_and_little_else(value: object, kept: str | None) -> None:
    assert one(value) == kept
    assert one(value, Personal.REFUSE) == kept


@settings(deadline=None)
@given(VALUES)
def test_masking_twice_is_masking_once(values: list[str | None]) -> None:
    once = protect(pl.Series("x", values, dtype=pl.String), Personal.MASK, KEY)
    assert protect(once, Personal.MASK, KEY).to_list() == once.to_list()
    assert once.is_null().to_list() == [value is None for value in values]


@settings(deadline=None)
@given(st.text(alphabet="abcXYZ089 -.", min_size=5, max_size=40))
def test_at_most_four_characters_in_a_row_survive(value: str) -> None:
    kept = str(one(value))
    bare = "".join(c for c in value if c.isalnum())
    assert not any(bare[at : at + 5] in kept for at in range(len(bare) - 4))


def test_what_is_allowed_stays() -> None:
    assert protect(pl.Series("x", ["anna", None]), Personal.ALLOW, b"").to_list() == ["anna", None]
    assert protect(pl.Series("x", [1, None]), Personal.ALLOW, b"").to_list() == ["1", None]


def test_a_column_without_values() -> None:
    for way in Personal:
        assert protect(pl.Series("x", [None, None], dtype=pl.Int64), way, KEY).to_list() == [None, None]
        assert protect(pl.Series("x", [], dtype=pl.String), way, KEY).to_list() == []
