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
from ...prepare.records import Columns, InputColumn
from ...register.package import load
from ...register.parity import Scores
from ...register.records import Signature
from ...register.signature import describe
from ..records import Arm, Route, RoutingTable, Stage
from .asked import Asked
from .edge import ArmError, ForeignError, contained
from .protocol import Form, form_of
from .tensors import TYPES, column_array, tensor_array

if TYPE_CHECKING:
    import numpy.typing as npt

    from .lanes import Lane

__all__ = ["ArmError", "Live", "LoadedArm", "LoadedRoute", "Loader", "Scored", "Serving", "assemble", "load_arm"]

Loader = Callable[[Arm], "LoadedArm"]


@dataclass(frozen=True, slots=True)
class LoadedArm:
    """A version that can answer."""

    arm: Arm
    signature: Signature
    scorer: Scores
    lane: Lane | None = field(default=None, compare=False)
    """Where it answers; None: within the event loop."""
    background: Columns | None = field(default=None, compare=False)
    """Rows that explanations compare with."""

    @property
    def number(self) -> str:
        """Return the number of `model:number`, as URLs of the protocol say it."""
        return self.arm.version.rpartition(":")[2]


@dataclass(frozen=True, slots=True)
class Scored:
    """What a version answered: every output, the headline as one number a row, and how long it took."""

    outputs: Mapping[str, npt.NDArray[Any]]
    scores: list[float]
    milliseconds: float


@dataclass(frozen=True, slots=True)
class LoadedRoute:
    """An endpoint with its versions."""

    route: Route
    champion: LoadedArm
    challenger: LoadedArm | None
    form: Form
    """Every input that a request may carry."""
    standby: tuple[LoadedArm, ...] = ()
    """Answer only where they are asked for by number."""

    @property
    def known(self) -> tuple[InputColumn, ...]:
        """Return every column that a request may carry."""
        return tuple(self.form.columns.values())

    @property
    def arms(self) -> tuple[LoadedArm, ...]:
        """Return all versions that can be asked for, the champion first."""
        return (self.champion, *((self.challenger,) if self.challenger else ()), *self.standby)

    def column(self, name: str) -> InputColumn:
        """Return a known input."""
        return self.form.columns[name]

    def by_number(self, number: str) -> LoadedArm | None:
        """Return the loaded version with this number."""
        return next((arm for arm in self.arms if arm.number == number), None)


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
    return LoadedArm(arm, package.signature, package.scorer, background=package.sample)


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


def columns_for(arm: LoadedArm, asked: Asked) -> Columns:
    """Return what this version is asked with; raises RequestInvalid."""
    signature = arm.signature
    if signature.tensors:
        _require_all([spec.name for spec in signature.tensors], asked, lambda: _described(signature))
        return {spec.name: tensor_array(spec, asked.tensors[spec.name]) for spec in signature.tensors}
    _require_all([column.name for column in signature.inputs], asked, lambda: describe(signature.inputs))
    return {column.name: column_array(column, asked.tensors[column.name]) for column in signature.inputs}


def run(arm: LoadedArm, columns: Columns, rows: int) -> Scored:
    """Answer with one version, here and now; raises InvalidInput or ArmError."""
    started = time.perf_counter()
    try:
        found = contained(partial(_outputs, arm, columns))
    except ForeignError as error:
        raise ArmError(f"{arm.arm.version} failed: {error}") from error
    return settled(arm, found, rows, (time.perf_counter() - started) * 1000)


def settled(arm: LoadedArm, found: Mapping[str, Any], rows: int, milliseconds: float) -> Scored:
    """Return the outputs as they were promised; raises ArmError where they are not, or are no finite numbers."""
    if not isinstance(found, Mapping):
        raise ArmError(f"{arm.arm.version} gave no outputs.")
    outputs = {}
    for spec in arm.signature.answered:
        outputs[spec.name] = _promised(arm, spec.name, found.get(spec.name), spec.datatype, (rows, *spec.shape[1:]))
    return Scored(outputs, headline(outputs[arm.signature.output]), milliseconds)


def headline(values: npt.NDArray[Any]) -> list[float]:
    """Return one number a row: the value, or the place of the largest one; 0 for what is no number."""
    if values.dtype.kind not in "fiub":
        return [0.0] * len(values)
    table = values.reshape(len(values), -1)
    best = table[:, 0] if values.ndim == 1 or table.shape[1] == 1 else table.argmax(axis=1)
    found: list[float] = best.astype(np.float64).tolist()
    return found


def _outputs(arm: LoadedArm, columns: Columns) -> Mapping[str, Any]:
    outputs = getattr(arm.scorer, "outputs", None)
    if outputs is None:
        return {arm.signature.output: arm.scorer.score(columns)}
    found: Mapping[str, Any] = outputs(columns)
    return found


def _promised(arm: LoadedArm, name: str, values: Any, datatype: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Return one output in the type and shape of the signature."""
    if not isinstance(values, np.ndarray):
        raise ArmError(f"{arm.arm.version} gave no {name!r}.")
    if len(shape) == 1 and values.shape == (shape[0], 1):
        values = values.reshape(shape)
    if values.ndim != len(shape) or any(a not in (-1, b) for a, b in zip(shape, values.shape, strict=True)):
        raise ArmError(
            f"{arm.arm.version} gave {name!r} in the shape {list(values.shape)}, "
            f"{'one finite number per row' if len(shape) == 1 else list(shape)} is expected."
        )
    wanted = np.dtype(TYPES[datatype])
    if values.dtype != wanted:
        kinds = values.dtype.kind + wanted.kind
        if (kinds[0] in "OUS") != (kinds[1] == "O") or "b" in kinds:
            raise ArmError(f"{arm.arm.version} gave {name!r} as {values.dtype}, {datatype} is expected.")
        with np.errstate(over="ignore", invalid="ignore"):
            values = values.astype(wanted)
    if wanted.kind == "f" and not np.isfinite(values).all():
        raise ArmError(f"{arm.arm.version} gave an answer in {name!r} that is not one finite number per row.")
    return np.ascontiguousarray(values)


def _require_all(names: list[str], asked: Asked, expected: Callable[[], str]) -> None:
    missing = [name for name in names if name not in asked.tensors]
    if missing:
        raise RequestInvalid(f"Inputs are missing: {', '.join(missing)}.", hint=f"Expected: {expected()}.")


def _described(signature: Signature) -> str:
    return ", ".join(f"{spec.name} {spec.datatype} {list(spec.shape)}" for spec in signature.asked)


def _arms(table: RoutingTable) -> list[Arm]:
    every = (
        arm for route in table.routes for arm in (route.champion, route.challenger, *route.standby) if arm is not None
    )
    return list(dict.fromkeys(every))


def _loaded(route: Route, arms: Mapping[Arm, LoadedArm]) -> LoadedRoute:
    champion = arms[route.champion]
    challenger = None if route.challenger is None else arms.get(route.challenger)
    if route.challenger is not None and challenger is None:
        route = replace(route, challenger=None, stage=Stage.LIVE, share=0.0)
    standby = tuple(arms[arm] for arm in route.standby if arm in arms and arm not in (route.champion, route.challenger))
    signatures = [arm.signature for arm in (champion, challenger, *standby) if arm]
    keys = [key for lookup in route.features for key in lookup.key]
    extra = [name for name in (route.key, route.outcome_key, *route.slices, *keys) if name is not None]
    return LoadedRoute(route, champion, challenger, form_of(signatures, extra, route.max_rows), standby)
