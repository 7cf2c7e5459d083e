"""Hyper-parameters by their gradients: a problem goes in, the parameters with the least validation loss come out.

from modelloop.train.gradients import descend, per_feature, ridge
"""

from .adapters.torch import torch_problem
from .descent import Descent, descend
from .estimate import Estimate
from .linear import Coefficients, Linear, logistic, ridge
from .nested import Nested, mean_of, nested
from .problem import Differentiable, per_feature

__all__ = [
    "Coefficients",
    "Descent",
    "Differentiable",
    "Estimate",
    "Linear",
    "Nested",
    "descend",
    "logistic",
    "mean_of",
    "nested",
    "per_feature",
    "ridge",
    "torch_problem",
]
