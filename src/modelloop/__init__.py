"""Modelloop: the closed loop from data to production and back.

A project imports `step` and `pipeline` to mark its functions, `log` and `artifact` to record what a run finds, `ask`
to wait for a person, and `notebook` to have a notebook carried out, which hands values back with `give`. Any script or
notebook keeps what it does with `start_run`; `train_many` compares models over folds and seeds at once, `distributed`
trains one torch model in several processes; `from_onnx` makes a candidate of a model that was trained elsewhere.
Importing this needs the standard library only.
"""

from typing import TYPE_CHECKING

from .ground.core.errors import StepTimeout, WorkerDied
from .ground.core.later import on_demand as _on_demand
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

# What few processes need, and where it is.
__getattr__ = _on_demand(
    __name__,
    {
        ".ground.flow.notebook": ("give", "notebook"),
        ".sdk.run": ("Run", "start_run"),
        ".train.bring": ("from_onnx", "tensors_of"),
        ".train.parallel.many": ("train_many",),
        ".train.parallel.together": ("distributed",),
    },
)
