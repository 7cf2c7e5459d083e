"""Where an act works: the project found from the options, its store opened when first asked for."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from .. import app
from ..ground.core.settings import Settings
from ..ground.store.context import Context

if TYPE_CHECKING:
    from ..project import Project


class Face(Protocol):
    """The options that every command has, however they were read: see `options.Face`."""

    @property
    def project(self) -> Path | None:
        """The project's folder; None: here, or the nearest above."""
        ...

    @property
    def json(self) -> bool:
        """Print exactly one JSON document."""
        ...


class Desk:
    """The project, its settings and an open store, each looked up once and only if used."""

    def __init__(self, face: Face) -> None:
        self.face = face

    @cached_property
    def project_dir(self) -> Path:
        """The folder with the project file; raises NotFound."""
        return app.find_project(self.face.project)

    @cached_property
    def settings(self) -> Settings:
        """This machine's settings for the project."""
        return app.settings_for(self.project_dir)

    @cached_property
    def project(self) -> Project:
        """What the project file declares; raises ProjectFileInvalid."""
        return app.open_project(self.project_dir)

    @cached_property
    def ctx(self) -> Context:
        """A Context for the person at this machine."""
        return app.open_context(self.project_dir, settings=self.settings)

    def __enter__(self) -> Desk:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if "ctx" in self.__dict__:
            self.ctx.db.close()
