"""`modelloop --help`: what a person waits for most often."""

from ..measure import PYTHON, Measured, Work, cpu_of, paired, versions


def _run() -> Measured:
    ours, reference = paired(
        lambda: cpu_of([PYTHON, "-m", "modelloop", "--help"]),
        lambda: cpu_of([PYTHON, "-c", "import cyclopts, rich.table, rich.panel; cyclopts.App().help_print([])"]),
        rounds=9,
    )
    return Measured(ours, reference, "CPU s", {"wall target of the whole command": "0.3 s on a quiet machine"})


WORK = Work("modelloop --help", f"the same library printing an empty help ({versions('cyclopts', 'rich')})", 1.5, _run)
