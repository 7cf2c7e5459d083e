"""What a bundle answers beside what the gateway answers, and what int8 costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ....data import actions as data
from ....evaluate.metrics import compute
from ....evaluate.settings import ObjectiveSettings
from ....ground.core.errors import InvalidInput, ParityFailed
from ....ground.core.later import numpy as np
from ....ground.core.later import polars as pl
from ....ground.store.context import Context
from ....prepare.columns import from_frame
from ....prepare.records import Columns
from ....prepare.transform import FittedTransform
from ....register.package import LoadedPackage
from ....register.parity import headline
from ....register.signature import labels_of
from ....train.replies import class_places
from ..signing import runtime

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]


class Asked:
    """A bundle as the gateway's scorers are asked: raw columns in, the headline out."""

    def __init__(self, manifest: Mapping[str, Any], onnx: bytes, package: LoadedPackage) -> None:
        self._model = runtime().Model(dict(manifest), onnx)
        self._output = package.signature.output
        self._transform = getattr(package.scorer, "transform", None)

    def headline(self, columns: Columns) -> Floats:
        """Answer; raises InvalidInput for what the bundle refuses."""
        given: dict[str, Any] = dict(columns)
        if isinstance(self._transform, FittedTransform) and self._transform.tensors:
            given |= self._transform.feeds(columns)
        try:
            return np.asarray(self._model.predict(given)[self._output], np.float64)
        except runtime().Refused as error:
            raise InvalidInput(f"The bundle refuses these values: {error}") from error


def difference(asked: Asked, package: LoadedPackage) -> dict[str, Any]:
    """Return how far the bundle is from the gateway on the package's sample, relative to answers larger than 1."""
    wanted, found = headline(package.scorer, package.sample), asked.headline(package.sample)
    if wanted.shape != found.shape:
        raise ParityFailed(f"The bundle answers {found.shape} where the gateway answers {wanted.shape}.")
    both = np.isnan(wanted) & np.isnan(found)
    apart = np.where(both, 0.0, np.abs(found - wanted) / np.maximum(1.0, np.abs(wanted)))
    if not np.isfinite(apart).all():
        raise ParityFailed("The bundle answers what is no number where the gateway does.")
    return {
        "rows": len(wanted),
        "largest": float(apart.max(initial=0.0)),
        "mean": float(apart.mean()) if apart.size else 0.0,
    }


def check(asked: Asked, package: LoadedPackage) -> dict[str, Any]:
    """Return the parity; raises ParityFailed where it is beyond the package's own tolerance."""
    found = difference(asked, package) | {"tolerance": package.parity.tolerance}
    if not found["rows"] or found["largest"] > package.parity.tolerance:
        raise ParityFailed(
            f"The bundle answers the package's sample otherwise than the gateway does: by up to {found['largest']:.3g} "
            f"({found['rows']} rows; tolerated: {package.parity.tolerance:.3g}).",
            hint="Nothing was built. Tell the maintainers which ops and model it has.",
        )
    return found


def quality(
    ctx: Context, package: LoadedPackage, objective: ObjectiveSettings, dataset: str, sides: Mapping[str, Asked]
) -> dict[str, Any]:
    """Return the project's headline metric of each side on a version of a dataset, rows with a label only."""
    source = data.resolve(ctx, dataset)
    frame = data.read(ctx, source.dataset, source.number).collect()
    names = [spec.name for spec in package.signature.asked]
    lost = [name for name in [*names, objective.label] if name not in frame.columns]
    if lost:
        raise InvalidInput(
            f"{dataset} has no column {lost[0]!r}.", hint="--measure takes a dataset with inputs and labels."
        )
    frame = frame.filter(pl.col(objective.label).is_not_null())
    columns = from_frame(frame, names)
    truth = frame.get_column(objective.label).to_list()
    labels = labels_of(package.signature)
    y = class_places(truth, labels) if labels else np.asarray(truth, np.float64)
    others = {name: frame.get_column(name).to_list() for name in frame.columns if name not in names}
    values = {}
    for side, asked in sides.items():
        score = compute(
            str(objective.metric), y, asked.headline(columns), terms=objective.terms, columns=others,
            task=objective.task,
        )  # fmt: skip
        values[side] = score.value
    return {
        "metric": str(objective.metric),
        "dataset": f"{source.dataset}:{source.number}",
        "rows": frame.height,
        "values": values,
    }
