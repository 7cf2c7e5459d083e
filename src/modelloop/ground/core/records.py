"""Base nouns that every stage uses."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Role(StrEnum):
    """What a person or process may be in a project, from least to most."""

    VIEWER = "viewer"
    SCIENTIST = "scientist"
    ENGINEER = "engineer"
    ADMIN = "admin"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something: a person by login, or one of our processes (`worker`, `gateway`, `control`)."""

    name: str
    role: Role = Role.SYSTEM


class Verdict(StrEnum):
    """The answer of a gate or of a sequential test. Missing evidence is never a yes."""

    PASS = "pass"  # noqa: S105 - the word of the trade, not a secret
    FAIL = "fail"
    MISSING = "missing evidence"


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of the audit log, before it is chained."""

    action: str
    subject: str
    detail: dict[str, Any] = field(default_factory=dict)
