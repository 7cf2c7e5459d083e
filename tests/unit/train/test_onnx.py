"""What is served answers as the training library does."""

from __future__ import annotations

import lightgbm as lgb
import numpy as np
import pytest
from onnx import TensorProto, helper
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from modelloop.ground.core.errors import InvalidInput
from modelloop.train.adapters import lightgbm, sklearn
from modelloop.train.scorer import Scorer

ROWS = 4000
QUIET = {"n_jobs": 1, "verbose": -1, "random_state": 0}


@pytest.fixture(scope="module")
def data():
    """Hours, distances, delays, carriers, and a column with gaps: what flights look like."""
    random = np.random.default_rng(0)
    columns = [
        random.integers(0, 24, ROWS),
        random.normal(1000, 300, ROWS).round(),
        random.exponential(0.3, ROWS),
        random.integers(-1, 16, ROWS),
        np.where(random.random(ROWS) < 0.1, np.nan, random.normal(size=ROWS)),
    ]
    matrix = np.column_stack(columns).astype(np.float32)
    signal = 0.1 * (matrix[:, 0] - 12) + 0.002 * (matrix[:, 1] - 1000) + matrix[:, 2] + np.nan_to_num(matrix[:, 4])
    late = (random.random(ROWS) < 1 / (1 + np.exp(-signal))).astype(int)
    return matrix, late, signal.astype(np.float64)


def _agree(adapter, model, matrix):
    kind = adapter.task(model)
    data = adapter.to_onnx(model, matrix.shape[1], kind)
    found, expected = Scorer(None, data).answer(matrix), adapter.predict(model, matrix)
    assert data == adapter.to_onnx(model, matrix.shape[1], kind)  # the same model, the same bytes
    assert found.dtype == np.float64
    assert found.shape == (len(matrix),)
    assert len(np.unique(expected)) > 1
    return found, expected


def _fit_binary(matrix, late, **params):
    known = {"objective": "binary", "num_threads": 1, "verbose": -1, "seed": 0} | params
    return lgb.train(known, lgb.Dataset(matrix, late, params={"verbose": -1}), 40)


BINARY = {
    "classifier": lambda x, y: lgb.LGBMClassifier(n_estimators=120, num_leaves=63, **QUIET).fit(x, y),
    "booster": _fit_binary,
    "categorical": lambda x, y: lgb.LGBMClassifier(n_estimators=40, **QUIET).fit(x, y, categorical_feature=[3]),
    "forest": lambda x, y: _fit_binary(x, y, boosting="rf", bagging_freq=1, bagging_fraction=0.5),
    "steeper sigmoid": lambda x, y: _fit_binary(x, y, sigmoid=0.5),
    "cross entropy": lambda x, y: _fit_binary(x, y, objective="cross_entropy"),
}


@pytest.mark.parametrize("name", BINARY)
def test_lightgbm_probabilities_agree(name, data):
    matrix, late, _ = data
    model = BINARY[name](matrix, late)
    assert lightgbm.knows(model)
    assert lightgbm.task(model) == "binary"
    found, expected = _agree(lightgbm, model, matrix)
    assert np.abs(found - expected).max() < 1e-6


REGRESSION = {
    "l2": {"n_estimators": 130},
    "few trees": {"n_estimators": 7},
    "stops splitting": {"n_estimators": 80, "min_split_gain": 2e6},
    "poisson": {"objective": "poisson", "n_estimators": 40},
    "square root": {"reg_sqrt": True, "n_estimators": 40},
    "forest": {"boosting_type": "rf", "bagging_freq": 1, "bagging_fraction": 0.5, "n_estimators": 20},
}


@pytest.mark.parametrize("name", REGRESSION)
def test_lightgbm_values_agree(name, data):
    matrix, _, signal = data
    target = 500 + 100 * signal - 100 * signal.min()
    model = lgb.LGBMRegressor(**REGRESSION[name], **QUIET).fit(matrix, target)
    assert lightgbm.task(model) == "regression"
    found, expected = _agree(lightgbm, model, matrix)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_values_missing_where_none_were_in_training_agree(data):
    matrix, late, _ = data
    model = BINARY["classifier"](matrix, late)
    holes = np.where(np.random.default_rng(1).random(matrix.shape) < 0.3, np.nan, matrix).astype(np.float32)
    scorer = Scorer(None, lightgbm.to_onnx(model, 5, "binary"))
    assert np.abs(scorer.answer(holes) - lightgbm.predict(model, holes)).max() < 1e-6


