"""`import modelloop`: what every notebook and test of a project pays."""

from ..measure import PYTHON, Measured, Work, cpu_of, paired, versions


def _run() -> Measured:
    ours, reference = paired(
        lambda: cpu_of([PYTHON, "-c", "from modelloop import step, pipeline, log"]),
        lambda: cpu_of([PYTHON, "-c", "import dataclasses, inspect, contextvars, functools"]),
        rounds=15,
    )
    return Measured(ours, reference, "CPU s")


WORK = Work("from modelloop import step, pipeline, log", f"the standard library it stands on ({versions()})", 2.0, _run)
