from __future__ import annotations

import enum
import math
import sys
import zoneinfo
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelloop.ground.core.errors import BlobMissing, StepFailed, ValueNotStorable
from modelloop.ground.core.hashing import hash_bytes
from modelloop.ground.flow.codecs import Decoder, Encoder, Remembered, digest_of, from_text, to_text


class Colour(enum.StrEnum):
    RED = "red"


@dataclass(frozen=True, slots=True)
class Point:
    x: float
    rest: tuple[int, ...] = ()
    hidden: int = field(default=0, init=False)


class Book:
    def __init__(self, text: str) -> None:
        self.text = text

    def to_bytes(self) -> bytes:
        return self.text.encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Book:
        return cls(data.decode())


class Shelf:
    """Blobs in memory."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}

    def put(self, data: bytes) -> str:
        self.held[hash_bytes(data)] = data
        return hash_bytes(data)

    def get(self, digest: str) -> bytes:
        if digest not in self.held:
            raise BlobMissing(digest)
        return self.held[digest]


def node_of(value: object, put: Callable[[bytes], str] = hash_bytes) -> Any:
    return Encoder(put, Remembered(), stores=put is not hash_bytes, types=set()).encode(value)


def around(value: object) -> Any:
    shelf = Shelf()
    text = to_text(node_of(value, shelf.put))
    return Decoder(shelf.get, Remembered()).decode(from_text(text))


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8"))
    | st.binary(max_size=600)
    | st.datetimes(timezones=st.none() | st.just(UTC) | st.timezones())
    | st.dates()
    | st.timedeltas(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=4) | st.integers(), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(plain)
def test_plain_values_come_back_equal_and_of_the_same_types(value: object) -> None:
    again = around(value)
    assert again == value
    assert repr(again) == repr(value) or isinstance(value, datetime)
    assert digest_of(node_of(again)) == digest_of(node_of(value))


@pytest.mark.parametrize(
    "value",
    [
        Colour.RED,
        Point(1.5, (1, 2)),
        [Point(math.inf)],
        time(3, 4),
        datetime(2013, 3, 10, 2, 30, tzinfo=zoneinfo.ZoneInfo("America/New_York")),
        datetime(2013, 3, 10, tzinfo=timezone(timedelta(hours=-5))),
        {3, 1, 2},
        frozenset({"a"}),
        bytearray(b"x" * 1000),
        {"$": "tuple", "v": [1]},
        date(2013, 1, 1),
        np.float32(1.5),
        np.datetime64("2013-01-01T00:00:00"),
    ],
)
def test_other_values_come_back(value: object) -> None:
    again = around(value)
    assert again == value
    assert type(again) is type(value)


def test_dicts_keep_their_order_and_nan_stays_nan() -> None:
    again = around({"b": 1, "a": math.nan, "c": -0.0})
    assert list(again) == ["b", "a", "c"]
    assert math.isnan(again["a"])
    assert math.copysign(1, again["c"]) == -1


def test_numbers_of_different_types_have_different_digests() -> None:
    digests = {digest_of(node_of(v)) for v in (1, 1.0, True, "1", b"1", np.int64(1), np.float64(1), [1], (1,))}
    assert len(digests) == 9


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.array(["a", None, "ü"], dtype=object),
        np.array([], dtype=bool),
        np.array(["2013-01-01"], dtype="datetime64[us]"),
    ],
)
def test_arrays_come_back_writable(array: np.ndarray[Any, Any]) -> None:
    again = around({"deep": [array]})["deep"][0]
    assert again.dtype == array.dtype
    assert again.shape == array.shape
    assert again.tolist() == array.tolist()
    assert again.flags.writeable


def test_frames_series_and_lazy_frames_come_back() -> None:
    frame = pl.DataFrame({"a": [1, None], "s": ["x", "y"], "t": [datetime(2013, 1, 1, tzinfo=UTC)] * 2})
    assert around(frame).equals(frame)
    assert around(frame).schema == frame.schema
    lazy = around(frame.lazy().filter(pl.col("a") == 1))
    assert isinstance(lazy, pl.LazyFrame)
    assert lazy.collect().height == 1
    assert around(frame["s"]).equals(frame["s"], check_names=True)
    assert around(pl.DataFrame()).shape == (0, 0)


def test_equal_frames_have_equal_digests_however_they_were_put_together() -> None:
    whole = pl.DataFrame({"a": [1, 2, 3], "s": ["x", "yyyyyyyyyyyyyyyyyyyy", "z"]})
    parts = pl.concat([whole[:1], whole[1:]], rechunk=False)
    kept = pl.concat([whole, whole.with_columns(a=pl.lit(9, pl.Int64))]).filter(pl.col("a") != 9)
    assert len({digest_of(node_of(f)) for f in (whole, parts, kept)}) == 1
    assert digest_of(node_of(whole)) != digest_of(node_of(whole.rename({"a": "b"})))


def test_objects_with_to_bytes_come_back() -> None:
    again = around((Book("x" * 1000),))[0]
    assert isinstance(again, Book)
    assert again.text == "x" * 1000


class Plain:
    pass


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (Plain(), "Plain"),
        ({"model": [1, Plain()]}, r"\['model'\]\[1\]"),
        (Point(1, (Plain(),)), r"\.rest\[0\]"),  # type: ignore[arg-type]
        (Path("/tmp"), "PosixPath"),
        (lambda: 1, "function"),
        (np.array([Plain()], dtype=object), r"\[0\]"),
        (pl.DataFrame({"o": pl.Series([Plain()], dtype=pl.Object)}), "schema"),
        ("\ud800", "Unicode"),
    ],
)
def test_what_has_no_safe_format_is_refused_by_name_and_place(value: object, names: str) -> None:
    with pytest.raises(ValueNotStorable, match=names):
        to_text(node_of(value))


def test_a_list_that_contains_itself_is_refused() -> None:
    value: list[object] = []
    value.append(value)
    with pytest.raises(ValueNotStorable, match="contains itself"):
        node_of(value)


@pytest.mark.parametrize("name", ["os:system", "subprocess:Popen", "builtins:eval", "antigravity:x", "modelloop:step"])
def test_stored_names_never_run_code(name: str) -> None:
    decoder = Decoder(Shelf().get, Remembered())
    for tag in ("object", "dataclass", "enum"):
        with pytest.raises((StepFailed, BlobMissing)):
            decoder.decode({"$": tag, "type": name, "v": {}, "blob": "0" * 64})
    assert "antigravity" not in sys.modules


def test_a_dataclass_whose_fields_changed_is_refused() -> None:
    node = node_of(Point(1.0))
    node["v"]["y"] = 2
    with pytest.raises(StepFailed, match="does not fit"):
        Decoder(Shelf().get, Remembered()).decode(node)


def test_a_remembered_frame_is_not_hashed_again_unless_it_was_written_to() -> None:
    remembered = Remembered()
    frame = pl.DataFrame({"a": [1, 2]})
    remembered.add(frame, {"$": "input", "digest": "d"}, stored=False)
    assert remembered.find(frame, stored=False) == {"$": "input", "digest": "d"}
    assert remembered.find(frame, stored=True) is None
    assert remembered.find(frame.clone(), stored=False) is None
    frame[0, "a"] = 9
    assert remembered.find(frame, stored=False) is None


def test_remembering_does_not_keep_a_frame_alive() -> None:
    remembered = Remembered()
    remembered.add(pl.DataFrame({"a": [1]}), {"$": "x"}, stored=True)
    assert not remembered._known
