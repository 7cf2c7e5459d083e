"""Nouns of the register: a model's name, and immutable packages under it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..evaluate.records import Evaluation
from ..evaluate.settings import ObjectiveSettings
from ..ground.core.records import Verdict
from ..prepare.records import InputColumn


@dataclass(frozen=True, slots=True)
class Signature:
    """What a model is asked with and what it answers."""

    inputs: tuple[InputColumn, ...]
    output: str
    """Name of the one output tensor, FP32 [rows]."""
    task: str


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


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """An immutable version in the register."""

    model: str
    number: int
    digest: str
    """Of the package manifest, in blobs."""
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

    @property
    def name(self) -> str:
        """Return `model:number`, how people and URLs say it."""
        return f"{self.model}:{self.number}"
