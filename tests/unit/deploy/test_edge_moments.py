"""Dates, times and buckets in a bundle answer as the package does: every part, zones, leap days, changes of clocks."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from typing import Any, get_args
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_graphs import identity
from modelloop.deploy.edge.graph import bundled
from modelloop.deploy.edge.moments import KNOWN_UNTIL, zone_table
from modelloop.deploy.edge.records import MISSING
from modelloop.deploy.edge.signing import runtime
from modelloop.ground.core.errors import Conflict, InvalidInput
from modelloop.prepare import ops
from modelloop.prepare.ops.moments import Part
from modelloop.prepare.transform import FittedTransform, Transform
from modelloop.register.records import Signature, TensorSpec

PARTS: tuple[Part, ...] = get_args(Part)
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Africa/Monrovia")
BEGUN = datetime(2013, 1, 1)  # noqa: DTZ001 - clock time of the zone
TRAIN = pl.DataFrame(
    {
        "t": ["2013-01-01T05:00:00+00:00", None, "2020-02-29 23:59:59.5"],
        "u": ["2012-12-31", "2013-06-01T00:00", None],
        "n": [0.0, 1e9, None],
    }
)
TEXTS = [
    "2013-01-01", "0001-01-01", "9999-12-31T23:59:59.999999", "1969-12-31T23:59:59.999999", "2000-02-29T12:00Z",
    "1900-03-01", "2013-03-31T02:30:00", "2013-10-27T02:30:00", "2013-10-27T00:30:00Z", "2013-03-10 02:59:59-05:00",
    "2012-12-31T23:00:00.1234567", "2012-12-31T23:00:00,5+05:30", "2016-01-03T00:00:00-00:00:30", "1883-11-18T12:03:57",
    "2199-12-31T00:00:00+01:00", "2009-12-31", "2021-01-03", "1972-01-07T00:44:30+00:00",
]  # fmt: skip


def answering(transform: FittedTransform) -> Any:
    """Return the bundle's runtime over a model that answers its features."""
    labels = tuple(str(at) for at in range(len(transform.names)))
    outputs = (TensorSpec("probabilities", "FP32", (-1, len(labels))), TensorSpec("label", "BYTES", (-1,)))
    signature = Signature(transform.inputs, "probabilities", "multiclass", outputs=outputs, labels=labels)
    files = {"model.onnx": identity(len(labels)), "transform.json": transform.to_bytes()}
    made = bundled(files, signature)
    manifest = {
        "inputs": [asdict(one) for one in made.inputs],
        "outputs": [{"name": "probabilities"}],
        "missing": MISSING,
        "zones": dict(made.zones),
        "by_row": False,
    }
    return runtime().Model(manifest, made.onnx)


@cache
def both(zone: str) -> tuple[FittedTransform, Any]:
    steps: list[Any] = [ops.date_part("t", part, zone, name=f"t {part}") for part in PARTS]
    steps += [ops.date_part("n", part, zone, "s", name=f"n {part}") for part in ("hour", "week", "epoch")]
    steps += [ops.elapsed("t", "u", unit, zone, name=unit) for unit in ("seconds", "days")]
    steps += [ops.elapsed("n", BEGUN, "hours", zone, name="hours"), ops.flag_missing("t")]
    transform = Transform(steps).fit(TRAIN)
    return transform, answering(transform)


def column(values: list[Any]) -> Any:
    made = np.empty(len(values), object)
    made[:] = values
    return made


def compare(zone: str, t: list[str | None], u: list[str | None], n: list[float]) -> None:
    transform, model = both(zone)
    columns = {"t": column(t), "u": column(u), "n": np.array(n, np.float64)}
    found = model.predict(columns)["probabilities"]
    np.testing.assert_allclose(found, transform.apply(columns), rtol=1e-6, atol=0)


@pytest.mark.parametrize("zone", ZONES)
def test_parts_and_lengths_are_those_of_the_package(zone: str) -> None:
    rest: list[str | None] = [*TEXTS[1:], None]
    early = [one for one in TEXTS if zone == "UTC" or ("+05:30" not in one and not one.startswith("9999"))]
    kept = [(one, other) for one, other in zip(TEXTS, rest, strict=True) if one in early and (other in (*early, None))]
    compare(zone, [one for one, _ in kept], [other for _, other in kept], [float(at) * 1e8 for at in range(len(kept))])
    compare(zone, [None], [None], [float("nan")])


EARLIEST, LATEST = datetime(1, 1, 3), datetime(2199, 12, 29)  # noqa: DTZ001 - what texts without an offset say
moments = st.datetimes(EARLIEST, LATEST).flatmap(
    lambda one: st.sampled_from(
        [
            one.isoformat(),
            one.isoformat(" "),
            one.date().isoformat(),
            one.replace(tzinfo=UTC).isoformat().replace("+00:00", "Z"),
            one.replace(tzinfo=timezone(timedelta(minutes=-217))).isoformat(),
            one.replace(tzinfo=timezone(timedelta(hours=13, seconds=7))).isoformat(),
            one.isoformat(timespec="minutes"),
        ]
    )
)


