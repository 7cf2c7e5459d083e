"""A package loaded to answer. Imports no database: the gateway loads packages through this file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from ..evaluate.records import Evaluation
from ..ground.core.errors import InvalidInput, ParityFailed
from ..ground.core.later import numpy as np
from ..ground.store.blobs import Blobs
from ..prepare.records import Columns
from ..prepare.transform import FittedTransform
from ..train.graph_scorer import GraphScorer
from ..train.scorer import Scorer
from .manifest import build, open_package, read_file
from .parity import Scores, parity
from .records import Package, Parity, Signature
from .signature import array

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["LoadedPackage", "build", "load", "open_package", "read_file"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LoadedPackage:
    """A version ready to answer, with what it must answer to its own sample."""

    package: Package
    signature: Signature
    scorer: Scores
    sample: Columns
    expected: npt.NDArray[np.float64]
    evaluation: Evaluation
    parity: Parity
    profile: Mapping[str, Any]
    lineage: Mapping[str, Any]

    def golden(self) -> Parity:
        """Answer the sample here and now; raises ParityFailed unless it is as good as when it was registered."""
        found = parity(self.scorer, self.sample, self.expected, self.parity.tolerance)
        if found.beyond > self.parity.beyond:
            raise ParityFailed(
                f"{found.beyond} of {found.rows} sample rows are answered otherwise than when the version was "
                f"registered (by up to {found.largest:.3g}; tolerated: {found.tolerance:.3g}).",
                hint="Compare environment.txt of the package with what is installed here.",
            )
        return found


def load(blobs: Blobs, digest: str) -> LoadedPackage:
    """Load a package, every file checked against its hash; raises BlobMissing, StoreUnavailable or InvalidInput."""
    package = open_package(blobs, digest)
    files = {name: read_file(blobs, package, name) for name in package.files}
    signature = _json(files, "signature.json", Signature)
    sample = _json(files, "sample.json", dict[str, Any])
    columns = {column.name: array(column, sample["columns"][column.name]) for column in signature.inputs}
    return LoadedPackage(
        package=package,
        signature=signature,
        scorer=_scorer(files, signature),
        sample=columns,
        expected=np.array(sample["expected"], dtype=np.float64),
        evaluation=_json(files, "evaluation.json", Evaluation),
        parity=_json(files, "parity.json", Parity),
        profile=_json(files, "profile.json", dict[str, Any]),
        lineage=_json(files, "lineage.json", dict[str, Any]),
    )


def _scorer(files: Mapping[str, bytes], signature: Signature) -> Scores:
    """Return what answers: a transform and a graph, or the graph of a model that somebody else trained."""
    if "model.onnx" not in files:
        raise InvalidInput("The package has no model.onnx.", hint="Only ONNX is served.")
    if "transform.json" not in files:
        return GraphScorer(signature.inputs, files["model.onnx"])
    return Scorer(FittedTransform.from_bytes(files["transform.json"]), files["model.onnx"])


def _json(files: Mapping[str, bytes], name: str, into: type[T]) -> T:
    if name not in files:
        raise InvalidInput(f"The package has no {name}.", hint="Register the model again with this Modelloop.")
    try:
        return msgspec.json.decode(files[name], type=into)
    except msgspec.DecodeError as error:
        raise InvalidInput(f"{name} of the package cannot be read: {error}.") from error
