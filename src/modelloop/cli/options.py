"""The two options that every command has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number


@dataclass(frozen=True, slots=True)
class Face:
    """The options that every command has."""

    project: Annotated[Path | None, Parameter(help="The project's folder. Default: here, or the nearest above.")] = None
    json: Annotated[bool, Parameter(negative="", help="Print exactly one JSON document.")] = False


Limit = Annotated[int, Parameter(help="The most rows to list.", validator=Number(gte=1, lte=100_000))]
Port = Annotated[int, Parameter(validator=Number(gte=0, lte=65_535))]
Options = Annotated[Face, Parameter(name="*")]
PLAIN = Face()
