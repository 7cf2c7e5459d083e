"""Answers as bytes: the one JSON encoder, and MLflow's shape of an error with its codes and statuses."""

from __future__ import annotations

import math
from typing import Any

import orjson

from ..ground.core.errors import (
    BodyTooLarge,
    Conflict,
    Denied,
    InvalidInput,
    ModelloopError,
    NotFound,
    StoreUnavailable,
    Unauthenticated,
)

EMPTY = b"{}"
CODES: tuple[tuple[type[ModelloopError], int, str], ...] = (
    (BodyTooLarge, 413, "INVALID_PARAMETER_VALUE"),
    (InvalidInput, 400, "INVALID_PARAMETER_VALUE"),
    (NotFound, 404, "RESOURCE_DOES_NOT_EXIST"),
    (Conflict, 400, "INVALID_PARAMETER_VALUE"),
    (Unauthenticated, 401, "UNAUTHENTICATED"),
    (Denied, 403, "PERMISSION_DENIED"),
    (StoreUnavailable, 503, "TEMPORARILY_UNAVAILABLE"),
)
ALREADY = "RESOURCE_ALREADY_EXISTS"
NO_ADDRESS = "ENDPOINT_NOT_FOUND"
OUTSIDE = "NOT_IMPLEMENTED"
_FULL = ("no space left", "disk is full", "disk full", "quota exceeded")


def encode(value: Any) -> bytes:
    """Return JSON. Numbers that JSON lacks must have been made text before (`number`)."""
    return orjson.dumps(value)


def number(value: float) -> float | str:
    """Return a metric's value as Protocol Buffers write it in JSON."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def failure(code: str, message: str) -> bytes:
    """Return the body of an error."""
    return orjson.dumps({"error_code": code, "message": message})


def refusal(error: ModelloopError, *, exists: bool = False) -> tuple[int, bytes]:
    """Return the status and body that tell an MLflow client of an error.

    `exists`: the route makes something, and a conflict means that it is there already. A client repeats what was
    answered by 503 for minutes; a full disk is answered by 507, which it shows at once.
    """
    status, code = next(((s, c) for kind, s, c in CODES if isinstance(error, kind)), (error.status, "INTERNAL_ERROR"))
    if exists and isinstance(error, Conflict):
        code = ALREADY
    text = str(error)
    if status == 503 and any(word in text.lower() for word in _FULL):
        status, code = 507, "RESOURCE_EXHAUSTED"
    caret = error.detail.get("caret")
    return status, failure(code, f"{text}\n{caret}" if isinstance(caret, str) else text)
