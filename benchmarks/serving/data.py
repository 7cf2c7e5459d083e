"""The same two models for every server: 30 numbers in, a probability out. Needs scikit-learn and numpy only."""

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

COLUMNS = 30
TREES = 200


def rows(count, seed=0):
    """Return `count` rows of 30 numbers."""
    return np.random.default_rng(seed).normal(size=(count, COLUMNS)).astype(np.float32)


def fitted(kind):
    """Return the model `linear` or `trees`, fitted on the same rows everywhere."""
    x = rows(4000, seed=1)
    y = (x[:, 0] + x[:, 1] * x[:, 2] + np.random.default_rng(2).normal(size=len(x)) > 0).astype(int)
    if kind == "linear":
        return make_pipeline(StandardScaler(), LogisticRegression()).fit(x, y)
    trees = HistGradientBoostingClassifier(max_iter=TREES, early_stopping=False, random_state=0)
    return trees.fit(x, y)
