"""Anomalies of columns: what is unusual is found and counted as plain Python counts it; what is usual is not."""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelloop.data.insight.anomalies import find
from modelloop.data.insight.profile import Profile, profile
from modelloop.data.records import Finding
from modelloop.data.settings import AnomalySettings, ColumnSettings, ColumnType, ContractSettings, Personal
from modelloop.ground.core.errors import ContractInvalid

PLAIN = ContractSettings(columns={}, anomalies=AnomalySettings())


def contract(*, key: tuple[str, ...] = (), **settings: Any) -> ContractSettings:
    return ContractSettings(columns={}, key=key, anomalies=AnomalySettings(**settings))


def found(
    frame: pl.DataFrame, kind: str, *, reference: pl.DataFrame | None = None, under: ContractSettings = PLAIN
) -> dict[str, Finding]:
    before: Profile | None = profile(reference) if reference is not None else None
    return {one.column: one for one in find(frame, under, before) if one.kind == kind}


def ordinary(seed: int, rows: int = 2_000) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "id": np.arange(rows) + seed * rows,
            "distance": random.lognormal(6, 0.8, rows),
            "temperature": random.normal(15, 8, rows),
            "count": random.poisson(3, rows),
            "price": random.integers(1, 5_000, rows).astype(float),
            "city": random.choice(["Rome", "Paris", "Oslo"], rows),
            "late": random.random(rows) < 0.3,
        }
    )


def test_an_ordinary_arrival_has_nothing_unusual() -> None:
    for seed in range(2, 8):
        assert find(ordinary(seed), contract(key=("id",)), profile(ordinary(1))) == ()
        assert find(ordinary(seed), PLAIN, None) == ()


def test_an_empty_arrival() -> None:
    assert find(ordinary(1).head(0), PLAIN, profile(ordinary(1))) == ()
    assert find(ordinary(1).head(1), PLAIN, profile(ordinary(1))) == ()


def test_what_is_ignored_is_not_looked_at() -> None:
    frame = ordinary(2).with_columns(temperature=pl.lit(7.0), mail=pl.lit("anna@example.org"))
    kinds = {one.column for one in find(frame, PLAIN, None)}
    assert kinds == {"temperature", "mail"}
    assert find(frame, contract(ignore=("temperature", "mail")), None) == ()


def test_missing_values_that_jumped() -> None:
    frame = ordinary(2).with_columns(
        temperature=pl.when(pl.int_range(pl.len()) % 10 > 0).then("temperature"),
        city=pl.lit(None, dtype=pl.String),
        price=pl.when(pl.int_range(pl.len()) % 200 > 0).then("price"),
    )
    seen = found(frame, "missing", reference=ordinary(1))
    assert set(seen) == {"temperature", "city"}
    assert seen["temperature"].rows == 200
    assert "10.0% of 2,000 values are missing, 0.0% in the reference" in seen["temperature"].message
    assert seen["city"].rows == 2_000
    assert "all 2,000 are missing" in seen["city"].message
    assert not found(frame, "missing", reference=frame)
    assert set(found(frame, "missing")) == {"city"}


def test_values_that_stand_for_missing_ones() -> None:
    frame = ordinary(2).with_columns(
        city=pl.when(pl.int_range(pl.len()) % 10 == 0).then(pl.lit("N/A")).otherwise("city"),
        temperature=pl.when(pl.int_range(pl.len()) % 20 == 0).then(-999.0).otherwise("temperature"),
        price=pl.when(pl.int_range(pl.len()) == 5).then(999.0).otherwise("price"),
    )
    seen = found(frame, "missing")
    assert {name: one.rows for name, one in seen.items()} == {"city": 200, "temperature": 100}
    assert seen["city"].examples == ("'N/A'",)
    assert "-999" in seen["temperature"].message
    columns = {"city": ColumnSettings(ColumnType.STRING, one_of=("Rome", "Paris", "Oslo", "N/A"))}
    expected = ContractSettings(columns=columns, anomalies=AnomalySettings())
    assert set(found(frame, "missing", under=expected)) == {"temperature"}
    assert not found(frame, "missing", reference=frame)
    assert set(found(frame, "missing", reference=ordinary(1))) == {"city", "temperature"}


@settings(deadline=None)
@given(
    st.lists(st.integers(-50, 50), min_size=20, max_size=60), st.lists(st.integers(-5_000, 5_000), max_size=4),
    st.sampled_from([3.0, 5.0, 8.0]),
)  # fmt: skip
def test_outliers_are_those_plain_python_finds(values: list[int], far: list[int], limit: float) -> None:
    numbers = [float(value) for value in values + far]
    center = statistics.median(numbers)
    mad = statistics.median(abs(value - center) for value in numbers)
    first, third = np.quantile(numbers, [0.25, 0.75])
    low, high = first - 3 * (third - first), third + 3 * (third - first)
    sigma = 1.482602218505602 * mad
    expected = [v for v in numbers if abs(v - center) > limit * sigma and not low <= v <= high]
    frame = pl.DataFrame({"x": [*numbers, -1.0, -2.0, -3.0][: len(numbers)]})
    if mad == 0 or min(numbers) >= 0 or len(set(numbers)) < 3:
        return
    seen = found(frame, "outliers", under=contract(outliers=limit))
    assert (seen["x"].rows if seen else 0) == len(expected)