@pytest.mark.parametrize("zone", ZONES)
@given(
    st.lists(
        st.tuples(st.none() | moments, st.none() | moments, st.floats(-6e10, 7.2e9) | st.just(float("nan"))),
        min_size=1,
        max_size=6,
    )
)
@settings(max_examples=60, deadline=None)
def test_any_moment_is_read_as_the_package_reads_it(zone: str, rows: list[tuple[Any, Any, float]]) -> None:
    t, u, n = zip(*rows, strict=True)
    compare(zone, list(t), list(u), list(n))


changes = st.sampled_from([(zone, at) for zone in ZONES[1:] for at in zone_table(zone)["at"]])


@given(changes, st.integers(-7300, 7300), st.booleans())
@settings(max_examples=200, deadline=None)
def test_around_every_change_of_the_clock(change: tuple[str, int], seconds: int, wall: bool) -> None:
    zone, at = change
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=at + seconds)
    text = moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None).isoformat() if wall else moment.isoformat()
    compare(zone, [text], ["2013-01-01"], [float(at + seconds)])


@pytest.mark.parametrize(
    "value",
    [
        "", "soon", "2013-1-1", "2013-02-30", "2013-01-01T24:00", "2013-01-01T05", "20130101", "2013-W01-1",
        "0000-01-01", "2013-01-01T05:00:60", "2013-01-01T05:00+25:00", "2013-01-01T05:00 Z", "2013-01-01Z",
        "٢٠١٣-01-01",
        "2013-01-01T05:00:00.", " 2013-01-01", 5, True, "9999-12-31T23:00-05:00",
    ],
)  # fmt: skip
def test_what_is_no_moment_is_refused(value: Any) -> None:
    """Never answered otherwise: what the runtime takes, the package takes, and reads alike."""
    model = answering(Transform([ops.date_part("t", "hour")]).fit(TRAIN))
    with pytest.raises(runtime().Refused, match=r"expected YYYY-MM-DD|holds"):
        model.predict({"t": [value]})


def test_numbers_outside_of_the_calendar_and_later_times_of_a_zone_are_refused() -> None:
    _, model = both("Europe/Berlin")
    good: dict[str, list[Any]] = {"t": ["2013-01-01"], "u": ["2013-01-01"], "n": [0.0]}
    assert model.predict(good)["probabilities"].shape[0] == 1
    for change in ({"n": [1e15]}, {"n": [float("inf")]}, {"n": [-7e10]}):
        with pytest.raises(runtime().Refused, match="years 1 to 9999 in s"):
            model.predict(good | change)
    with pytest.raises(runtime().Refused, match="beyond what the bundle knows of Europe/Berlin"):
        model.predict(good | {"t": [f"{KNOWN_UNTIL + 1}-01-01T00:00Z"]})
    with pytest.raises(InvalidInput):
        both("Europe/Berlin")[0].apply({"t": column(["2013-02-30"]), "u": column([None]), "n": np.zeros(1)})


BUCKETS = Transform([ops.hashed("t", 1000), ops.hashed("t", 7, 3, name="b"), ops.hashed("n", 2**24, 2**32 - 1)]).fit(
    TRAIN
)


@given(
    st.lists(
        st.tuples(
            st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
            st.floats() | st.sampled_from([0.0, -0.0, 1e16, 1e15, 123456789012345680.0, 1e-4, 1e-5, 5e-324, 0.1]),
        ),
        min_size=1,
        max_size=8,
    )
)
@settings(deadline=None)
def test_buckets_are_those_of_the_package(rows: list[tuple[Any, float]]) -> None:
    columns = {"t": column([one for one, _ in rows]), "n": np.array([one for _, one in rows])}
    found = bucketed().predict(columns)["probabilities"]
    assert found.tolist() == BUCKETS.apply(columns).tolist()


@cache
def bucketed() -> Any:
    return answering(BUCKETS)


def test_a_moment_that_an_op_makes_is_refused_by_name() -> None:
    made = Transform([ops.aside(ops.impute("n", "mean", name="filled")), ops.date_part("filled", "hour")]).fit(TRAIN)
    with pytest.raises(Conflict, match="reads 'filled', which is made by an op"):
        answering(made)


def test_what_a_bundle_knows_of_a_zone_is_what_this_machine_knows() -> None:
    table = zone_table("Europe/Berlin")
    assert len(table["offsets"]) == len(table["at"]) + 1
    assert table["at"] == sorted(table["at"])
    summer = int(datetime(2013, 3, 31, 1, tzinfo=UTC).timestamp())
    assert table["offsets"][table["at"].index(summer) : table["at"].index(summer) + 2] == [3600, 7200]
    assert zone_table("Asia/Tokyo")["offsets"][-1] == 9 * 3600
