"""What a gateway holds loaded: one immutable object per routing table, swapped by one assignment."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from ...ground.core.errors import ModelloopError, RequestInvalid
from ...ground.core.later import numpy as np
from ...ground.store.blobs import Blobs
from ...prepare.records import Columns, Datatype, InputColumn
from ...register.package import load
from ...register.parity import Scores
from ...register.records import Signature
from ...register.signature import array, describe
from ..records import Arm, Route, RoutingTable, Stage
from .edge import ForeignError, contained
from .protocol import Asked
from .tensors import checked

if TYPE_CHECKING:
    import numpy.typing as npt

Loader = Callable[[Arm], "LoadedArm"]


class ArmError(ForeignError):
    """A version could not answer, and not because of the request."""


@dataclass(frozen=True, slots=True)
class LoadedArm:
    """A version that can answer."""

    arm: Arm
    signature: Signature
    scorer: Scores

    @property
    def number(self) -> str:
        """Return the number of `model:number`, as URLs of the protocol say it."""
        return self.arm.version.rpartition(":")[2]


@dataclass(frozen=True, slots=True)
class Scored:
    """What a version answered, the values it was asked with, and how long it took."""

    scores: list[float]
    values: Mapping[str, list[Any]]
    milliseconds: float


@dataclass(frozen=True, slots=True)
class LoadedRoute:
    """An endpoint with its versions. `known`: every input that a request may carry."""

    route: Route
    champion: LoadedArm
    challenger: LoadedArm | None
    known: tuple[InputColumn, ...]

    def column(self, name: str) -> InputColumn:
        """Return a known input."""
        return next(column for column in self.known if column.name == name)

    def by_number(self, number: str) -> LoadedArm | None:
        """Return the loaded version with this number."""
        return next((arm for arm in (self.champion, self.challenger) if arm and arm.number == number), None)


@dataclass(frozen=True, slots=True)
class Serving:
    """Everything a gateway answers with. Generation 0: only part of the first table could be loaded."""

    generation: int
    routes: Mapping[str, LoadedRoute]
    arms: Mapping[Arm, LoadedArm]


NOTHING = Serving(0, {}, {})


@dataclass(slots=True)
class Live:
    """The one mutable place: the event loop reads `serving` once per request, the follower assigns it."""

    serving: Serving = NOTHING
    answered: int = 0
    errors: int = 0
    failed: Mapping[str, str] = field(default_factory=dict)


def load_arm(blobs: Blobs, arm: Arm) -> LoadedArm:
    """Load a version and let it answer its golden sample: warm, and proven to answer as it did when registered."""
    package = load(blobs, arm.package)
    package.golden()
    return LoadedArm(arm, package.signature, package.scorer)


def assemble(table: RoutingTable, held: Mapping[Arm, LoadedArm], loader: Loader) -> tuple[Serving, dict[str, str]]:
    """Load what `held` lacks; return what can be served and why the rest cannot, by version."""
    arms: dict[Arm, LoadedArm] = {}
    failed: dict[str, str] = {}
    for arm in _arms(table):
        try:
            arms[arm] = held.get(arm) or contained(partial(loader, arm))
        except ModelloopError as error:
            failed[arm.version] = str(error)
    routes = {route.endpoint: _loaded(route, arms) for route in table.routes if route.champion in arms}
    return Serving(0 if failed else table.generation, routes, arms), failed


def score(arm: LoadedArm, asked: Asked) -> Scored:
    """Answer with one version. InvalidInput: the request is not for it; ArmError: it failed in itself."""
    started = time.perf_counter()
    values = values_for(arm, asked)
    columns = {column.name: array(column, values[column.name]) for column in arm.signature.inputs}
    found = run(arm, columns, asked.rows)
    return Scored(found.tolist(), values, (time.perf_counter() - started) * 1000)


def run(arm: LoadedArm, columns: Columns, rows: int) -> npt.NDArray[np.float64]:
    """Return one finite answer per row; raises InvalidInput or ArmError."""
    try:
        found = contained(partial(arm.scorer.score, columns))
    except ForeignError as error:
        raise ArmError(f"{arm.arm.version} failed: {error}") from error
    if found.shape != (rows,) or not np.isfinite(found).all():
        raise ArmError(f"{arm.arm.version} gave an answer that is not one finite number per row.")
    return found


def values_for(arm: LoadedArm, asked: Asked) -> dict[str, list[Any]]:
    """Return the checked values of the columns this version is asked with; raises RequestInvalid."""
    inputs = arm.signature.inputs
    missing = [column for column in inputs if column.name not in asked.tensors]
    if missing:
        raise RequestInvalid(
            f"Inputs are missing: {', '.join(column.name for column in missing)}.",
            hint=f"Expected: {describe(inputs)}.",
        )
    tensors = ((column, asked.tensors[column.name]) for column in inputs)
    return {column.name: checked(column, tensor.datatype, tensor.values) for column, tensor in tensors}


def _arms(table: RoutingTable) -> list[Arm]:
    both = (arm for route in table.routes for arm in (route.champion, route.challenger) if arm is not None)
    return list(dict.fromkeys(both))


def _loaded(route: Route, arms: Mapping[Arm, LoadedArm]) -> LoadedRoute:
    champion = arms[route.champion]
    challenger = None if route.challenger is None else arms.get(route.challenger)
    if route.challenger is not None and challenger is None:
        route = replace(route, challenger=None, stage=Stage.LIVE, share=0.0)
    both: dict[str, InputColumn] = {}
    for arm in (champion, challenger):
        for column in arm.signature.inputs if arm else ():
            both.setdefault(column.name, column)
    if route.key is not None:  # a key that is no input is welcome for the sake of routing
        both.setdefault(route.key, InputColumn(route.key, Datatype.BYTES, nullable=True))
    return LoadedRoute(route, champion, challenger, tuple(both.values()))
