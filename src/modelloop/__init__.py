"""Modelloop: the closed loop from data to production and back.

A project imports `step` and `pipeline` to mark its functions, `log` and `artifact` to record what a run finds, `ask`
to wait for a person, and `notebook` to have a notebook carried out, which hands values back with `give`. Any script or
notebook keeps what it does with `start_run`; `train_many` compares models over folds and seeds at once, `distributed`
trains one torch model in several processes; `from_onnx` makes a candidate of a model that was trained elsewhere.
Importing this needs the standard library only.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING, Any

from .ground.core.errors import StepTimeout, WorkerDied
from .ground.flow.step import artifact, ask, log, pipeline, step

if TYPE_CHECKING:
    from .ground.flow.notebook import give, notebook
    from .sdk.run import Run, start_run
    from .train.bring import from_onnx, tensors_of
    from .train.parallel.many import train_many
    from .train.parallel.together import distributed

__all__ = [
    "Run",
    "StepTimeout",
    "WorkerDied",
    "artifact",
    "ask",
    "distributed",
    "from_onnx",
    "give",
    "log",
    "notebook",
    "pipeline",
    "start_run",
    "step",
    "tensors_of",
    "train_many",
]

_LATER = {
    "give": ".ground.flow.notebook",
    "notebook": ".ground.flow.notebook",
    "Run": ".sdk.run",
    "start_run": ".sdk.run",
    "train_many": ".train.parallel.many",
    "distributed": ".train.parallel.together",
    "from_onnx": ".train.bring",
    "tensors_of": ".train.bring",
}
"""What few processes need, and where it is."""


def __getattr__(name: str) -> Any:
    """Load what few processes need when it is first asked for."""
    if name in _LATER:
        return getattr(_import_module(_LATER[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
