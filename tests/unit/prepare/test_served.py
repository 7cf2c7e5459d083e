"""The same transform behind a model, in a package, and in the gateway: a request gets what training computed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression

from gateway_parts import ONE, answerer, arm, ask, told
from modelloop.deploy.records import Route
from modelloop.ground.store.blobs import Blobs
from modelloop.prepare.columns import from_frame
from modelloop.prepare.ops import (
    aside,
    bins,
    category,
    date_part,
    elapsed,
    hashed,
    impute,
    product,
    ratio,
    scale,
    sklearn,
    target,
    text,
)
from modelloop.prepare.records import Columns
from modelloop.prepare.transform import Transform
from modelloop.register.package import load
from modelloop.train.candidate import candidate
from packages import put_package

START = datetime(2013, 1, 1, tzinfo=UTC)
CHANCE = np.random.default_rng(2)
ROWS = pl.DataFrame(
    {
        "at": [START + timedelta(hours=int(n)) for n in range(300)],
        "built": [None if n % 9 == 0 else START.replace(year=1990 + n % 20).date() for n in range(300)],
        "city": [[" Köln", "KOLN", "Bonn ", None][n % 4] for n in range(300)],
        "a": [None if n % 5 == 0 else float(n % 13) for n in range(300)],
        "n": [n % 7 for n in range(300)],
        "vip": [n % 3 == 0 for n in range(300)],
        "late": CHANCE.integers(0, 2, 300).astype(float),
    }
)
OPS = [
    date_part("at", "hour", "Europe/Berlin"),
    date_part("at", "weekday"),
    aside(elapsed("at", "built", name="age")),
    impute("age", "mean", name="age_known"),
    text("city", ["trim", "casefold", "no_accents"], name="town"),
    category("town"),
    hashed("city", 32),
    target("town", "late"),
    impute("a", "median", by="town", name="a_known"),
    scale("a_known"),
    bins("a_known", 4),
    aside(ratio("n", "a_known", name="share")),
    product("n", "vip"),
    aside(impute("share", "mean", name="share_known")),
    sklearn(PCA(2), ["a_known", "n", "share_known"], name="pca"),
]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Any:
    train, holdout = ROWS[:200], ROWS[200:]
    fitted, matrix = Transform(OPS).fit_apply(train.lazy())
    model = LogisticRegression(max_iter=3000).fit(matrix, train["late"].to_numpy())
    made = candidate(model, fitted, train=train, holdout=holdout, label="late", time="at")
    folder = tmp_path_factory.mktemp("blobs")
    blobs = Blobs(f"file://{folder}")
    return fitted, load(blobs, put_package(blobs, made))


def test_the_package_answers_its_sample_as_training_did(served: Any) -> None:
    fitted, package = served
    assert package.scorer.transform == fitted
    assert package.golden().beyond == 0
    assert fitted.moments == ("at", "built")
    assert {one.name: str(one.datatype) for one in package.signature.inputs} == {
        "at": "BYTES",
        "built": "BYTES",
        "city": "BYTES",
        "a": "FP64",
        "n": "INT64",
        "vip": "BOOL",
    }


def test_the_gateway_answers_each_row_as_the_whole_frame(served: Any) -> None:
    fitted, package = served
    columns: Columns = from_frame(ROWS, [one.name for one in fitted.inputs])
    whole = package.scorer.score(columns)
    gateway = answerer(Route("late", ONE), arm(ONE, package.scorer, package.signature.inputs))
    for at in range(0, 300, 23):
        inputs = [
            {"name": one.name, "datatype": str(one.datatype), "shape": [1], "data": [_sent(columns[one.name][at])]}
            for one in fitted.inputs
        ]
        response = told(ask(gateway, {"inputs": inputs}))
        assert np.float64(response["outputs"][0]["data"][0]) == pytest.approx(whole[at], abs=1e-7)


def test_text_that_is_no_time_is_the_callers_mistake(served: Any) -> None:
    fitted, package = served
    columns = from_frame(ROWS[1:2], [one.name for one in fitted.inputs])
    gateway = answerer(Route("late", ONE), arm(ONE, package.scorer, package.signature.inputs))
    inputs = [
        {"name": one.name, "datatype": str(one.datatype), "shape": [1], "data": [_sent(columns[one.name][0])]}
        for one in fitted.inputs
    ]
    inputs[0]["data"] = ["tomorrow"]
    response = ask(gateway, {"inputs": inputs})
    assert 400 <= response.status < 500
    assert "tomorrow" in told(response)["error"]


def _sent(value: Any) -> Any:
    plain = value.item() if isinstance(value, np.generic) else value
    return None if plain != plain else plain  # noqa: PLR0124 - NaN is sent as null
