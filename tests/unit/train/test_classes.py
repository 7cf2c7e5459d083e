"""Models of several classes: their probabilities as ONNX equal their library's, and their labels keep their names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import lightgbm as lgb
import numpy as np
import polars as pl
import pytest
import xgboost as xgb
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from modelloop.ground.core.errors import InvalidInput
from modelloop.prepare.columns import from_frame
from modelloop.prepare.ops import number
from modelloop.prepare.transform import Transform
from modelloop.train.candidate import candidate
from modelloop.train.records import Candidate
from modelloop.train.replies import class_places
from modelloop.train.scorer import Scorer

CHANCE = np.random.default_rng(3)
ROWS = 400
X = CHANCE.normal(size=(ROWS, 3)).astype(np.float32)
X[::9, 2] = np.nan
Y = np.digitize(X[:, 0] + X[:, 1] / 2, [-0.8, 0.1, 0.9])
START = datetime(2026, 1, 1, tzinfo=UTC)
FRAME = pl.DataFrame(
    {name: X[:, at].astype(np.float64) for at, name in enumerate("abc")}
    | {"kind": [f"k{place}" for place in Y], "place": Y, "at": [START + timedelta(hours=n) for n in range(ROWS)]}
).with_columns(pl.col("c").fill_nan(0.5))
FITTED = Transform([number(name) for name in "abc"]).fit(FRAME)
MATRIX = FITTED.apply(from_frame(FRAME, "abc"))
MODELS: dict[str, Any] = {
    "lightgbm": lambda y: lgb.LGBMClassifier(n_estimators=60, verbose=-1).fit(MATRIX, y),
    "xgboost": lambda y: xgb.XGBClassifier(n_estimators=20).fit(MATRIX, y),
    "logistic": lambda y: LogisticRegression().fit(MATRIX, y),
    "forest": lambda y: RandomForestClassifier(10, random_state=0).fit(MATRIX, y),
    "pipeline": lambda y: make_pipeline(StandardScaler(), GradientBoostingClassifier(n_estimators=5)).fit(MATRIX, y),
    "booster": lambda y: lgb.train(
        {"objective": "multiclass", "num_class": 4, "verbose": -1}, lgb.Dataset(MATRIX, y), num_boost_round=5
    ),
}


@pytest.mark.parametrize("name", list(MODELS))
def test_probabilities_are_the_librarys(name: str) -> None:
    model = MODELS[name](Y)
    made = candidate(model, FITTED, train=FRAME[:300], holdout=FRAME[300:], label="place", time="at")
    made = Candidate.from_bytes(made.to_bytes())
    assert made.labels == (0, 1, 2, 3)
    scorer = Scorer(made.transform, made.onnx, made.labels)
    found = scorer.outputs(from_frame(made.sample, "abc"))
    np.testing.assert_allclose(found["probabilities"], made.expected, atol=1e-5)
    assert found["label"].tolist() == made.expected.argmax(axis=1).tolist()
    assert (found["probabilities"].dtype, found["label"].dtype) == (np.float32, np.int64)
    assert list(found) == ["probabilities", "label"]
    assert isinstance(made.baseline, tuple)
    assert sum(made.baseline) == pytest.approx(1)
    assert scorer.outputs({name: np.empty(0) for name in "abc"})["probabilities"].shape == (0, 4)


def test_names_are_the_models_or_those_given() -> None:
    own = candidate(
        MODELS["logistic"](FRAME["kind"].to_numpy()), FITTED, train=FRAME, holdout=FRAME, label="kind", time="at"
    )
    assert own.labels == ("k0", "k1", "k2", "k3")
    assert own.truth.tolist() == Y.tolist()
    shares: dict[str, Any] = {"train": FRAME, "holdout": FRAME, "label": "place", "time": "at"}
    named = candidate(MODELS["xgboost"](Y), FITTED, labels=("no", "few", "some", "all"), **shares)
    assert named.labels == ("no", "few", "some", "all")
    assert named.truth.tolist() == Y.tolist()
    for wrong in (("a", "b"), ("a", "b", "c", "c"), ("a", "b", "c", 4), (0.5, 1.5, 2.5, 3.5)):
        with pytest.raises(InvalidInput, match="Name each class once"):
            candidate(MODELS["logistic"](Y), FITTED, labels=wrong, **shares)
    two = LogisticRegression().fit(MATRIX, Y > 1)
    with pytest.raises(InvalidInput, match="the model's task is binary"):
        candidate(two, FITTED, labels=("a", "b"), **shares)
    with pytest.raises(InvalidInput, match="no `label_names`"):
        candidate(MODELS["logistic"](Y), FITTED, label_names=("a",), **shares)


def test_labels_of_no_class_are_told() -> None:
    assert class_places(["b", "a", 1], ("a", "b")).tolist() == [1, 0, 1]
    assert class_places([20, 10.0], (10, 20)).tolist() == [1, 0]
    for wrong in ("c", None, 2, -1, 0.5, float("nan")):
        with pytest.raises(InvalidInput, match="of no class"):
            class_places(["a", wrong], ("a", "b"))


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (lambda: lgb.LGBMClassifier(n_estimators=2, objective="multiclassova", verbose=-1), "multiclassova"),
        (
            lambda: lgb.LGBMClassifier(n_estimators=2, boosting_type="rf", bagging_freq=1, subsample=0.5, verbose=-1),
            "forest",
        ),
    ],
)
def test_what_has_no_honest_form_is_refused(model: Any, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        candidate(model().fit(MATRIX, Y), FITTED, train=FRAME, holdout=FRAME, label="place", time="at")


def test_softmax_of_xgboost_answers_no_probabilities() -> None:
    made = xgb.train({"objective": "multi:softmax", "num_class": 4}, xgb.DMatrix(MATRIX, Y), 3)
    with pytest.raises(InvalidInput, match="multi:softprob"):
        candidate(made, FITTED, train=FRAME, holdout=FRAME, label="place", time="at")
