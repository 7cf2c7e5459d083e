"""What a message says of a value that somebody sent."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from modelloop.deploy.gateway.given import event_time_of, id_of, short
from modelloop.ground.core.errors import RequestInvalid


def nested(depth: int) -> list:
    found: list = []
    for _ in range(depth):
        found = [found]
    return found


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("x", "'x'"),
        (None, "null"),
        (True, "true"),
        (7, "7"),
        ([1, 2], "[1, 2]"),
        ({"a": 1}, "an object"),
        (nested(1020), "a list"),
        ([{}], "a list"),
        ("a" * 200, "'" + "a" * 76 + "..."),
    ],
    ids=["text", "null", "boolean", "number", "list", "object", "as deep as JSON goes", "list of objects", "long"],
)
def test_a_value_is_named_in_a_line(value, said) -> None:
    assert short(value) == said


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ("yesterday", "at is 'yesterday'. Expected ISO 8601"),
        (nested(1020), "at is a list. Expected ISO 8601"),
        ("0001-01-01T00:00:00+00:01", "no calendar holds in UTC. Expected ISO 8601 within the years 1 to 9999"),
        ("9999-12-31T23:59:59-00:01", "no calendar holds in UTC"),
    ],
    ids=["word", "nested", "before the first year", "after the last year"],
)
def test_a_wrong_time_says_what_it_is(sent, said) -> None:
    with pytest.raises(RequestInvalid) as caught:
        event_time_of(sent, "at")
    assert said in str(caught.value)


def test_a_time_is_in_utc_and_may_be_absent() -> None:
    assert event_time_of(None, "at") is None
    assert event_time_of("2013-03-01T06:15:00+01:00", "at") == datetime(2013, 3, 1, 5, 15, tzinfo=UTC)


@pytest.mark.parametrize("sent", ["a" * 201, 7, nested(1020)], ids=["long", "number", "nested"])
def test_a_wrong_id_is_refused(sent) -> None:
    with pytest.raises(RequestInvalid, match="at most 200 characters"):
        id_of(sent)
