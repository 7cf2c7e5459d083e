"""A mistake in what the project file says about data. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ..ground.core.toml_lines import Path


@dataclass(frozen=True, slots=True)
class Wrong:
    """One mistake: where in the contract, what is there, what may be."""

    path: Path
    found: str
    allowed: str
    hint: str = ""

    def __str__(self) -> str:
        where = ".".join(str(part) for part in self.path)
        return f"{where}: {self.found}; allowed: {self.allowed}{f' ({self.hint})' if self.hint else ''}."
