"""Online tables find what training joined, as it was known at a request's moment."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelloop.data.settings import ColumnSettings, ColumnType, ContractSettings
from modelloop.deploy.actions.online import fill_online, online_states
from modelloop.deploy.gateway.asked import Asked, Tensor
from modelloop.deploy.gateway.keeping import ControlBlobs, Keep, KeptBlobs
from modelloop.deploy.gateway.online import Online
from modelloop.deploy.online import OnlineDocument, decode, encode, key_hash, table_document
from modelloop.deploy.online_frame import to_table
from modelloop.deploy.records import Lookup
from modelloop.deploy.settings import OnlineSettings
from modelloop.ground.core.errors import InvalidInput, NotFound, NotReady, RequestInvalid
from modelloop.ground.core.hashing import hash_bytes
from modelloop.ground.store.blobs import Blobs
from modelloop.prepare.pointintime import Past, latest
from modelloop.testing.fakes import make_context
from served import make_project
from versioned import make

START = datetime(2026, 1, 1, tzinfo=UTC)
SETTINGS = OnlineSettings("weather", ("origin",), "known_at", ("temp", "gusts", "sky", "wet"))
LOOKUP = Lookup("weather", ("origin",), ("temp", "gusts", "sky", "wet"))


def frame(rows: list[tuple[Any, ...]]) -> pl.DataFrame:
    schema = {
        "origin": pl.String,
        "known_at": pl.Datetime("us", "UTC"),
        "temp": pl.Float64,
        "gusts": pl.Int64,
        "sky": pl.String,
        "wet": pl.Boolean,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


WEATHER = frame(
    [
        ("JFK", START, 1.5, 10, "clear", False),
        ("JFK", START + timedelta(hours=2), None, None, None, None),
        ("LGA", START + timedelta(hours=1), -3.0, 40, "snow ☃", True),
        ("JFK", START + timedelta(hours=1), 2.5, 20, "cloud", True),
    ]
)


def asked(keys: list[Any], at: datetime, **more: Any) -> Asked:
    tensors = {"origin": Tensor("origin", "BYTES", (len(keys),), keys)}
    return Asked(None, at, len(keys), tensors | more)


def held(path: Path, settings: OnlineSettings = SETTINGS, rows: pl.DataFrame = WEATHER) -> Online:
    blobs = Blobs((path / "blobs").as_uri())
    data, count, datatypes = to_table("weather", settings, rows.lazy())
    document = OnlineDocument(blobs.put(data), "weather", 1, "", count, len(decode(data)), settings.key, datatypes)
    blobs.write_document(table_document("weather"), msgspec.json.encode(document))
    online = Online(blobs)
    assert online.refresh(["weather"])
    return online


def test_a_request_gets_what_was_known_at_its_moment(tmp_path: Path) -> None:
    online = held(tmp_path)
    found = online.fill([LOOKUP], asked(["JFK", "LGA", "EWR", None], START + timedelta(minutes=90)))
    assert found.tensors["temp"].values == [2.5, -3.0, None, None]
    assert found.tensors["gusts"].values == [20, 40, None, None]
    assert found.tensors["sky"].values == ["cloud", "snow ☃", None, None]
    assert found.tensors["wet"].values == [True, True, None, None]
    assert [found.tensors[name].datatype for name in LOOKUP.values] == ["FP64", "INT64", "BYTES", "BOOL"]
    early = online.fill([LOOKUP], asked(["JFK", "LGA"], START))
    assert early.tensors["sky"].values == ["clear", None]


def test_the_newest_row_counts_even_where_its_values_are_missing(tmp_path: Path) -> None:
    found = held(tmp_path).fill([LOOKUP], asked(["JFK"], START + timedelta(days=9)))
    assert [found.tensors[name].values for name in LOOKUP.values] == [[None], [None], [None], [None]]


def test_what_is_too_old_is_missing(tmp_path: Path) -> None:
    aged = Lookup("weather", ("origin",), ("temp",), max_age_seconds=1800)
    online = held(tmp_path)
    hour = START + timedelta(hours=1)
    assert online.fill([aged], asked(["LGA"], hour + timedelta(minutes=29))).tensors["temp"].values == [-3.0]
    assert online.fill([aged], asked(["LGA"], hour + timedelta(minutes=30))).tensors["temp"].values == [None]


def test_a_callers_own_values_are_kept(tmp_path: Path) -> None:
    own = Tensor("temp", "FP64", (1,), [99.0])
    found = held(tmp_path).fill([LOOKUP], asked(["JFK"], START, temp=own))
    assert found.tensors["temp"] is own
    assert found.tensors["sky"].values == ["clear"]
    only = Lookup("weather", ("origin",), ("temp",))
    bare = Asked(None, START, 1, {"temp": own})
    assert Online(Blobs("memory:///")).fill([only], bare) is bare


def test_a_missing_key_and_a_missing_table_are_said(tmp_path: Path) -> None:
    with pytest.raises(RequestInvalid, match="'origin' is missing"):
        held(tmp_path).fill([LOOKUP], Asked(None, START, 1, {}))
    with pytest.raises(NotReady, match="not filled yet"):
        Online(Blobs((tmp_path / "none").as_uri())).fill([LOOKUP], asked(["JFK"], START))


def test_only_the_newest_rows_of_a_key_are_kept(tmp_path: Path) -> None:
    few = OnlineSettings("weather", ("origin",), "known_at", ("temp",), history=1)
    online = held(tmp_path, few)
    one = Lookup("weather", ("origin",), ("temp",))
    found = online.fill([one], asked(["JFK", "LGA"], START + timedelta(minutes=90)))
    assert found.tensors["temp"].values == [None, -3.0]


def test_a_table_that_is_damaged_leaves_the_one_before(tmp_path: Path) -> None:
    online = held(tmp_path)
    blobs = Blobs((tmp_path / "blobs").as_uri())
    blobs.write_document(table_document("weather"), b"{")
    online.refresh(["weather"])
    assert "cannot be read" in online.failed["weather"]
    assert online.fill([LOOKUP], asked(["LGA"], START + timedelta(hours=1))).tensors["temp"].values == [-3.0]
    assert online.refresh([])
    assert not online.held


class Forger:
    """Control's address, answered by somebody in between who changes what is sent."""

    name, path = "https://control/api/routing", "/api/routing"

    def __init__(self, answers: dict[str, bytes]) -> None:
        self.answers = answers

    def ask(self, method: str, path: str, **_more: Any) -> Any:
        assert method == "GET"
        body = self.answers.get(path)
        return SimpleNamespace(status=404 if body is None else 200, headers={}, body=body or b"")


