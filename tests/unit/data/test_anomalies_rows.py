"""Anomalies of rows: repeats, near repeats, strange ones, and columns that give the label away."""

from __future__ import annotations

import sys
import unicodedata
from collections import Counter
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelloop.data.insight.anomalies import find
from modelloop.data.insight.anomalies.repeats import normal
from modelloop.data.records import Finding
from modelloop.data.settings import AnomalySettings, ContractSettings
from modelloop.ground.core.errors import ExtraMissing

CELLS = st.one_of(st.none(), st.sampled_from(["a", "A", "b", "ä"]))


def found(frame: pl.DataFrame, kind: str, *, key: tuple[str, ...] = (), **settings: Any) -> dict[str, Finding]:
    contract = ContractSettings(columns={}, key=key, anomalies=AnomalySettings(**settings))
    return {one.column: one for one in find(frame, contract, None) if one.kind == kind}


def people(rows: int = 500) -> pl.DataFrame:
    random = np.random.default_rng(1)
    return pl.DataFrame(
        {
            "number": range(rows),
            "street": [f"Main Street {value}" for value in random.integers(0, 10_000, rows)],
            "town": random.choice(["Köln", "Paris", "Oslo"], rows),
            "amount": np.round(random.lognormal(size=rows), 4),
        }
    )


@settings(deadline=None)
@given(st.lists(st.tuples(CELLS, st.one_of(st.none(), st.integers(0, 2)), st.booleans()), min_size=1, max_size=30))
def test_duplicates_are_those_plain_python_counts(rows: list[tuple[str | None, int | None, bool]]) -> None:
    frame = pl.DataFrame(rows, schema={"t": pl.String, "n": pl.Int64, "b": pl.Boolean}, orient="row")
    expected = sum(count - 1 for count in Counter(rows).values())
    seen = found(frame, "duplicates")
    assert (seen[""].rows if seen else 0) == expected


def test_duplicates_are_shown_by_their_rows() -> None:
    frame = pl.concat([people(), people()[10:12], people()[10:11]])
    seen = found(frame, "duplicates")[""]
    assert seen.rows == 3
    assert seen.examples == ("row 11; row 501; row 503", "row 12; row 502")
    assert "3 of 503 rows" in seen.message
    assert not found(frame, "near_duplicates", key=("number",))


def test_rows_equal_but_for_spelling_and_the_key() -> None:
    again = people()[20:23].with_columns(
        pl.col("number") + 10_000, pl.col("street").str.to_uppercase() + " ", pl.col("town").str.replace("ö", "o")
    )
    frame = pl.concat([people(), again])
    seen = found(frame, "near_duplicates", key=("number",))[""]
    assert seen.rows == 3
    assert seen.examples[0] == "number 20; number 10020"
    assert "but for number" in seen.message
    assert not found(frame, "near_duplicates", key=("number",), near_duplicates=False)
    assert found(frame, "near_duplicates")[""].rows == 3  # an id is known by its values


def test_coarse_rows_that_agree_by_chance_are_no_near_duplicates() -> None:
    random = np.random.default_rng(2)
    towns, flags = random.choice(["a", "A", "b"], 500), random.random(500) < 0.5
    frame = pl.DataFrame({"id": range(500), "town": towns, "flag": flags})
    assert not found(frame, "near_duplicates", key=("id",))


@settings(deadline=None)
@given(st.text(max_size=20))
def test_normal_texts(text: str) -> None:
    bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.category(c).startswith("M"))
    expected = "".join(c for c in bare.lower().replace("ß", "ss") if unicodedata.category(c)[0] in "LN")
    answer = pl.DataFrame({"t": [text]}).select(normal(pl.col("t"))).item()
    assert answer == expected or not text.isascii()  # Unicode versions of Python and Polars may differ
    if text.isascii():
        assert answer == "".join(c for c in text.lower() if c.isalnum())


