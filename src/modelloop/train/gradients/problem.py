"""What can be searched by its gradient, and how vectors of hyper-parameters are named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar, runtime_checkable

from ...ground.core.errors import InvalidInput
from ...ground.core.later import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

Floats: TypeAlias = "npt.NDArray[np.float64]"
D = TypeVar("D")


@runtime_checkable
class Differentiable(Protocol):
    """A validation loss (lower is better) that knows how it changes with each of its hyper-parameters."""

    @property
    def names(self) -> tuple[str, ...]:
        """Return the hyper-parameters it needs."""
        ...

    @property
    def size(self) -> int:
        """Return how many there are."""
        ...

    def __call__(self, params: Mapping[str, Any]) -> float:
        """Return the loss on the validation rows of a model that is fitted with these hyper-parameters."""
        ...

    def value_and_gradient(self, params: Mapping[str, Any]) -> tuple[float, Mapping[str, float]]:
        """Return the loss and its derivative by each hyper-parameter."""
        ...


def per_feature(name: str, features: int | Sequence[object], domain: D) -> dict[str, D]:
    """Return a space with one hyper-parameter for each feature (or group): `name[0]`, `name[1]`, ... or `name[label]`.

    space = per_feature("penalty", 200, real(1e-3, 1e4, log=True))
    """
    labels = range(features) if isinstance(features, int) else features
    return {f"{name}[{label}]": domain for label in dict.fromkeys(labels)}


@dataclass(frozen=True, slots=True)
class Knob:
    """A vector of hyper-parameters: which of its values belongs to which place (a feature, a row)."""

    name: str
    names: tuple[str, ...]
    place: tuple[int, ...]
    """For each place the index of its value in `names`."""

    def read(self, params: Mapping[str, Any]) -> Floats:
        """Return one value a name; raises InvalidInput for what is missing, below zero or not finite."""
        missing = [name for name in self.names if name not in params]
        if missing:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise InvalidInput(
                f"The problem needs {missing[0]!r}{more}; it was given {_some(params)}.",
                hint="per_feature(name, n, domain) makes a space of name[0] ... name[n-1].",
            )
        values = np.array([float(params[name]) for name in self.names])
        bad = ~(np.isfinite(values) & (values >= 0))
        if bad.any():
            index = int(np.flatnonzero(bad)[0])
            raise InvalidInput(
                f"{self.names[index]} is {values[index]}.", hint="A penalty or a weight is a finite number from 0."
            )
        return values

    def spread(self, values: Floats) -> Floats:
        """Return each place's value."""
        return values[np.array(self.place, dtype=np.intp)]

    def collect(self, derivatives: Floats) -> Floats:
        """Return the derivative by each value: the sum over its places."""
        return np.bincount(np.array(self.place, dtype=np.intp), derivatives, len(self.names)).astype(np.float64)


def knob(name: str, says: str | Sequence[object], places: int, what: str) -> Knob:
    """Return a knob for `places` features or rows: `all` share a value, `feature` each its own, or a label for each."""
    if isinstance(says, str):
        if says == "all":
            return Knob(name, (name,), (0,) * places)
        if says == "feature":
            return Knob(name, tuple(per_feature(name, places, None)), tuple(range(places)))
        raise InvalidInput(f"The {name} is {says!r}.", hint=f"'all', 'feature', or a group's name for each {what}.")
    if len(says) != places:
        raise InvalidInput(f"{name}: {len(says)} groups for {places} {what}s.", hint=f"Name one group for each {what}.")
    index = {label: place for place, label in enumerate(dict.fromkeys(says))}
    return Knob(name, tuple(per_feature(name, tuple(index), None)), tuple(index[label] for label in says))


def _some(params: Mapping[str, Any]) -> str:
    shown = [repr(name) for name in list(params)[:3]]
    return ", ".join(shown) + (f" and {len(params) - 3} more" if len(params) > 3 else "") if shown else "nothing"