def test_outliers_are_named_the_farthest_first() -> None:
    temperature = ordinary(2)["temperature"].to_list()
    temperature[7], temperature[11] = 400.0, -900.0
    frame = ordinary(2).with_columns(temperature=pl.Series(temperature))
    seen = found(frame, "outliers", under=contract(key=("id",)))["temperature"]
    assert seen.rows == 2
    assert seen.examples == ("id 4011: -900.0", "id 4007: 400.0")
    assert "from -900 to 400" in seen.message
    assert found(frame.drop("id"), "outliers")["temperature"].examples == ("row 12: -900.0", "row 8: 400.0")
    assert not found(frame, "outliers", under=contract(outliers=0))


def test_a_long_tail_is_no_outlier_but_a_thousandfold_value_is() -> None:
    distance = ordinary(2)["distance"].to_list()
    distance[3] *= 1e5
    seen = found(ordinary(2).with_columns(distance=pl.Series(distance)), "outliers")
    assert {name: one.rows for name, one in seen.items()} == {"distance": 1}
    assert "logarithmic" in seen["distance"].message


def test_where_half_of_the_values_are_zero_the_others_are_judged() -> None:
    random = np.random.default_rng(3)
    rain = np.where(random.random(3_000) < 0.8, 0.0, random.lognormal(0, 0.5, 3_000))
    assert not found(pl.DataFrame({"rain": rain}), "outliers")
    rain[5] = 1e6
    assert found(pl.DataFrame({"rain": rain}), "outliers")["rain"].rows == 1


UNITS = [
    ("distance", 1.609344, 0.0, "miles and kilometres"),
    ("distance", 1 / 1.609344, 0.0, "divided by 1.60934"),
    ("distance", 1_000.0, 0.0, "1,000 times as large"),
    ("distance", 0.01, 0.0, "100 times as small"),
    ("distance", 0.3048, 0.0, "feet and metres"),
    ("distance", 2.54, 0.0, "inches and centimetres"),
    ("distance", 60.0, 0.0, "minutes"),
    ("temperature", 1.8, 32.0, "Celsius to Fahrenheit"),
    ("temperature", 1.0, 273.15, "Celsius to Kelvin"),
    ("price", 100.0, 0.0, "100 times as large"),
    ("price", -1.0, 0.0, "sign"),
]


@pytest.mark.parametrize(("name", "factor", "offset", "words"), UNITS)
def test_another_unit_is_named(name: str, factor: float, offset: float, words: str) -> None:
    frame = ordinary(2).with_columns(pl.col(name) * factor + offset)
    seen = found(frame, "unit", reference=ordinary(1))
    assert set(seen) == {name}
    assert seen[name].rows == 2_000
    assert words in seen[name].message


def test_drift_is_no_change_of_units() -> None:
    random = np.random.default_rng(4)
    frame = ordinary(2).with_columns(
        distance=pl.col("distance") * 1.3,
        temperature=pl.Series(random.normal(40, 30, 2_000)),
        price=pl.Series(random.exponential(5_000, 2_000)),
    )
    assert not found(frame, "unit", reference=ordinary(1))


def test_a_column_with_one_value() -> None:
    frame = ordinary(2).with_columns(city=pl.lit("Rome"), count=pl.lit(4))
    seen = found(frame, "constant", reference=ordinary(1))
    assert {name: one.rows for name, one in seen.items()} == {"city": 2_000, "count": 2_000}
    assert seen["city"].examples == ("Rome",)
    assert "the reference has 3 different ones" in seen["city"].message
    assert set(found(frame, "constant")) == {"city", "count"}
    assert not found(frame, "constant", reference=frame)


def test_categories_that_explode() -> None:
    frame = ordinary(2).with_columns(city=pl.format("town {}", pl.int_range(pl.len()) % 300))
    seen = found(frame, "categories", reference=ordinary(1))["city"]
    assert seen.rows == 2_000
    assert "300 different values, 3 in the reference" in seen.message
    assert len(seen.examples) == 5
    each = ordinary(2).with_columns(city=pl.format("note {}", pl.int_range(pl.len())))
    assert "2,000 different values" in found(each, "categories", reference=ordinary(1))["city"].message
    one_more = ordinary(2).with_columns(city=pl.when(pl.col("id") % 9 == 0).then(pl.lit("Bonn")).otherwise("city"))
    assert not found(one_more, "categories", reference=ordinary(1))


def test_examples_of_personal_columns_are_masked() -> None:
    mails = [f"user{row % 100}@example.org" for row in range(1_000)]
    frame = pl.DataFrame({"mail": mails, "amount": [float(row % 50) for row in range(999)] + [1e6]})
    findings = find(frame, contract(key=("mail",)), None)
    assert {"outliers", "personal"} <= {one.kind for one in findings}
    assert not any("user" in text for one in findings for text in (*one.examples, one.message))


def test_personal_data_is_among_the_findings_with_what_was_done() -> None:
    frame = ordinary(2).with_columns(contact=pl.lit("anna@example.org"))
    columns = {"contact": ColumnSettings(ColumnType.STRING, personal=Personal.HASH)}
    under = ContractSettings(columns=columns, anomalies=AnomalySettings())
    assert found(frame, "personal", under=under)["contact"].done == "hashed"


def test_a_label_that_is_no_column_is_a_mistake_of_the_contract() -> None:
    with pytest.raises(ContractInvalid, match="label 'outcome', which is not a column"):
        find(ordinary(1), contract(label="outcome"), None)
