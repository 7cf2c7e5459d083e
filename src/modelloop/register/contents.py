"""Pure: the files of a package, from a candidate and the evidence about it. Equal input gives equal bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..prepare.columns import from_frame
from ..prepare.tensors import Tensors
from ..train.records import Candidate
from ..train.replies import LABEL, PROBABILITIES, SCORE
from .card import card
from .records import Evidence, Signature, TensorSpec

OUTPUT = SCORE


def is_unsafe(native_format: str) -> bool:
    """Say whether a format can hold code: reading it may run anything."""
    return native_format in ("pickle", "cloudpickle", "joblib", "torch-pickle")


def signature_of(candidate: Candidate, evidence: Evidence) -> Signature:
    """Return what the model is asked with and what it answers."""
    transform, labels = candidate.transform, candidate.labels
    outputs: tuple[TensorSpec, ...] = ()
    if labels:
        kind = "BYTES" if isinstance(labels[0], str) else "INT64"
        outputs = (TensorSpec(PROBABILITIES, "FP32", (-1, len(labels))), TensorSpec(LABEL, kind, (-1,)))
    given = transform.given if isinstance(transform, Tensors) else ()
    return Signature(
        tuple(transform.inputs),
        PROBABILITIES if labels else OUTPUT,
        str(evidence.objective.task),
        tensors=tuple(TensorSpec(one.name, one.datatype, one.shape) for one in given),
        outputs=outputs,
        labels=tuple(map(str, labels)),
    )


def files_of(model: str, candidate: Candidate, evidence: Evidence, environment: str) -> dict[str, bytes]:
    """Return every file of the package by name; `environment` is the text of `environment.txt`."""
    files = {
        "model.onnx": candidate.onnx,
        "transform.json": candidate.transform.to_bytes(),
        "signature.json": _json(signature_of(candidate, evidence)),
        "sample.json": _json(_sample(candidate)),
        "evaluation.json": _json(evidence.evaluation),
        "parity.json": _json(evidence.parity),
        "lineage.json": _json(evidence.lineage),
        "training.json": _json(_training(candidate)),
        "profile.json": _json(evidence.profile),
        "environment.txt": environment.encode(),
        "card.md": card(model, candidate, evidence, environment).encode(),
    }
    if candidate.native:
        files["model.native"] = candidate.native
    return files


def _sample(candidate: Candidate) -> Mapping[str, Any]:
    """Return the sample's rows; NaN is written as null, raw bytes as base64, which is read as such."""
    transform = candidate.transform
    columns = from_frame(candidate.sample, [one.name for one in transform.inputs] or transform.tensors)
    rows = {name: values.tolist() for name, values in columns.items()}
    return {"columns" if transform.inputs else "tensors": rows, "expected": candidate.expected.tolist()}


def _training(candidate: Candidate) -> Mapping[str, Any]:
    return {
        "trained_from": candidate.trained_from,
        "trained_until": candidate.trained_until,
        "rows": candidate.rows,
        "params": candidate.params,
        "native_format": candidate.native_format,
        "study": candidate.study,
        "importance": candidate.importance,
    }


def _json(value: Any) -> bytes:
    return msgspec.json.encode(value, order="deterministic")