def test_bytes_from_control_are_what_their_digest_says(tmp_path: Path) -> None:
    data, count, datatypes = to_table("weather", SETTINGS, WEATHER.lazy())
    digest = hash_bytes(data)
    document = msgspec.json.encode(OnlineDocument(digest, "weather", 1, "", count, 2, SETTINGS.key, datatypes))
    answers = {"/api/routing/online/weather": document, f"/api/routing/content/{digest}": data[:-1] + b"?"}
    online = Online(ControlBlobs(cast(Any, Forger(answers)), None))
    assert not online.refresh(["weather"])
    assert "damaged" in online.failed["weather"]
    answers[f"/api/routing/content/{digest}"] = data
    assert online.refresh(["weather"])
    assert online.failed == {}
    del answers["/api/routing/online/weather"]
    assert not online.refresh(["weather"])
    assert list(online.held) == ["weather"]


def test_a_kept_table_is_held_before_anybody_is_asked(tmp_path: Path) -> None:
    blobs = KeptBlobs("memory:///", Keep(tmp_path / "state"))
    data, count, datatypes = to_table("weather", SETTINGS, WEATHER.lazy())
    document = OnlineDocument(blobs.put(data), "weather", 1, "", count, 2, SETTINGS.key, datatypes)
    blobs.write_document(table_document("weather"), msgspec.json.encode(document))
    first = Keep(tmp_path / "state")
    online = Online(KeptBlobs("memory:///", first), first)
    online._blobs = cast(Any, blobs)
    online.need(["weather"])
    first.prune(frozenset())  # a swap of packages takes nothing of it
    later = Keep(tmp_path / "state")
    cut_off = Online(ControlBlobs(cast(Any, Forger({})), later), later)
    cut_off.need(["weather"])
    assert cut_off.fill([LOOKUP], asked(["LGA"], START + timedelta(hours=2))).tensors["temp"].values == [-3.0]
    for path in (tmp_path / "state" / "content").glob("*/*"):
        path.write_bytes(b"rotten")
    rotten = Keep(tmp_path / "state")
    other = Online(ControlBlobs(cast(Any, Forger({})), rotten), rotten)
    other.need(["weather"])
    assert other.held == {}
    assert "weather" in other.failed


