from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import lightgbm as lgb
import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LinearRegression

from modelloop.ground.core.errors import InvalidInput
from modelloop.prepare.columns import from_frame
from modelloop.prepare.ops import category, number
from modelloop.prepare.transform import Transform
from modelloop.train.candidate import SAMPLE_ROWS, candidate
from modelloop.train.container import pack, unpack
from modelloop.train.records import Candidate, Study, Trial
from modelloop.train.scorer import Scorer

START = datetime(2013, 1, 1, tzinfo=UTC)
TRANSFORM = Transform([number("distance"), category("carrier")])
STUDY = Study("tpe", "auc", "higher", (Trial(0, {"a": 1}, None, 0.1), Trial(1, {"a": 2}, 0.7, 0.2)), best=1)


@pytest.fixture(scope="module")
def frame():
    random = np.random.default_rng(0)
    rows = 3000
    distance = random.normal(1000, 200, rows)
    carrier = random.choice(["UA", "AA", "DL", None], rows).tolist()
    late = (distance + 300 * (np.array(carrier) == "UA") + random.normal(0, 100, rows)) > 1100
    at = [START + timedelta(minutes=30 * row) for row in range(rows)]
    return pl.DataFrame({"distance": distance, "carrier": carrier, "late": late, "at": at, "note": ["x"] * rows})


def _made(frame, *, holdout=800, **more):
    train, rest = frame.head(2000), frame.tail(holdout)
    fitted = TRANSFORM.fit(train)
    matrix = fitted.apply(from_frame(train, ["distance", "carrier"]))
    model = lgb.LGBMClassifier(n_estimators=20, n_jobs=1, verbose=-1).fit(matrix, train["late"].to_numpy())
    return model, candidate(model, fitted, train=train, holdout=rest, label="late", time="at", **more)


def test_a_candidate_holds_what_is_needed_to_judge_it(frame):
    model, made = _made(frame, study=STUDY)
    assert made.sample.columns == ["distance", "carrier"]
    assert made.sample.height == len(made.expected) == SAMPLE_ROWS
    assert made.rows == 2000
    assert made.baseline == pytest.approx(frame.head(2000)["late"].mean())
    assert (made.trained_from, made.trained_until) == (START, START + timedelta(minutes=30 * 1999))
    assert made.holdout.columns == frame.columns
    assert made.params == {"a": 2}  # of the best trial
    assert made.native_format == "lightgbm-text"
    assert set(made.importance) == set(made.transform.names)
    matrix = made.transform.apply(from_frame(made.sample))
    np.testing.assert_array_equal(made.expected, model.predict_proba(matrix)[:, 1])


def test_the_scorer_answers_as_the_training_library(frame):
    _, made = _made(frame)
    served = Scorer(made.transform, made.onnx)
    columns = from_frame(made.sample)
    assert np.abs(served.score(columns) - made.expected).max() < 1e-6
    one = {name: values[:1] for name, values in columns.items()}
    assert served.score(one)[0] == served.score(columns)[0]
    assert served.score({name: values[:0] for name, values in columns.items()}).shape == (0,)


def test_it_survives_as_bytes_and_equal_candidates_have_equal_bytes(frame):
    _, made = _made(frame, study=STUDY, params={"months": 2, "kind": None})
    data = made.to_bytes()
    again = Candidate.from_bytes(data)
    assert again.to_bytes() == data
    assert again.holdout.equals(made.holdout)
    assert again.holdout.schema == made.holdout.schema
    assert again.sample.equals(made.sample)
    np.testing.assert_array_equal(again.expected, made.expected)
    assert again.transform == made.transform
    plain = ("onnx", "native", "label", "time", "trained_from", "trained_until", "rows", "baseline", "params", "study")
    assert [getattr(again, name) for name in plain] == [getattr(made, name) for name in plain]
    assert replace(made, rows=1).to_bytes() != data


def test_bytes_that_are_no_candidate_are_refused(frame):
    _, made = _made(frame)
    data = made.to_bytes()
    members = unpack(data)
    for broken in (
        b"", b"PK\x03\x04nonsense", data[: len(data) // 2],
        pack({name: value for name, value in members.items() if name != "model.onnx"}),
        pack(members | {"candidate.json": b"{}"}),
        pack(members | {"candidate.json": b'{"format": "modelloop-candidate-9"}'}),
        pack(members | {"candidate.json": b"not json"}),
        pack(members | {"expected.npy": b"\x80\x04pickle?"}),
        pack(members | {"holdout.arrow": b"ARROW?"}),
    ):  # fmt: skip
        with pytest.raises(InvalidInput):
            Candidate.from_bytes(broken)


def test_a_small_holdout_is_filled_up_with_the_last_training_rows(frame):
    _, made = _made(frame, holdout=100)
    assert made.sample.height == SAMPLE_ROWS
    assert made.sample.head(100).equals(frame.tail(100).select("distance", "carrier"))
    assert made.sample.tail(1).equals(frame.head(2000).tail(1).select("distance", "carrier"))


def test_a_linear_model_of_scikit_learn_goes_the_same_way(frame):
    train, holdout = frame.head(2000), frame.tail(600)
    fitted = Transform([number("distance")]).fit(train)
    model = LinearRegression().fit(fitted.apply(from_frame(train, ["distance"])), train["distance"].to_numpy() * 3)
    made = candidate(model, fitted, train=train, holdout=holdout, label="distance", time="at")
    assert (made.native[:2], made.native_format) == (b"PK", "skops")
    np.testing.assert_allclose(Scorer(fitted, made.onnx).score(from_frame(made.sample)), made.expected, rtol=1e-5)
    assert Candidate.from_bytes(made.to_bytes()).expected.tolist() == made.expected.tolist()


def test_mistakes_are_told(frame):
    train = frame.head(500)
    fitted = TRANSFORM.fit(train)
    matrix = fitted.apply(from_frame(train, ["distance", "carrier"]))
    model = lgb.LGBMClassifier(n_estimators=2, n_jobs=1, verbose=-1).fit(matrix, train["late"].to_numpy())
    good = {"train": train, "holdout": frame.tail(500), "label": "late", "time": "at"}
    for wrong, told in (
        ({"label": "tardy"}, "no column 'tardy'"),
        ({"holdout": frame.head(0)}, "no rows"),
        ({"holdout": frame.drop("carrier")}, "`holdout` has no column 'carrier'"),
        ({"time": "note"}, "not date and time"),
        ({"train": train.with_columns(pl.lit(None).alias("late"))}, "500 rows without 'late'"),
    ):
        with pytest.raises(InvalidInput, match=told):
            candidate(model, fitted, **(good | wrong))
    with pytest.raises(InvalidInput, match="LightGBM, XGBoost, scikit-learn and torch"):
        candidate(object(), fitted, **good)
