"""Nouns of the register: a model's name, and immutable packages under it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from ..evaluate.records import Evaluation
from ..evaluate.settings import ObjectiveSettings
from ..ground.core.records import Verdict
from ..prepare.records import InputColumn


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A named tensor as the Open Inference Protocol describes it."""

    name: str
    datatype: str
    """BOOL, INT8 ... UINT64, FP16, FP32, FP64 or BYTES."""
    shape: tuple[int, ...]
    """-1: any size. The first size is the number of rows."""


@dataclass(frozen=True, slots=True)
class Signature:
    """What a model is asked with and what it answers."""

    inputs: tuple[InputColumn, ...]
    """Raw columns, one value a row each. Empty where the model takes tensors."""
    output: str
    """Name of the headline output: one number a row, or one row of probabilities (multiclass)."""
    task: str
    tensors: tuple[TensorSpec, ...] = ()
    """What a model takes that is asked with whole tensors (a matrix, token ids, pictures) and not with columns."""
    outputs: tuple[TensorSpec, ...] = ()
    """Everything it answers. Empty: only `output`, FP32 [rows]."""
    labels: tuple[str, ...] = ()
    """Names of the classes, in the order of the probabilities (multiclass)."""
    platform: str = "onnx_onnxv1"

    @property
    def asked(self) -> tuple[TensorSpec, ...]:
        """Return all inputs as tensors."""
        return self.tensors or tuple(TensorSpec(c.name, str(c.datatype), (-1,)) for c in self.inputs)

    @property
    def answered(self) -> tuple[TensorSpec, ...]:
        """Return all outputs."""
        return self.outputs or (TensorSpec(self.output, "FP32", (-1,)),)


@dataclass(frozen=True, slots=True)
class Parity:
    """The served model's answers beside the training code's, on the same raw rows."""

    rows: int
    largest: float
    """Largest difference, relative to answers larger than 1."""
    beyond: int
    """Rows whose difference is beyond the tolerance."""
    tolerance: float

    @property
    def holds(self) -> bool:
        """Say whether all answers agree."""
        return self.rows > 0 and self.beyond == 0


@dataclass(frozen=True, slots=True)
class Package:
    """An immutable package: its files' names and hashes; the hash of this manifest is the package's identity.

    Files: `model.onnx`, `transform.json`, `signature.json`, `sample.json` (raw rows with the expected answers),
    `evaluation.json`, `parity.json`, `lineage.json`, `training.json` (span, parameters, search, importance),
    `environment.txt`, `profile.json` (reference for drift), `card.md`, and `model.native` where there is one.
    """

    files: Mapping[str, str]
    digest: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was found out about a candidate: it goes into the package beside the model."""

    evaluation: Evaluation
    parity: Parity
    profile: Mapping[str, Any]
    """`evaluate.profile` of a sample of training columns and scores, JSON-ready: what drift is measured against."""
    lineage: Mapping[str, Any]
    """`run` (id), code hash, data versions, parameters, parent champion; JSON-ready."""
    objective: ObjectiveSettings


class Kind(StrEnum):
    """Where a version comes from."""

    MODELLOOP = "modelloop"
    """A training pipeline's candidate, judged at registration."""
    MLFLOW = "mlflow"
    """A folder in MLflow's format."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a snapshot: content-addressed pieces in order, so that none has to fit into memory."""

    size: int
    parts: tuple[tuple[str, int], ...]
    """Hash and size of each piece."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A folder as it was when it was registered: its files by relative path, and the hash of this list."""

    files: Mapping[str, StoredFile]
    digest: str

    @property
    def size(self) -> int:
        """Return how many bytes the files have."""
        return sum(file.size for file in self.files.values())


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A name under which versions are registered."""

    name: str
    description: str = ""
    made_ms: int = 0
    changed_ms: int = 0
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, int] = field(default_factory=dict)
    """Alias -> number of the version it names now."""


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """An immutable version in the register: what it holds never changes; description, tags and aliases may."""

    model: str
    number: int
    digest: str
    """Of what was registered: a package's manifest, or a snapshot's."""
    verdict: Verdict
    run: str | None
    """The run that made it."""
    headline: float | None
    made_at: datetime
    made_by: str
    trained_from: datetime | None
    trained_until: datetime | None
    lineage: Mapping[str, Any]
    """Run, code hash, data versions, parameters, parent champion."""
    kind: Kind = Kind.MODELLOOP
    source: str = ""
    """Where the bytes were taken from, as the client said it: `runs:/RUN/model`."""
    model_id: str | None = None
    """The logged model it was made of."""
    unsafe: bool = False
    """It holds a pickle: reading it can run anything, so none of our processes does."""
    package: str | None = None
    """Hash of the package that gateways load. None: it cannot be served (yet)."""
    refusal: str = ""
    """Why it cannot be served, in a sentence; empty while nobody has tried."""
    opted_in: str | None = None
    """Who allowed its pickle to be read, in a process of its own."""
    description: str = ""
    changed_ms: int = 0
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Return `model:number`, how people and URLs say it."""
        return f"{self.model}:{self.number}"

    @property
    def made_ms(self) -> int:
        """Return when it was registered, in milliseconds since 1970."""
        return round(self.made_at.timestamp() * 1000)

    @property
    def status(self) -> str:
        """Return MLflow's word: its bytes are all here when the row is."""
        return "READY"


@dataclass(frozen=True, slots=True)
class AliasMove:
    """One line of an alias's history."""

    model: str
    alias: str
    number: int | None
    """The version it named from then on. None: it was dropped."""
    before: int | None
    at: datetime
    event_time: datetime | None
    """Where the data's clock stood at the endpoint. None: nothing was answered yet, or a person moved it."""
    by: str
    why: str
    endpoint: str | None
    """The endpoint whose routing changed with it. None: a person named a version."""


@dataclass(frozen=True, slots=True)
class Live:
    """What answered at an endpoint at a moment."""

    endpoint: str
    model: str
    number: int
    since: AliasMove
    """The move that brought it."""

    @property
    def version(self) -> str:
        """Return `model:number`."""
        return f"{self.model}:{self.number}"


@dataclass(frozen=True, slots=True)
class Routed:
    """What an endpoint answers with from now on, as versions `model:number`."""

    endpoint: str
    champion: str | None
    challenger: str | None
    event_time: datetime | None
    """Where the data's clock stands at the endpoint."""
    why: str
