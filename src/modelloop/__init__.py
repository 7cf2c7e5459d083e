"""Modelloop: the closed loop from data to production and back.

A project imports `step` and `pipeline` to mark its functions, `log` and `artifact` to record what a run finds, `ask`
to wait for a person, and `notebook` to have a notebook carried out, which hands values back with `give`. Importing this
needs the standard library only.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING, Any

from .ground.core.errors import StepTimeout, WorkerDied
from .ground.flow.step import artifact, ask, log, pipeline, step

if TYPE_CHECKING:
    from .ground.flow.notebook import give, notebook

__all__ = ["StepTimeout", "WorkerDied", "artifact", "ask", "give", "log", "notebook", "pipeline", "step"]


def __getattr__(name: str) -> Any:
    """Load what is about notebooks when it is first asked for: few projects have some."""
    if name in ("give", "notebook"):
        return getattr(_import_module(".ground.flow.notebook", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
