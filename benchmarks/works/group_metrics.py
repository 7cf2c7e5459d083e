"""Metrics of eight groups on a million rows beside bincount written by hand for just these; fairlearn quoted."""

import json
import subprocess
import time

import numpy as np

from modelloop.evaluate.slices import group_metrics

from ..measure import Measured, Work, environ, paired, versions
from ..peers import peer

ROWS, GROUPS = 1_000_000, 8
METRICS = ("accuracy", "precision", "recall", "specificity")
FAIRLEARN = "fairlearn==0.13.0"
DATA = f"""
import numpy as np
random = np.random.default_rng(0)
score = random.random({ROWS})
y = (random.random({ROWS}) < score) * 1.0
groups = random.integers(0, {GROUPS}, {ROWS})
"""
PEER = f"""
import json, time
{DATA}
from fairlearn.metrics import MetricFrame, true_negative_rate
from sklearn.metrics import accuracy_score, precision_score, recall_score
asked = {{"accuracy": accuracy_score, "precision": precision_score, "recall": recall_score,
         "specificity": true_negative_rate}}
decision = (score >= 0.5) * 1.0
spent = []
for _ in range(2):
    before = time.process_time()
    found = MetricFrame(metrics=asked, y_true=y, y_pred=decision, sensitive_features=groups).by_group
    spent.append(time.process_time() - before)
print(json.dumps({{"seconds": min(spent), "accuracy": found["accuracy"].tolist()}}))
"""


def _run() -> Measured:
    names: dict[str, np.ndarray] = {}
    exec(DATA, names)
    y, score, groups = names["y"], names["score"], names["groups"]
    told = group_metrics(y, score, groups, METRICS)
    by_hand = _by_hand(y, score, groups)
    notes: dict[str, float | str] = {"rows": ROWS, "groups": GROUPS}
    for name in METRICS:
        ours = {one.group: one.score.value for one in told[name]}
        np.testing.assert_allclose([ours[str(group)] for group in range(GROUPS)], by_hand[name])
    ours, reference = paired(
        lambda: _spent(lambda: group_metrics(y, score, groups, METRICS)),
        lambda: _spent(lambda: _by_hand(y, score, groups)),
        rounds=9,
    )
    notes |= _fairlearn(by_hand["accuracy"], ours)
    return Measured(ours * 1e3, reference * 1e3, "CPU ms", notes)


def _spent(work: object) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before


def _by_hand(y: np.ndarray, score: np.ndarray, groups: np.ndarray) -> dict[str, np.ndarray]:
    """Check the input, count once, divide: values only, with Wilson's interval as ours have it."""
    assert np.isfinite(y).all()
    assert np.isfinite(score).all()
    assert ((y == 0) | (y == 1)).all()
    cells = np.bincount(groups * 4 + (y == 1) * 2 + (score >= 0.5), minlength=4 * GROUPS).reshape(GROUPS, 4)
    tn, fp, fn, tp = cells.T
    parts = {"accuracy": (tn + tp, cells.sum(axis=1)), "precision": (tp, tp + fp), "recall": (tp, tp + fn),
             "specificity": (tn, tn + fp)}  # fmt: skip
    for hits, trials in parts.values():
        share, z = hits / trials, 1.96
        _ = (share + z * z / (2 * trials) - z * np.sqrt(share * (1 - share) / trials)) / (1 + z * z / trials)
    return {name: hits / trials for name, (hits, trials) in parts.items()}


def _fairlearn(expected: np.ndarray, ours: float) -> dict[str, float | str]:
    """Return fairlearn's time in an environment of its own, where it can be installed."""
    try:
        python = peer("fairlearn", FAIRLEARN, "scikit-learn<1.8", "pandas<3")
        told = subprocess.run([python, "-c", PEER], check=True, capture_output=True, text=True, env=environ())
    except (subprocess.CalledProcessError, OSError) as error:
        return {"fairlearn": f"not run: {type(error).__name__}"}
    found = json.loads(told.stdout)
    np.testing.assert_allclose(found["accuracy"], expected)
    return {
        "fairlearn MetricFrame, CPU ms": round(found["seconds"] * 1e3, 1),
        "of fairlearn's time": round(ours / found["seconds"], 4),
        "fairlearn": FAIRLEARN,
    }


WORK = Work(
    f"metrics of {GROUPS} groups, {ROWS:,} rows",
    f"one bincount written by hand for these four metrics ({versions('numpy')})",
    1.5,
    _run,
)