def test_rows_between_two_neighbouring_singles_take_the_same_branch():
    # Two neighbours in single precision; their double midpoint is LightGBM's threshold and rounds to the upper one
    low = np.float32(1.0000001)
    high = np.nextafter(low, np.float32(2))
    matrix = np.repeat([low, high], 100).reshape(-1, 1).astype(np.float32)
    label = np.repeat([0, 1], 100)
    model = lgb.LGBMRegressor(n_estimators=3, min_child_samples=1, **QUIET).fit(matrix, label)
    expected = lightgbm.predict(model, matrix)
    assert expected[0] < expected[-1]
    found = Scorer(None, lightgbm.to_onnx(model, 1, "regression")).answer(matrix)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_early_stopping_serves_the_best_iteration(data):
    matrix, late, _ = data
    model = _fit_binary(matrix, late)
    model.best_iteration = 10  # what early stopping sets
    assert model.num_trees() == 40
    found, expected = _agree(lightgbm, model, matrix)
    assert np.abs(found - expected).max() < 1e-6
    np.testing.assert_array_equal(expected, model.predict(matrix))


def test_native_text_loads_again_and_importance_sums_to_one(data):
    matrix, late, _ = data
    model = BINARY["classifier"](matrix, late)
    again = lgb.Booster(model_str=lightgbm.native(model).decode())
    np.testing.assert_allclose(again.predict(matrix), lightgbm.predict(model, matrix))
    shares = lightgbm.importance(model, ("hour", "distance", "delay", "carrier", "gaps"))
    assert sum(shares.values()) == pytest.approx(1)
    assert min(shares, key=lambda name: shares[name]) == "carrier"


def test_what_cannot_be_served_is_refused(data):
    matrix, late, _ = data
    several = lgb.LGBMClassifier(n_estimators=2, objective="multiclassova", **QUIET)
    with pytest.raises(InvalidInput, match="multiclassova"):
        lightgbm.task(several.fit(matrix, late + (matrix[:, 0] > 12)))
    with pytest.raises(InvalidInput, match="5 features, the transform makes 4"):
        lightgbm.to_onnx(BINARY["booster"](matrix, late), 4, "binary")


SKLEARN = {
    "logistic": make_pipeline(StandardScaler(), LogisticRegression()),
    "boosting": HistGradientBoostingClassifier(max_iter=20),
    "ridge": Ridge(),
    "forest": RandomForestRegressor(10, random_state=0),
}


@pytest.mark.parametrize("name", SKLEARN)
def test_sklearn_answers_agree(name, data):
    matrix, late, signal = data
    matrix = np.nan_to_num(matrix)
    model = SKLEARN[name]
    model.fit(matrix, late if name in {"logistic", "boosting"} else signal)
    assert sklearn.knows(model)
    assert not lightgbm.knows(model)
    found, expected = _agree(sklearn, model, matrix)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_sklearn_importance_is_told_where_it_means_something(data):
    matrix, late, signal = data
    matrix, names = np.nan_to_num(matrix), ("hour", "distance", "delay", "carrier", "gaps")
    scaled = sklearn.importance(SKLEARN["logistic"].fit(matrix, late), names)
    assert sum(scaled.values()) == pytest.approx(1)
    assert sklearn.importance(SKLEARN["ridge"].fit(matrix, signal), names) == {}  # weights in different units


def test_a_graph_that_is_not_one_in_one_out_is_refused():
    for data in (b"certainly not a model", b""):
        with pytest.raises(InvalidInput, match="not an ONNX model"):
            Scorer(None, data)
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Identity", ["features"], ["one"]), helper.make_node("Abs", ["features"], ["two"])],
        "two answers",
        [value("features", TensorProto.FLOAT, [None, 2])],
        [value(name, TensorProto.FLOAT, [None, 2]) for name in ("one", "two")],
    )
    two = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    with pytest.raises(InvalidInput, match=r"outputs \['one', 'two'\]"):
        Scorer(None, two.SerializeToString())
