"""A package loaded to answer. Imports no database: the gateway loads packages through this file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from ..evaluate.records import Evaluation
from ..ground.core.errors import InvalidInput, ParityFailed
from ..ground.core.later import numpy as np
from ..ground.store.blobs import Blobs
from ..prepare.records import Columns
from ..train.outside.process import ProcessRuntime
from ..train.outside.records import Limits, Served
from .foreign import PIECES, RUNTIME
from .manifest import build, open_package, read_file
from .parity import Runtime, parity
from .records import Package, Parity, Signature
from .runtimes import scorer_of
from .signature import array, tensor_array

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["LoadedPackage", "build", "load", "open_package", "read_file"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LoadedPackage:
    """A version ready to answer, with what it must answer to its own sample."""

    package: Package
    signature: Signature
    scorer: Runtime
    sample: Columns
    expected: npt.NDArray[np.float64]
    evaluation: Evaluation
    parity: Parity
    profile: Mapping[str, Any]
    lineage: Mapping[str, Any]
    outside: Served | None = None
    """How it is answered in a process of its own; None: in this one. `scorer` starts that process at its first call."""

    def close(self) -> None:
        """End what answering has started."""
        if isinstance(self.scorer, ProcessRuntime):
            self.scorer.close()

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


def load(blobs: Blobs, digest: str, *, name: str = "", limits: Limits | None = None) -> LoadedPackage:
    """Load a package, every file checked against its hash; raises BlobMissing, StoreUnavailable or InvalidInput.

    What holds code is never read here: `runtime.json` says that another process answers, whose `limits` may be given;
    `name` is what its errors call it.
    """
    package = open_package(blobs, digest)
    files = {path: read_file(blobs, package, path) for path in package.files if not path.startswith(PIECES)}
    signature = _json(files, "signature.json", Signature)
    sample = _json(files, "sample.json", dict[str, Any])
    served = _json(files, RUNTIME, Served) if RUNTIME in files else None
    scorer: Runtime
    if served is None:
        scorer = scorer_of(files, signature)
    else:
        write = partial(_write, blobs, package, served)
        scorer = ProcessRuntime(served, write, name=name or f"package {digest[:12]}", limits=limits)
    return LoadedPackage(
        package=package,
        signature=signature,
        scorer=scorer,
        sample=_sample(sample, signature),
        expected=np.array(sample["expected"], dtype=np.float64),
        evaluation=_json(files, "evaluation.json", Evaluation),
        parity=_json(files, "parity.json", Parity),
        profile=_json(files, "profile.json", dict[str, Any]),
        lineage=_json(files, "lineage.json", dict[str, Any]),
        outside=served,
    )


def _sample(found: Mapping[str, Any], signature: Signature) -> Columns:
    """Return the rows of the sample as the columns, or tensors, that the model is asked with."""
    try:
        if signature.tensors:
            return {one.name: tensor_array(one, found["tensors"][one.name]) for one in signature.tensors}
        return {column.name: array(column, found["columns"][column.name]) for column in signature.inputs}
    except (LookupError, TypeError, ValueError) as error:
        raise InvalidInput(f"The sample of the package cannot be read: {type(error).__name__}: {error}.") from error


def _write(blobs: Blobs, package: Package, served: Served, folder: Path) -> None:
    """Write a model's own files for its process, each piece checked against its hash."""
    for path, parts in served.files.items():
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise InvalidInput(f"The package names a file {path[:120]!r}, outside of its folder.")
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            for digest in parts:
                file.write(read_file(blobs, package, f"{PIECES}{digest}"))


def _json(files: Mapping[str, bytes], name: str, into: type[T]) -> T:
    if name not in files:
        raise InvalidInput(f"The package has no {name}.", hint="Register the model again with this Modelloop.")
    try:
        return msgspec.json.decode(files[name], type=into)
    except msgspec.DecodeError as error:
        raise InvalidInput(f"{name} of the package cannot be read: {error}.") from error
