"""Modelloop: the closed loop from data to production and back.

A project imports `step` and `pipeline` to mark its functions, and `log` and `artifact` to record what a run finds.
Importing this needs the standard library only.
"""

from .ground.flow.step import artifact, log, pipeline, step

__all__ = ["artifact", "log", "pipeline", "step"]