def labelled(rows: int = 3_000) -> pl.DataFrame:
    random = np.random.default_rng(3)
    label = random.random(rows) < 0.2
    return pl.DataFrame(
        {
            "id": range(rows),
            "label": label,
            "useful": label * 1.0 + random.normal(size=rows),
            "noise": random.normal(size=rows),
            "town": random.choice(["a", "b", "c"], rows),
            "copy": label.astype(int),
            "score": np.where(label, 1.0, -1.0) + 0.1 * random.normal(size=rows),
            "far": np.where(label, 9.0 * random.choice([-1, 1], rows), random.normal(size=rows)),
            "reason": np.where(label, random.choice(["late", "lost"], rows), "fine"),
            "refunded_at": pl.Series(np.where(label, random.random(rows), np.nan)).fill_nan(None),
        }
    )


def test_columns_that_give_a_binary_label_away() -> None:
    seen = found(labelled(), "leakage", key=("id",), label="label")
    assert set(seen) == {"copy", "score", "far", "reason", "refunded_at"}
    assert "AUC is 1.000" in seen["score"].message
    assert "Is it known only afterwards?" in seen["copy"].message


def test_columns_that_give_a_class_away() -> None:
    random = np.random.default_rng(4)
    classes = random.choice(["red", "green", "blue"], 2_000)
    code = {"red": 7, "green": 1, "blue": 4}
    frame = pl.DataFrame(
        {
            "colour": classes,
            "code": [code[one] for one in classes],
            "same": classes,
            "noise": random.normal(size=2_000),
            "half": np.where(random.random(2_000) < 0.5, classes, "red"),
        }
    )
    seen = found(frame, "leakage", label="colour")
    assert set(seen) == {"code", "same"}
    assert "they are equal" in seen["same"].message
    assert "100.0% of labels" in seen["code"].message


def test_columns_that_give_a_quantity_away() -> None:
    random = np.random.default_rng(5)
    price = random.lognormal(size=2_000)
    frame = pl.DataFrame({"price": price, "tax": price * 0.19, "rooms": np.round(price + random.normal(size=2_000))})
    seen = found(frame, "leakage", label="price")
    assert set(seen) == {"tax"}
    assert "Spearman 1.000" in seen["tax"].message


def test_a_sample_is_said_to_be_one() -> None:
    random = np.random.default_rng(6)
    label = random.random(50_000) < 0.5
    frame = pl.DataFrame({"label": label, "copy": label, "x": random.normal(size=50_000)})
    assert "they are equal (of 20,000 rows drawn from 50,000)" in found(frame, "leakage", label="label")["copy"].message


def test_few_rows_or_one_class_give_nothing_away() -> None:
    assert not found(labelled(50), "leakage", label="label")
    assert not found(labelled().filter("label"), "leakage", label="label")


def correlated(rows: int = 1_000) -> pl.DataFrame:
    random = np.random.default_rng(7)
    x = random.normal(size=rows)
    near, apart = x + 0.05 * random.normal(size=rows), random.normal(size=rows)
    return pl.DataFrame({"id": range(rows), "x": x, "y": near, "z": apart})


def test_strange_rows_are_found_only_if_asked_for() -> None:
    odd = pl.DataFrame({"id": [5_000, 5_001], "x": [14.0, -15.0], "y": [-14.0, 15.0], "z": [9.0, -9.0]})
    frame = pl.concat([correlated(), odd])
    seen = found(frame, "rows", key=("id",), rows=True, outliers=0)[""]
    assert {example.split(":")[0] for example in seen.examples} >= {"id 5000", "id 5001"}
    assert seen.rows <= 10
    assert found(frame, "rows", key=("id",), rows=True)[""] == seen  # seeded
    assert not found(frame, "rows", key=("id",))
    assert not found(correlated(), "rows", key=("id",), rows=True)


def test_without_scikit_learn_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    with pytest.raises(ExtraMissing, match=r'pip install "modelloop\[ml\]"'):
        found(correlated(), "rows", rows=True)
