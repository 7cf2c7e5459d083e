"""Nouns of the catalogue: a component, and its source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Bundle:
    """The source of a function and of every project module that it imports, straight or through others."""

    function: str
    """MODULE:FUNCTION in the project that it comes from."""
    modules: Mapping[str, str]
    """Dotted name -> source text."""
    signature: str
    doc: str
    packages: Mapping[str, str]
    """Installed distribution -> version, of what the modules import."""


@dataclass(frozen=True, slots=True)
class Component:
    """A published version. Neither its source nor its number changes after that."""

    name: str
    version: str
    digest: str
    """Blob: the bundle as JSON."""
    function: str
    signature: str
    doc: str
    modules: tuple[str, ...]
    packages: Mapping[str, str]
    project: str
    """The project that published it."""
    at: datetime
    by: str

    @property
    def title(self) -> str:
        """Return NAME:VERSION."""
        return f"{self.name}:{self.version}"


@dataclass(frozen=True, slots=True)
class Taken:
    """A component as it lies in a project's folder."""

    name: str
    version: str
    digest: str
    changed: tuple[str, ...]
    """Files that differ from what was published."""
    newer: str | None
    """The newest published version, if it is newer."""