@pytest.mark.parametrize("data", [b"", b"MLONLINE1", b"MLONLINE1\x04\x00\x00\x00\x81\xa3key\x90", b"x" * 100])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput, match="no online table"):
        decode(data)


@given(st.lists(st.one_of(st.integers(-(2**53), 2**53), st.text(max_size=5), st.booleans()), min_size=1, max_size=3))
def test_a_number_is_the_same_key_however_it_is_sent(values: list[Any]) -> None:
    as_floats = [float(v) if type(v) is int else v for v in values]
    assert key_hash(values) == key_hash(as_floats)
    assert key_hash([*values, None]) is None
    assert key_hash([*values, float("nan")]) is None


events = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 50), st.integers(-5, 5)), max_size=40)


@given(events, st.lists(st.tuples(st.sampled_from("abcd"), st.integers(-5, 60)), min_size=1, max_size=10))
def test_serving_finds_what_training_joins(known: list[tuple[str, int, int]], wanted: list[tuple[str, int]]) -> None:
    rows = {(key, at): value for key, at, value in known}  # one fact for a key and a moment
    right = pl.DataFrame(
        {
            "k": [key for key, _ in rows],
            "t": pl.Series([START + timedelta(minutes=at) for _, at in rows], dtype=pl.Datetime("us", "UTC")),
            "v": pl.Series(list(rows.values()), dtype=pl.Int64),
        },
        schema_overrides={"k": pl.String},
    )
    left = pl.DataFrame({"k": [k for k, _ in wanted], "at": [START + timedelta(minutes=m) for _, m in wanted]})
    joined = latest(
        left.with_columns(pl.col("at").cast(pl.Datetime("us", "UTC"))),
        right,
        Past("at", "t", by=("k",), since=timedelta(minutes=20)),
        values=["v"],
    )
    settings = OnlineSettings("d", ("k",), "t", ("v",), history=1000)
    table = decode(to_table("d", settings, right.lazy())[0])
    found = []
    for key, minute in wanted:
        at = round((START + timedelta(minutes=minute)).timestamp() * 1_000_000)
        found += table.values("v", table.rows([(key,)], at, max_age=20 * 60))
    assert found == joined["v"].to_list()


def test_an_empty_table_finds_nothing() -> None:
    table = decode(encode(("k",), [], np.empty(0, dtype=np.int64), {}))
    assert table.rows([("a",)], 0) == [-1]
    assert len(table) == 0


def test_a_dataset_fills_its_table_once_for_each_version(tmp_path: Path) -> None:
    ctx = make_context(tmp_path)
    contract = ContractSettings(
        {
            "origin": ColumnSettings(ColumnType.STRING),
            "known_at": ColumnSettings(ColumnType.TIME),
            "temp": ColumnSettings(ColumnType.FLOAT, nullable=True),
        }
    )
    settings = OnlineSettings("weather", ("origin",), "known_at", ("temp",))
    declared = replace(make_project(), online={"now": settings})
    assert fill_online(ctx, declared) == []
    assert [state.newest for state in online_states(ctx, declared)] == [None]
    with pytest.raises(NotFound, match="no version yet"):
        fill_online(ctx, declared, "now")
    with pytest.raises(NotFound, match="no online table"):
        fill_online(ctx, declared, "other")
    rows = WEATHER.select("origin", "known_at", "temp")
    make(ctx, rows.head(1), how="append", dataset="weather", contract=contract)
    assert fill_online(ctx, declared) == ["now"]
    assert fill_online(ctx, declared) == []
    online = Online(ctx.blobs)
    online.refresh(["now"])
    one = Lookup("now", ("origin",), ("temp",))
    assert online.fill([one], asked(["LGA"], START + timedelta(hours=3))).tensors["temp"].values == [None]
    make(ctx, rows.tail(3), how="append", dataset="weather", contract=contract)
    assert [state.stale for state in online_states(ctx, declared)] == [True]
    assert fill_online(ctx, declared) == ["now"]
    assert online.refresh(["now"])
    assert online.fill([one], asked(["LGA"], START + timedelta(hours=3))).tensors["temp"].values == [-3.0]
    other = replace(declared, online={"now": replace(settings, values=("temp", "gusts"))})
    with pytest.raises(InvalidInput, match="needs gusts"):
        fill_online(ctx, other)
    ctx.db.close()
