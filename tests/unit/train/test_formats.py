"""Candidates of every library: ONNX that answers alike, and a native format that holds no code."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import polars as pl
import pytest
import safetensors
import safetensors.torch
import skops.io
import torch
import xgboost
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from modelloop.prepare.columns import from_frame
from modelloop.prepare.ops import number
from modelloop.prepare.transform import Transform
from modelloop.train.adapters.sklearn import steady
from modelloop.train.candidate import candidate
from modelloop.train.scorer import Scorer

RNG = np.random.default_rng(0)
FRAME = pl.DataFrame(
    {
        "a": RNG.normal(size=300),
        "b": RNG.normal(size=300),
        "late": (RNG.normal(size=300) > 0).astype(int),
        "at": pl.datetime_range(
            pl.datetime(2013, 1, 1, time_zone="UTC"), pl.datetime(2013, 1, 13, time_zone="UTC"), "1h", eager=True
        )[:289].extend(
            pl.datetime_range(
                pl.datetime(2013, 2, 1, time_zone="UTC"), pl.datetime(2013, 2, 1, 10, time_zone="UTC"), "1h", eager=True
            )
        ),
    }
)


def net(last: Any) -> Any:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1), *last)


MODELS: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "forest": (lambda x, y: RandomForestClassifier(7, max_depth=3, random_state=0).fit(x, y), "skops"),
    "ridge": (lambda x, y: make_pipeline(StandardScaler(), Ridge()).fit(x, y), "skops"),
    "xgb": (lambda x, y: xgboost.XGBClassifier(n_estimators=5).fit(x, y), "xgboost-json"),
    "xgb-booster": (
        lambda x, y: xgboost.train({"objective": "reg:squarederror"}, xgboost.DMatrix(x, y), 5),
        "xgboost-json",
    ),
    "torch-binary": (lambda *_: net([torch.nn.Sigmoid()]), "safetensors"),
    "torch-value": (lambda *_: net([]), "safetensors"),
}


@pytest.mark.parametrize("name", MODELS)
def test_it_answers_alike_and_is_kept_without_code(name: str) -> None:
    fit, form = MODELS[name]
    transform = Transform([number("a"), number("b")]).fit(FRAME)
    matrix = transform.apply(from_frame(FRAME, ["a", "b"]))
    model = fit(matrix, FRAME["late"].to_numpy())
    made = candidate(model, transform, train=FRAME, holdout=FRAME, label="late", time="at")
    found = Scorer(made.transform, made.onnx).score(from_frame(made.sample, ["a", "b"]))
    np.testing.assert_allclose(found, made.expected, atol=1e-5)
    assert made.native_format == form
    again = candidate(model, transform, train=FRAME, holdout=FRAME, label="late", time="at")
    assert again.to_bytes() == made.to_bytes(), "equal models give equal bytes"


def test_a_steady_skops_file_reads_back(tmp_path: Any) -> None:
    x, y = RNG.normal(size=(100, 3)), RNG.integers(0, 2, 100)
    model = make_pipeline(StandardScaler(), RandomForestClassifier(5, random_state=0)).fit(x, y)
    data = steady(skops.io.dumps(model))
    assert zipfile.ZipFile(BytesIO(data)).testzip() is None
    back = skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))
    np.testing.assert_array_equal(back.predict_proba(x), model.predict_proba(x))


def test_weights_of_torch_read_back_beside_their_architecture() -> None:
    transform = Transform([number("a"), number("b")]).fit(FRAME)
    model = net([])
    made = candidate(model, transform, train=FRAME, holdout=FRAME, label="late", time="at")
    weights = safetensors.torch.load(made.native)
    assert {name: value.tolist() for name, value in weights.items()} == {
        name: value.tolist() for name, value in model.state_dict().items()
    }
    assert b"Linear(in_features=2" in made.native[:2000]
